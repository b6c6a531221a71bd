package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/smtpretry/smtpretry"
)

// queuedPerConn is how many callers there are for each connection where
// messages queue.
const queuedPerConn = 20

// One Client with as many connections as it may have. In the first case each
// has one caller, so that messages go one after another, as with the others; in
// the second messages wait for the connections, as they do in most programs
// that send many.
var (
	smtpretryEach   = peer{"smtpretry", func(j job) (sender, error) { return openSmtpretry(j, j.conns) }}
	smtpretryQueued = peer{"smtpretry, queued", func(j job) (sender, error) { return openSmtpretry(j, j.conns*queuedPerConn) }}
)

type smtpretrySender struct {
	client  *smtpretry.Client
	message *smtpretry.Message
	callers int
}

func openSmtpretry(j job, callers int) (sender, error) {
	c, err := newClient(j.addr, j.conns, smtpretry.Limit{})
	if err != nil {
		return nil, err
	}
	m := &smtpretry.Message{From: from, To: j.to,
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(j.body)), nil }}
	return &smtpretrySender{c, m, callers}, nil
}

// newClient makes a Client of a host that is known: it need not be found out
// gently.
func newClient(addr string, conns int, lim smtpretry.Limit) (*smtpretry.Client, error) {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit(addr, lim); err != nil {
		return nil, err
	}
	return smtpretry.New(smtpretry.Config{
		Host:     addr,
		Dialer:   &smtpretry.Dialer{Addr: addr, LocalName: "localhost"},
		Limiter:  limiter,
		MaxConns: conns,
	})
}

func (s *smtpretrySender) send(n int) (time.Duration, error) {
	return callers(s.callers, n, func(int) error {
		res, err := s.client.Send(context.Background(), s.message)
		if err == nil && len(res.Attempts) != 1 {
			return errors.New("a message took more than one attempt: something else is measured")
		}
		return err
	})
}

func (s *smtpretrySender) close() error { return s.client.Quit() }
