//go:build !linux

package main

import "errors"

// Postfix is run from Debian's package; elsewhere its peers do not take part.
var (
	errNoPostfix = errors.New("Postfix runs on Linux only here")
	smtpSource   = peer{"smtp-source", func(job) (sender, error) { return nil, errNoPostfix }}
	postfix      = peer{"Postfix", func(job) (sender, error) { return nil, errNoPostfix }}
)
