//go:build !linux

package pgstore_test

import "errors"

func startPostgres() (server, error) {
	return nil, errors.New("the tests start PostgreSQL on Linux only; elsewhere set DATABASE_URL")
}
