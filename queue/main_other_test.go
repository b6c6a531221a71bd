//go:build !linux

package queue_test

import (
	"errors"
	"time"
)

func startPostgres() (url string, stop func() error, err error) {
	return "", nil, errors.New("the tests start PostgreSQL on Linux only; elsewhere set DATABASE_URL")
}

func cpuTime() time.Duration { return 0 }
