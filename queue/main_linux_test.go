package queue_test

import (
	"context"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

// startPostgres starts a PostgreSQL for this run of the tests. It ends with the
// test program, however that ends.
func startPostgres() (url string, stop func() error, err error) {
	s, err := realservers.StartPostgres()
	if err != nil {
		return "", nil, err
	}
	err = s.AwaitPostgres(func(url string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	return s.PostgresURL("postgres"), s.Close, err
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
