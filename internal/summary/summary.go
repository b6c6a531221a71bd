// Package summary gathers what tests have counted, for the end of a run.
package summary

import (
	"fmt"
	"os"
	"testing"
)

// Add logs a line and, if the environment variable TEST_SUMMARY names a file,
// writes it at the end of that, since go test keeps the output of what passes
// to itself.
func Add(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	name := os.Getenv("TEST_SUMMARY")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s: %s\n", t.Name(), line); err != nil {
		t.Error(err)
	}
}
