// Package check holds the dashboard, the alert rules and the documentation of the
// metrics against what the collectors really expose. It has no code but its tests, and
// is a module of its own so that nobody else needs what they need.
package check
