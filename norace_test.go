//go:build !race

package smtpretry_test

// A crowd is as many as wait at once.
const crowd = 100_000
