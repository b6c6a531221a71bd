package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cenkalti/backoff/v4"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const (
	from = "news@example.org"
	to   = "you@example.net"
)

func letter(n int) io.Reader {
	return strings.NewReader(fmt.Sprintf("Subject: letter %d\r\n\r\nThis is letter %d.\r\n", n, n))
}

// smtpretrySender tells the library the server's limits, and sends.
func smtpretrySender(srv *testserver.Server) (func(context.Context, int) error, func(), error) {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	err := limiter.SetLimit("mail.example.net", smtpretry.Limit{
		Rate: smtpretry.PerSecond(rate), Burst: burst, MaxConns: conns,
	})
	if err != nil {
		return nil, nil, err
	}
	client, err := smtpretry.New(smtpretry.Config{
		Host:     "mail.example.net",
		Dialer:   &smtpretry.Dialer{Addr: srv.Addr(), NetDial: srv.Dial},
		Limiter:  limiter,
		MaxConns: conns,
	})
	if err != nil {
		return nil, nil, err
	}
	send := func(ctx context.Context, n int) error {
		_, err := client.Send(ctx, &smtpretry.Message{
			From: from, To: []string{to},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(letter(n)), nil },
		})
		return err
	}
	return send, func() { _ = client.Quit() }, nil
}

// naiveSender is how it is often done: whatever is temporary is tried again,
// with exponential backoff, by each message for itself.
func naiveSender(srv *testserver.Server) (func(context.Context, int) error, func(), error) {
	send := func(ctx context.Context, n int) error {
		return backoff.Retry(func() error {
			err := sendOnce(ctx, srv, n)
			var reply *smtp.SMTPError
			if errors.As(err, &reply) && !reply.Temporary() {
				return backoff.Permanent(err)
			}
			return err
		}, backoff.WithContext(backoff.NewExponentialBackOff(), ctx))
	}
	return send, func() {}, nil
}

func sendOnce(ctx context.Context, srv *testserver.Server, n int) error {
	conn, err := srv.Dial(ctx, "tcp", srv.Addr())
	if err != nil {
		return err
	}
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := c.SendMail(from, []string{to}, letter(n)); err != nil {
		return err
	}
	return c.Quit()
}
