//go:build unix

package queue

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// A fileLock is held by one process at a time, and by none that has ended.
type fileLock struct{ f *os.File }

// lockFile locks a file, which it makes if it is missing and writes the number
// of the process into. The error is [ErrInUse] when another has it.
func lockFile(name string) (*fileLock, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		return nil, inUse(name)
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid()) // for people
	}
	return &fileLock{f}, nil
}

// inUse tells who has the lock.
func inUse(name string) error {
	file := strings.TrimSuffix(name, ".lock")
	pid, _ := os.ReadFile(name)
	if who := strings.TrimSpace(string(pid)); who != "" {
		return fmt.Errorf("%w: %s, by process %s", ErrInUse, file, who)
	}
	return fmt.Errorf("%w: %s", ErrInUse, file)
}

// unlock lets go. The file stays: to remove it would let two in.
func (l *fileLock) unlock() error { return l.f.Close() }

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
