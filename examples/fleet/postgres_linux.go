package main

import (
	"errors"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

func startPostgres(ready func(url string) error) (url string, stop func() error, err error) {
	s, err := realservers.StartPostgres()
	if err != nil {
		return "", nil, err
	}
	if err := s.AwaitPostgres(ready); err != nil {
		return "", nil, errors.Join(err, s.Close())
	}
	return s.PostgresURL("postgres"), s.Close, nil
}
