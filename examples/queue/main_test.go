package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && (os.Args[3] == "die" || os.Args[3] == "live") {
		main() // started by supervise
		return
	}
	os.Exit(m.Run())
}

func TestQueue(t *testing.T) {
	var out bytes.Buffer
	if err := supervise(&out); err != nil {
		t.Fatal(err)
	}
	exampletest.Lines(t, out.String(),
		`^--- life 1`,
		`^queued 40 letters; 0 had been`,
		`^killed with 2\d letters in the queue`,
		`^--- life 2`,
		`^queued 0 letters; 40 had been`,
		`^the queue is empty`,
		`^--- 40 of 40 letters arrived, [0-2] of them twice`,
	)
}
