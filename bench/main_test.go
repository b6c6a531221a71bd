package main

import (
	"os"
	"testing"
)

// TestMain lets this program be its own child, as the real one is.
func TestMain(m *testing.M) {
	if isChild() {
		child(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}
