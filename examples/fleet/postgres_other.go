//go:build !linux

package main

import "errors"

func startPostgres(func(url string) error) (url string, stop func() error, err error) {
	return "", nil, errors.New("it is started on Linux only")
}
