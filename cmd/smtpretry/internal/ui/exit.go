// Package ui is what all commands share: how they end, and how they print for
// people and for programs.
package ui

import (
	"errors"
	"fmt"
)

// The codes with which the program ends. From 64 on they are those of
// sysexits.h, as mail programs use them.
const (
	OK          = 0  // nothing was refused, nothing was found
	Refused     = 1  // something was found, or refused for good: doing the same again does not help
	Usage       = 64 // EX_USAGE: the command line is wrong
	DataErr     = 65 // EX_DATAERR: the input is faulty
	NoInput     = 66 // EX_NOINPUT: a file cannot be opened
	Unavailable = 69 // EX_UNAVAILABLE: the server refuses service
	Software    = 70 // EX_SOFTWARE: a fault of the program
	CantCreate  = 73 // EX_CANTCREAT: an output file cannot be written
	IOErr       = 74 // EX_IOERR: reading or writing failed
	TempFail    = 75 // EX_TEMPFAIL: the same may work later
	NoPerm      = 77 // EX_NOPERM: the login was refused
	Config      = 78 // EX_CONFIG: an environment variable or configuration file is wrong
)

// An ExitError ends the program with a code.
type ExitError struct {
	Code int
	Err  error // what to say; nil: all was said
}

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns what is behind e.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit ends the program with a code and says nothing. Code OK is no error.
func Exit(code int) error {
	if code == OK {
		return nil
	}
	return &ExitError{Code: code}
}

// Fail ends the program with a code and err's text, unless err is nil or has a
// code of its own.
func Fail(code int, err error) error {
	var coded *ExitError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &ExitError{code, err}
}

// Failf is Fail with a text made as by [fmt.Errorf].
func Failf(code int, format string, args ...any) error {
	return Fail(code, fmt.Errorf(format, args...))
}

// Silent says whether all was said of an error already.
func Silent(err error) bool {
	var coded *ExitError
	return err == nil || errors.As(err, &coded) && coded.Err == nil
}

// CodeOf returns the code that err ends the program with: of an error that has
// none, it is otherwise.
func CodeOf(err error, otherwise int) int {
	var coded *ExitError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &coded):
		return coded.Code
	}
	return otherwise
}

// Worse returns which of two codes to end with, when parts of the work ended
// with different ones: what is final goes before what may work later, and that
// before success.
func Worse(a, b int) int {
	rank := func(code int) int {
		switch code {
		case OK:
			return 0
		case TempFail:
			return 1
		case Refused:
			return 2
		}
		return 3
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}
