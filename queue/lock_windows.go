package queue

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

// A fileLock is held by one process at a time, and by none that has ended.
type fileLock struct{ f *os.File }

// lockFile locks a file, which it makes if it is missing. The error is
// [ErrInUse] when another process has it.
func lockFile(name string) (*fileLock, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped)); err != nil {
		defer f.Close()
		if !errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		return nil, fmt.Errorf("%w: %s", ErrInUse, strings.TrimSuffix(name, ".lock"))
	}
	return &fileLock{f}, nil
}

// unlock lets go.
func (l *fileLock) unlock() error { return l.f.Close() }

func isNoSpace(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }
