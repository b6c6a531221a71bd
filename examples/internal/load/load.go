// Package load sends many letters to a fake server at once, in the ways that
// the examples compare.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"

	"github.com/cenkalti/backoff/v4"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// The letters' envelope, and the server's name.
const (
	From = "news@example.org"
	To   = "you@example.net"
	Host = "mail.example.net"
)

// Letter returns the nth letter.
func Letter(n int) io.Reader {
	return strings.NewReader(fmt.Sprintf("Subject: letter %d\r\n\r\nThis is letter %d.\r\n", n, n))
}

// A Send sends the nth letter, and returns when it is delivered or never will
// be.
type Send func(ctx context.Context, n int) error

// Deliver sends n letters in 20 goroutines, or as many as it can before ctx
// ends.
func Deliver(ctx context.Context, n int, send Send) {
	todo := make(chan int)
	var workers sync.WaitGroup
	for range 20 {
		workers.Go(func() {
			for i := range todo {
				if err := send(ctx, i); err != nil && ctx.Err() == nil {
					log.Printf("message %d is lost: %v", i, err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case todo <- i:
		case <-ctx.Done():
		}
	}
	close(todo)
	workers.Wait()
}

// Smtpretry sends with the library, over at most so many connections.
func Smtpretry(srv *testserver.Server, limiter *smtpretry.Limiter, conns int) (send Send, closeAll func(), err error) {
	client, err := smtpretry.New(smtpretry.Config{
		Host:     Host,
		Dialer:   &smtpretry.Dialer{Addr: srv.Addr(), NetDial: srv.Dial},
		Limiter:  limiter,
		MaxConns: conns,
	})
	if err != nil {
		return nil, nil, err
	}
	send = func(ctx context.Context, n int) error {
		_, err := client.Send(ctx, &smtpretry.Message{
			From: From, To: []string{To},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(Letter(n)), nil },
		})
		return err
	}
	return send, func() { _ = client.Quit() }, nil
}

// Naive is how it is often done: a connection for each message, and [Again].
func Naive(srv *testserver.Server) Send {
	return func(ctx context.Context, n int) error {
		return Again(ctx, func() error {
			c, err := Dial(ctx, srv)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.SendMail(From, []string{To}, Letter(n)); err != nil {
				return err
			}
			return c.Quit()
		})
	}
}

// Again tries again whatever is temporary, with exponential backoff, for one
// message by itself.
func Again(ctx context.Context, try func() error) error {
	return backoff.Retry(func() error {
		err := try()
		var reply *smtp.SMTPError
		if errors.As(err, &reply) && !reply.Temporary() {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(backoff.NewExponentialBackOff(), ctx))
}

// Dial connects go-smtp's client to the server.
func Dial(ctx context.Context, srv *testserver.Server) (*smtp.Client, error) {
	conn, err := srv.Dial(ctx, "tcp", srv.Addr())
	if err != nil {
		return nil, err
	}
	return smtp.NewClient(conn), nil
}
