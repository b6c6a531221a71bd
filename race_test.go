//go:build race

package smtpretry_test

// A crowd is as many as wait at once. The race detector keeps 256 KiB for each
// goroutine of the most there have ever been, and fills them one after the other.
const crowd = 1_000
