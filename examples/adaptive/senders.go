package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/load"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A side is a way to send and the server that it sends to.
type side struct {
	name     string
	srv      *testserver.Server
	send     load.Send
	closeAll func()
	start    time.Time

	mu      sync.Mutex
	refused []time.Time
	boxed   []time.Time // when each box began
}

// threeSides makes the senders, each with a server of its own. What was made
// before an error is returned too.
func threeSides(limiter *smtpretry.Limiter, listen func(testserver.Config) (*testserver.Server, error)) ([]*side, error) {
	var sides []*side
	for _, name := range []string{"naive loop", "fixed rate, by hand", "smtpretry, told nothing"} {
		s := &side{name: name, closeAll: func() {}}
		srv, err := listen(testserver.Config{
			Limits: limits(rate), OnEvent: s.observe,
			Bodies: testserver.KeepSize, TranscriptSize: -1,
		})
		if err != nil {
			return sides, err
		}
		s.mu.Lock()
		s.srv = srv
		s.mu.Unlock()
		sides = append(sides, s)
	}
	naive, fixed, ours := sides[0], sides[1], sides[2]
	naive.send = load.Naive(naive.srv)
	fixed.send, fixed.closeAll = fixedRate(fixed.srv)
	var err error
	ours.send, ours.closeAll, err = load.Smtpretry(ours.srv, limiter, 20)
	return sides, err
}

// observe notes when the server refused something, and when that was one
// violation too many.
func (s *side) observe(e testserver.Event) {
	if e.Kind != testserver.Refused {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, e.Time)
	if s.srv.Stats().Boxes > len(s.boxed) {
		s.boxed = append(s.boxed, e.Time)
	}
}

func (s *side) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.refused)
}

// used returns which part of what the server allowed was made use of.
func (s *side) used(d time.Duration) float64 {
	return float64(s.srv.Stats().Accepted) / allowed(d)
}

// fixedRate is what one writes who has been told the limits: connections that
// are kept, as many as are allowed, a ticker, and [load.Again]. It does not
// know when the limits change.
func fixedRate(srv *testserver.Server) (load.Send, func()) {
	tick := time.NewTicker(time.Second / rate)
	free := make(chan *smtp.Client, conns) // nil: still to be made
	for range conns {
		free <- nil
	}
	try := func(ctx context.Context, n int) error {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		c := <-free
		defer func() { free <- c }()
		if c == nil {
			var err error
			if c, err = load.Dial(ctx, srv); err != nil {
				return err
			}
		}
		err := c.SendMail(load.From, []string{load.To}, load.Letter(n))
		if reply := new(smtp.SMTPError); err == nil || errors.As(err, &reply) && reply.Code != 421 && c.Reset() == nil {
			return err
		}
		c.Close()
		c = nil
		return err
	}
	send := func(ctx context.Context, n int) error {
		return load.Again(ctx, func() error { return try(ctx, n) })
	}
	return send, func() {
		tick.Stop()
		for range conns {
			if c := <-free; c != nil {
				_ = c.Quit()
			}
		}
	}
}
