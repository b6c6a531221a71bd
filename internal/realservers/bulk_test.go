//go:build linux

package realservers_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
	"github.com/smtpretry/smtpretry/internal/summary"
)

// TestTenThousand: with more connections allowed than the server takes, each
// of many messages arrives, and once.
func TestTenThousand(t *testing.T) {
	t.Parallel()
	s, seen := postfix(t), new(attempts)
	c := client(t, s.Addr("postfix-conn"), func(cfg *smtpretry.Config) {
		cfg.MaxConns, cfg.Trace = 5, seen.trace()
		cfg.Policy.MaxElapsed = 5 * time.Minute
	})
	const messages = 10_000
	to := names("bulk-", messages)
	start := time.Now()
	sendEach(t, c, to, 50)
	took := time.Since(start)
	missing, doubled := tookOnce(t, s, postfixTook, to)
	refused := seen.met(func(v smtpretry.Verdict) bool { return v.Code == 421 })
	if refused == 0 {
		t.Error("no 421 was met")
	}
	summary.Add(t, "Postfix, 2 connections at most, a client with 5: %d sent, %d delivered, %d missing, %d doubled, %d times 421 met, in %v",
		messages, messages-missing, missing, doubled, refused, took.Round(time.Second))
}

// TestWrapMany: the same through a client that was there before, with a Dialer
// for further connections.
func TestWrapMany(t *testing.T) {
	t.Parallel()
	s, seen := postfix(t), new(attempts)
	socket := &net.Dialer{LocalAddr: &net.TCPAddr{IP: source()}}
	conn, err := socket.DialContext(t.Context(), "tcp", s.Addr("postfix-conn"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := smtpretry.Wrap(smtp.NewClient(conn), smtpretry.Config{
		Dialer:   &smtpretry.Dialer{Addr: s.Addr("postfix-conn"), NetDial: socket.DialContext},
		MaxConns: 5,
		Trace:    seen.trace(),
		Policy:   smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: 200 * time.Millisecond, Max: 2 * time.Second}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	const messages = 1000
	to := names("wrapped-", messages)
	sendEach(t, c, to, 20)
	missing, doubled := tookOnce(t, s, postfixTook, to)
	refused := seen.met(func(v smtpretry.Verdict) bool { return v.Code == 421 })
	if refused == 0 {
		t.Error("no 421 was met")
	}
	summary.Add(t, "The same with Wrap: %d sent, %d delivered, %d missing, %d doubled, %d times 421 met", messages, messages-missing, missing, doubled, refused)
}

// TestQueued: messages that queue for one connection go each with the dot of the
// one before it, and all arrive once. OpenSMTPD does not offer PIPELINING.
func TestQueued(t *testing.T) {
	t.Parallel()
	for listener, test := range map[string]struct {
		server  func(*testing.T) *realservers.Server
		offered bool
	}{"postfix": {postfix, true}, "exim": {exim, true}, "opensmtpd": {openSMTPD, false}} {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			s, seen, tap := test.server(t), new(attempts), new(wiretap)
			c := client(t, s.Addr(listener), func(cfg *smtpretry.Config) {
				cfg.MaxConns, cfg.Trace = 1, seen.trace()
				cfg.Dialer.NetDial = tap.over(cfg.Dialer.NetDial)
			})
			const messages = 300
			to := names("queued-"+listener+"-", messages)
			sendEach(t, c, to, 20)
			missing, doubled := tookOnce(t, s, took(listener), to)
			if test.offered != (tap.behind > messages/2) {
				t.Errorf("%d messages went with a dot:%s", tap.behind, seen.verdicts())
			}
			summary.Add(t, "%s, one connection: %d sent, %d of them with the dot of another, %d missing, %d doubled",
				listener, messages, tap.behind, missing, doubled)
		})
	}
}

// TestDropIn: code that was written for go-smtp's SendMail, and a Dial of its
// own.
func TestDropIn(t *testing.T) {
	t.Parallel()
	s := postfix(t)
	c, err := smtpretry.New(smtpretry.Config{Host: realservers.Name, Dial: func(ctx context.Context) (*smtp.Client, error) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: source()}}).DialContext(ctx, "tcp", s.Addr("postfix"))
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(conn), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	to := names("drop-in-", 3)
	for _, addr := range to {
		if err := c.SendMail("me@example.org", []string{addr}, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
	}
	tookOnce(t, s, postfixTook, to)
}
