package queue

import (
	"errors"
	"fmt"
	"io/fs"
)

// What the errors of this package answer [errors.Is] for.
var (
	// ErrInUse: another process has the SQLite file open and delivers from
	// it. [Attach] works beside it.
	ErrInUse = errors.New("queue: the file is in use by another process")

	// ErrDiskFull: the database could not write for lack of space. Nothing
	// was accepted by the call that got it. Deliveries pause until there is
	// space again.
	ErrDiskFull = errors.New("queue: the disk is full")

	// ErrNewerSchema: the database was made by a newer version of this
	// package or of River. The error is a *[SchemaError].
	ErrNewerSchema = errors.New("queue: the database has a newer schema")

	// ErrBusy: the database could not be had in time. With SQLite, a
	// transaction of the caller's that is still open has that effect on
	// every call that is not given it.
	ErrBusy = errors.New("queue: the database is busy")

	// ErrTooLarge: the message is larger than Config.MaxSize.
	ErrTooLarge = errors.New("queue: the message is too large")

	// ErrNotFound: there is no entry of that id, or none any more.
	ErrNotFound = errors.New("queue: no such entry")

	// ErrClosed: the Queue was closed.
	ErrClosed = errors.New("queue: closed")
)

// A SchemaError says that the database is ahead of this program. It is an
// [ErrNewerSchema].
type SchemaError struct {
	What  string // whose schema: "the queue" or "River"
	Have  int    // its version in the database
	Known int    // the newest version that this program knows
}

// Error implements error.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("queue: the schema of %s is version %d, this program knows none above %d: use the newer program", e.What, e.Have, e.Known)
}

// Is reports whether target is [ErrNewerSchema].
func (e *SchemaError) Is(target error) bool { return target == ErrNewerSchema }

// A missingError says that there is no queue to attach to.
type missingError struct{ err error }

func (e *missingError) Error() string { return e.err.Error() }
func (e *missingError) Unwrap() error { return e.err }

// Is makes it an [fs.ErrNotExist], as a file that is missing is.
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

// A ConfigError says what is wrong with a [Config] or an [Options].
type ConfigError struct {
	Field  string // such as "Config.Relay"
	Reason string
}

// Error implements error.
func (e *ConfigError) Error() string { return "queue: " + e.Field + " " + e.Reason }

// errDropped breaks off the attempt of an entry that was dropped.
var errDropped = errors.New("queue: the entry was dropped")
