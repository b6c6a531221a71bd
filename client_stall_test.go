package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A fault is what a server does once, at one stage of a message.
type fault struct {
	name string
	do   *testserver.Action
	kind faultKind
}

type faultKind int

const (
	puts421   faultKind = iota // 421: go away
	putsOff                    // 4yz
	refuses                    // 5yz
	hangsUp                    // the link breaks
	confuses                   // no reply, or none that can be understood
	succeeds2                  // 2yz, another one than is due
	succeeds3                  // 3yz where it is not due
)

var faults = []fault{
	{"421-close", testserver.Reply("421 4.3.2 Service shutting down").ThenClose(), puts421},
	{"421-open", testserver.Reply("421 4.3.2 Service shutting down"), puts421},
	{"450", testserver.Reply("450 4.3.0 Try again"), putsOff},
	{"451-lines", testserver.Reply("451-4.3.0 Try\n451 4.3.0 again"), putsOff},
	{"554", testserver.Reply("554 5.0.0 No"), refuses},
	{"close", testserver.Close(), hangsUp},
	{"reset", testserver.Reset(), hangsUp},
	{"stall", testserver.Stall(), confuses},
	{"garbage", testserver.Raw("xyz hello\r\n"), confuses},
	{"mixed", testserver.Reply("250-ok\n550 no"), confuses}, // net/textproto takes the second line for a part of the first
	{"endless", testserver.Endless("250-and another line of it").Drip(time.Millisecond), confuses},
	{"2yz", testserver.Reply("221 hm"), succeeds2},
	{"3yz", testserver.Reply("320 hm"), succeeds3},
}

// The ways to come by the connection on which the fault is met.
const (
	fresh       = "fresh"   // dialled for the message, with STARTTLS and AUTH
	reused      = "reused"  // after another message
	withoutDial = "wrapped" // wrapped, and there is never another
)

// TestFaults meets every fault at every stage. What is to come of it follows
// from the few rules of expect.
func TestFaults(t *testing.T) {
	stages := []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.TLS, testserver.Auth,
		testserver.Mail, testserver.Rcpt, testserver.Data, testserver.Body, testserver.Dot}
	cells := 0
	for _, mode := range []string{fresh, reused, withoutDial} {
		for _, stage := range stages {
			for _, f := range faults {
				if !possible(mode, stage, f) {
					continue
				}
				cells++
				t.Run(fmt.Sprintf("%s/%s/%s", mode, stage, f.name), func(t *testing.T) { meetFault(t, mode, stage, f) })
			}
		}
	}
	t.Logf("%d cells", cells)
}

func possible(mode string, stage testserver.Stage, f fault) bool {
	switch {
	case mode == reused && position(stage) < position(testserver.Mail):
		return false // behind us
	case mode == withoutDial && (stage == testserver.TLS || stage == testserver.Auth):
		return false // done before it was wrapped
	case mode == withoutDial && f.name == "endless":
		return false // nothing bounds the reply on a socket that cannot be seen
	case stage == testserver.Body && (f.kind == succeeds2 || f.kind == succeeds3 || f.name == "endless"):
		return false // it is taken for the reply to the dot
	}
	return true
}

func position(s testserver.Stage) smtpretry.Stage {
	var p smtpretry.Stage
	if err := p.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return p
}

// A fate is what is to become of a message that meets a fault.
type fate struct {
	state    smtpretry.State
	reason   error // nil: delivered
	attempts int
	charged  int
	reply    bool // the error holds the server's reply
}

// expect says what the design promises.
func expect(mode string, stage testserver.Stage, f fault) fate {
	at := position(stage)
	delivered := fate{state: smtpretry.Accepted, attempts: 2, charged: 2}
	switch {
	case at == smtpretry.StageDot && f.kind == succeeds2:
		return fate{state: smtpretry.Accepted, attempts: 1, charged: 1} // any 2yz accepts
	case at == smtpretry.StageDot && (f.kind == hangsUp || f.kind == confuses || f.kind == succeeds3),
		at == smtpretry.StageBody && f.kind == confuses && f.name != "stall":
		return fate{state: smtpretry.InDoubt, reason: smtpretry.ErrInDoubt, attempts: 1, charged: 1, reply: f.kind == succeeds3}
	case f.kind == refuses && at < smtpretry.StageMail:
		return fate{state: smtpretry.Deferred, reason: smtpretry.ErrRefused, attempts: 1, charged: 1, reply: true}
	case f.kind == refuses:
		return fate{state: smtpretry.Rejected, reason: smtpretry.ErrRejected, attempts: 1, charged: 1, reply: true}
	case f.name == "garbage" && at == smtpretry.StageGreeting && mode == fresh:
		return fate{state: smtpretry.Deferred, reason: smtpretry.ErrRefused, attempts: 1, charged: 1} // no SMTP server
	}
	stale := mode != fresh && at <= smtpretry.StageMail && (f.kind == puts421 || f.kind == hangsUp)
	if stale || mode == reused && f.kind == puts421 {
		delivered.charged--
	}
	if mode == withoutDial {
		if f.kind == putsOff && at >= smtpretry.StageMail {
			return delivered // over the same connection
		}
		lost := at == smtpretry.StageBody && f.name == "421-close" // unread behind the broken upload
		return fate{state: smtpretry.Deferred, reason: smtpretry.ErrNoReconnect, attempts: 1, charged: delivered.charged - 1,
			reply: !lost && f.kind != hangsUp && f.kind != confuses}
	}
	return delivered
}

func meetFault(t *testing.T, mode string, stage testserver.Stage, f fault) {
	sent, do := text, f.do
	if stage == testserver.Body {
		sent, do = bigText, f.do.AtByte(100_000)
	}
	cfg := testserver.Config{Script: testserver.Script{testserver.On(stage, do)}}
	switch mode {
	case fresh:
		cfg.TLS, cfg.RequireTLS, cfg.RequireAuth = testserver.StartTLS, true, true
		cfg.Users = map[string]string{"me": "secret"}
	case reused:
		cfg.Script = testserver.Script{testserver.On(stage, do).Skip(1)}
	}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		var c *smtpretry.Client
		if mode == withoutDial {
			c = wrapped(t, srv)
		} else {
			c = client(t, srv, func(cfg *smtpretry.Config) {
				if mode == fresh {
					cfg.Auth = func(context.Context) (sasl.Client, error) { return sasl.NewPlainClient("", "me", "secret"), nil }
				}
			})
		}
		var to []string
		send := func(addr string) (*smtpretry.Result, error) {
			m := note(addr)
			m.Body = body(sent)
			return c.Send(t.Context(), m)
		}
		if mode == reused {
			if _, err := send("first@example.net"); err != nil {
				t.Fatal(err)
			}
			to = append(to, "first@example.net")
		}
		want := expect(mode, stage, f)
		start := time.Now()
		res, err := send("you@example.net")
		wantStates(t, res, want.state)
		if !errors.Is(err, want.reason) {
			t.Errorf("error %v, want %v", err, want.reason)
		}
		if err != nil {
			wantOneReason(t, err, want.reason)
			if reply := replyIn(err); (reply != nil) != want.reply {
				t.Errorf("the error holds the reply %v, want one: %v", reply, want.reply)
			}
		}
		if got := len(res.Attempts); got != want.attempts {
			t.Errorf("%d attempts, want %d", got, want.attempts)
		}
		if got := charged(res); got != want.charged {
			t.Errorf("%d attempts charged, want %d", got, want.charged)
		}
		if want.charged < want.attempts && time.Since(start) != 0 {
			t.Errorf("waited %v where no time was to be lost", time.Since(start))
		}
		if want.state == smtpretry.Accepted {
			to = append(to, "you@example.net")
		}
		holds(t, srv, sent, to...)
		if t.Failed() {
			t.Logf("error: %v\n%s", err, srv.Transcript())
		}

		// Nothing of it is left for the next message.
		if mode != withoutDial && want.reason != smtpretry.ErrRefused {
			if _, err := send("next@example.net"); err != nil {
				t.Errorf("the next message: %v", err)
			}
			holds(t, srv, sent, append(to, "next@example.net")...)
		}
		c.Close()
		synctest.Wait()
	})
}

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
