package smtpretry_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestStallAtTheVeryEnd: the last octets of a body and the dot leave together,
// and a server that does not read them does not hold Send for ever.
func TestStallAtTheVeryEnd(t *testing.T) {
	for _, mode := range []string{fresh, withoutDial} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, testserver.Config{IdleTimeout: time.Hour, Script: testserver.Script{testserver.On(testserver.Body, testserver.Stall())}},
				func(t *testing.T, srv *testserver.Server) {
					srv.Network().SetBuffer(1000)
					m := note("a@example.net")
					m.Body = body(bigText[:3600])
					start := time.Now()
					if mode == withoutDial {
						res, err := wrapped(t, srv).Send(t.Context(), m)
						wantOneReason(t, err, smtpretry.ErrInDoubt) // it cannot be seen what has left
						wantStates(t, res, inDoubt)
						took(t, start, 3*time.Minute, 15*time.Minute)
						return
					}
					if _, err := client(t, srv, nil).Send(t.Context(), m); err != nil {
						t.Error(err)
					}
					took(t, start, 3*time.Minute, 4*time.Minute)
					holds(t, srv, bigText[:3600], "a@example.net")
				})
		})
	}
}

// TestStallWrapped: a server that stops reading is given three minutes, also
// on a connection that has no deadline; a slow body is not held against it.
func TestStallWrapped(t *testing.T) {
	bubble(t, testserver.Config{IdleTimeout: time.Hour, Script: testserver.Script{testserver.On(testserver.Body, testserver.Stall()).Skip(1)}},
		func(t *testing.T, srv *testserver.Server) {
			c := wrapped(t, srv)
			slow := note("a@example.net")
			slow.Body = func() (io.ReadCloser, error) {
				return closer{&slowReader{n: 3, pause: 10 * time.Minute}, func() {}}, nil
			}
			if _, err := c.Send(t.Context(), slow); err != nil {
				t.Fatalf("slow body: %v", err)
			}
			m := note("b@example.net")
			m.Body = body(bigText)
			start := time.Now()
			res, err := c.Send(t.Context(), m)
			wantOneReason(t, err, smtpretry.ErrNoReconnect)
			wantStates(t, res, deferred)
			took(t, start, 3*time.Minute, 3*time.Minute)
		})
}

// TestEndlessReply: a reply that does not end is given up, and little of it is
// read.
func TestEndlessReply(t *testing.T) {
	for _, stage := range []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.Mail, testserver.Dot} {
		t.Run(string(stage), func(t *testing.T) {
			endless := testserver.Endless("250-" + strings.Repeat("x", 400))
			if stage == testserver.Greeting {
				endless = testserver.Endless("220-" + strings.Repeat("x", 400))
			}
			bubble(t, testserver.Config{Script: testserver.Script{testserver.On(stage, endless)}}, func(t *testing.T, srv *testserver.Server) {
				var read atomic.Int64
				c := client(t, srv, func(cfg *smtpretry.Config) {
					cfg.Policy.MaxAttempts = 1
					dial := cfg.Dialer.NetDial
					cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
						conn, err := dial(ctx, network, addr)
						return readCounter{conn, &read}, err
					}
				})
				res, err := c.Send(t.Context(), note("a@example.net"))
				if err == nil || res.Recipients[0].Verdict.Rule != "reply-too-long" {
					t.Errorf("got %v, want reply-too-long", err)
				}
				if n := read.Load(); n > 70_000 {
					t.Errorf("read %d octets", n)
				}
			})
		})
	}
}

type readCounter struct {
	net.Conn
	n *atomic.Int64
}

func (c readCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}
