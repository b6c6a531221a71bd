package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const behindTrip = 20 * time.Millisecond

// oneConn is for messages that queue for one connection, 20 ms away.
func oneConn(t *testing.T, srv *testserver.Server, change func(*smtpretry.Config)) *smtpretry.Client {
	srv.Network().SetDelay(behindTrip / 2)
	return client(t, srv, func(cfg *smtpretry.Config) {
		cfg.MaxConns = 1
		if change != nil {
			change(cfg)
		}
	})
}

// warm lets a message through, after which another's dot may be followed.
func warm(t *testing.T, c *smtpretry.Client) {
	t.Helper()
	if _, err := c.Send(t.Context(), note("warm@example.net")); err != nil {
		t.Fatal(err)
	}
}

// TestBehindRoundTrips: messages that queue for one connection take a round trip
// each, and one more at the beginning.
func TestBehindRoundTrips(t *testing.T) {
	const n = 50
	for name, way := range map[string]struct {
		server testserver.Config
		client func(*smtpretry.Config)
		trips  int
	}{
		"plain":       {trips: n + 1},
		"STARTTLS":    {server: testserver.Config{TLS: testserver.StartTLS}, trips: n + 1},
		"LMTP":        {server: testserver.Config{LMTP: true}, client: func(cfg *smtpretry.Config) { cfg.Dialer.LMTP = true }, trips: n + 1},
		"not offered": {server: testserver.Config{Without: []string{"PIPELINING"}}, trips: 4 * n},
		"turned off":  {client: stepByStep, trips: 4 * n},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, way.server, func(t *testing.T, srv *testserver.Server) {
				c := oneConn(t, srv, way.client)
				warm(t, c)
				start := time.Now()
				sendAll(t, c, n)
				want := time.Duration(way.trips) * behindTrip
				took(t, start, want, want)
				holds(t, srv, text, append(addresses(n), "warm@example.net")...)
			})
		})
	}
}

// TestBehindBigBody: what follows a body that is still on its way would wait
// for it, and is not sent.
func TestBehindBigBody(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := oneConn(t, srv, nil)
		warm(t, c)
		start := time.Now()
		var wg sync.WaitGroup
		for _, to := range addresses(10) {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), &smtpretry.Message{From: "me@example.org", To: []string{to}, Body: body(bigText[:72*600])}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		took(t, start, 20*behindTrip, 20*behindTrip)
	})
}

// TestBehindLimits: a message behind another one's dot counts as any other does.
func TestBehindLimits(t *testing.T) {
	const n = 40
	for name, test := range map[string]struct {
		limits testserver.Limits
		told   smtpretry.Limit
		least  time.Duration
		conns  int
	}{
		"messages per connection":            {limits: testserver.Limits{PerConn: 7}, told: smtpretry.Limit{PerConn: 7}, conns: 6},
		"messages per connection, announced": {limits: testserver.Limits{PerConn: 7, Announce: true}, conns: 6},
		"rate": {limits: testserver.Limits{Rate: testserver.Rate{N: 10, Burst: 1}}, told: smtpretry.Limit{Rate: 10, Burst: 1},
			least: 3900 * time.Millisecond, conns: 1},
		"quota": {limits: testserver.Limits{Quota: testserver.Quota{N: 10, Per: 10 * time.Second}},
			told: smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 10, Per: 10 * time.Second}}}, least: 40 * time.Second, conns: 1},
		"recipients": {limits: testserver.Limits{Recipients: testserver.Rate{N: 5, Burst: 5}}, told: smtpretry.Limit{Recipients: 5, Burst: 5},
			least: 7 * time.Second, conns: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{Limits: test.limits}, func(t *testing.T, srv *testserver.Server) {
				l := smtpretry.NewLimiter(smtpretry.Limit{})
				if err := l.SetLimit(srv.Addr(), test.told); err != nil {
					t.Fatal(err)
				}
				c := oneConn(t, srv, func(cfg *smtpretry.Config) { cfg.Limiter = l })
				warm(t, c)
				start := time.Now()
				sendAll(t, c, n)
				took(t, start, test.least, test.least+2*time.Minute)
				if st := srv.Stats(); st.Violations != 0 || st.Conns != test.conns || st.MostOpen != 1 || st.Accepted != n+1 {
					t.Errorf("%d violations %v, %d connections, %d at once, %d accepted; want 0, %d, 1, %d",
						st.Violations, st.Refused, st.Conns, st.MostOpen, st.Accepted, test.conns, n+1)
				}
			})
		})
	}
}

// A pair is two messages, b behind the dot of a.
type pair struct {
	c    *smtpretry.Client
	a, b *smtpretry.Message
	ctxA context.Context
	ctxB context.Context
	resA *smtpretry.Result
	resB *smtpretry.Result
	errA error
	errB error
	endA time.Duration // since a's dot was sent
	endB time.Duration
}

// send sends both; a's dot and b's commands go out a round trip later.
func (p *pair) send(t *testing.T) {
	warm(t, p.c)
	if p.ctxA == nil {
		p.ctxA = t.Context()
	}
	if p.ctxB == nil {
		p.ctxB = t.Context()
	}
	dot := time.Now().Add(behindTrip)
	var wg sync.WaitGroup
	wg.Go(func() { p.resA, p.errA = p.c.Send(p.ctxA, p.a); p.endA = time.Since(dot) })
	synctest.Wait()
	wg.Go(func() { p.resB, p.errB = p.c.Send(p.ctxB, p.b); p.endB = time.Since(dot) })
	wg.Wait()
}

func newPair(c *smtpretry.Client) *pair {
	return &pair{c: c, a: note("a@example.net"), b: note("b@example.net")}
}

// of makes a rule one for the message to an address; a dot knows the sender only.
func of(name string) func(testserver.At) bool {
	return func(at testserver.At) bool { return strings.HasPrefix(at.From, name) }
}

func fromEach(p *pair) *pair {
	p.a.From, p.b.From = "a@example.org", "b@example.org"
	return p
}

// TestBehindFaults: whatever the server does to the dot of a message and to the
// commands behind it, both end as they do when commands go out one at a time, and
// as often as the server says it has them.
func TestBehindFaults(t *testing.T) {
	stages := []testserver.Stage{testserver.Mail, testserver.Rcpt, testserver.Data, testserver.Dot}
	cells := 0
	for _, first := range append([]fault{{name: "none"}}, faults...) {
		for _, keep := range []bool{false, true} {
			for _, second := range behindFaults {
				for _, stage := range stages {
					if first.do == nil && keep || second.do == nil && stage != stages[0] {
						continue
					}
					cells++
					name := fmt.Sprintf("%s (kept: %v), then %s/%s", first.name, keep, stage, second.name)
					meet := func(change func(*smtpretry.Config)) (end string) {
						var script testserver.Script
						if first.do != nil {
							do := *first.do
							if keep {
								do = *do.Keep()
							}
							script = append(script, testserver.On(testserver.Dot, &do).When(of("a@")))
						}
						if second.do != nil {
							do := *second.do
							script = append(script, testserver.On(stage, &do).When(of("b@")).Always())
						}
						bubble(t, testserver.Config{Script: script}, func(t *testing.T, srv *testserver.Server) {
							c := oneConn(t, srv, change)
							c.CommandTimeout, c.SubmissionTimeout = time.Minute, 10*time.Second
							p := fromEach(newPair(c))
							ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
							defer cancel()
							p.ctxA, p.ctxB = ctx, ctx
							p.send(t)
							end = fmt.Sprintf("%v %v %d, %v %v %d", states(p.resA), cause(p.errA), copies(srv, "a@example.net"),
								states(p.resB), cause(p.errB), copies(srv, "b@example.net"))
						})
						return end
					}
					if got, want := meet(nil), meet(stepByStep); got != want {
						t.Errorf("%s:\n%s, step by step\n%s", name, got, want)
					}
				}
			}
		}
	}
	if cells < 700 {
		t.Errorf("only %d cells", cells)
	}
}

// behindFaults are those of the second message.
var behindFaults = append([]fault{{name: "none"}}, slices.DeleteFunc(slices.Clone(faults), func(f fault) bool {
	return !slices.Contains([]string{"421-close", "450", "554", "close", "reset", "garbage"}, f.name)
})...)

// cause returns the cause that a message failed for.
func cause(err error) string {
	var e *smtpretry.SendError
	if !errors.As(err, &e) {
		return "-"
	}
	return fmt.Sprint(smtpretry.Classify(e.Last, smtpretry.StageUnknown).Class)
}

// copies counts the messages that the server has for an address.
func copies(srv *testserver.Server, to string) (n int) {
	for _, m := range srv.Messages() {
		if slices.ContainsFunc(m.To, func(r testserver.Recipient) bool { return r.Addr == to }) {
			n++
		}
	}
	return n
}

// TestBehindHungDot: a message does not share the patience with which the one
// before it waits for the reply to its dot.
func TestBehindHungDot(t *testing.T) {
	cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Dot, testserver.Pass().After(5*time.Minute)).When(of("a@"))}}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		srv.Network().SetDelay(behindTrip / 2)
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns = 2 })
		p := fromEach(newPair(c))
		// Another one keeps the second connection from b for a while.
		other := note("c@example.net")
		other.Body = func() (io.ReadCloser, error) {
			time.Sleep(time.Second)
			return body(text)()
		}
		warm(t, c)
		go func() {
			if _, err := c.Send(t.Context(), other); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		p.send(t)
		if p.errA != nil || p.errB != nil {
			t.Fatal(p.errA, p.errB)
		}
		if p.endA < 5*time.Minute || p.endB < 30*time.Second || p.endB > 31*time.Second {
			t.Errorf("a took %v, b %v; want 5 minutes and 30 seconds\n%v", p.endA, p.endB, p.resB.Attempts)
		}
		if charged(p.resB) != 1 {
			t.Errorf("%d attempts charged, want 1", charged(p.resB))
		}
		holds(t, srv, text, "warm@example.net", "warm@example.net", "a@example.net", "b@example.net", "c@example.net")
	})
}

// TestBehindContext: the end of one message's context is not the other's.
func TestBehindContext(t *testing.T) {
	for _, ended := range []string{"a@", "b@"} {
		t.Run(ended, func(t *testing.T) {
			cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Dot, testserver.Pass().After(10*time.Second)).When(of("a@"))}}
			bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				p := fromEach(newPair(oneConn(t, srv, nil)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if ended == "a@" {
					p.ctxA = ctx
				} else {
					p.ctxB = ctx
				}
				p.send(t)
				if ended == "a@" {
					wantStates(t, p.resA, inDoubt)
					wantStates(t, p.resB, accepted)
					if p.endA > time.Second {
						t.Errorf("a took %v", p.endA)
					}
					return
				}
				wantStates(t, p.resA, accepted)
				if p.errB == nil || !errors.Is(p.errB, context.DeadlineExceeded) || p.endB > time.Second {
					t.Errorf("b: %v after %v", p.errB, p.endB)
				}
				holds(t, srv, text, "warm@example.net", "a@example.net")
				warm(t, p.c) // the server still waits for b's body on the other one
				if n := srv.Stats().Conns; n != 2 {
					t.Errorf("%d connections, want 2", n)
				}
			})
		})
	}
}

// TestBehindBody: a body that cannot be read, or panics, ends its own message
// only.
func TestBehindBody(t *testing.T) {
	broken := errors.New("no paper")
	for name, open := range map[string]func() (io.ReadCloser, error){
		"not opened":   func() (io.ReadCloser, error) { return nil, broken },
		"not read":     func() (io.ReadCloser, error) { return io.NopCloser(failingBody{broken}), nil },
		"panics":       func() (io.ReadCloser, error) { panic(broken) },
		"panics later": func() (io.ReadCloser, error) { return io.NopCloser(&lateBody{left: 40, err: broken}), nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
				c := oneConn(t, srv, nil)
				p := newPair(c)
				p.b.Body = open
				warm(t, c)
				var wg sync.WaitGroup
				wg.Go(func() { p.resA, p.errA = c.Send(t.Context(), p.a) })
				synctest.Wait()
				wg.Go(func() {
					defer func() {
						if v := recover(); v != nil {
							p.errB = v.(error)
						}
					}()
					p.resB, p.errB = c.Send(t.Context(), p.b)
				})
				wg.Wait()
				if p.errA != nil || !errors.Is(p.errB, broken) {
					t.Errorf("a: %v, b: %v", p.errA, p.errB)
				}
				warm(t, c)
				holds(t, srv, text, "warm@example.net", "a@example.net", "warm@example.net")
			})
		})
	}
}

// TestBehindNotAhead: what cannot go out ahead waits for its turn, and goes as
// ever.
func TestBehindNotAhead(t *testing.T) {
	for name, change := range map[string]func(*smtpretry.Message){
		"many recipients": func(m *smtpretry.Message) { m.To = addresses(300) },
		"MAIL options":    func(m *smtpretry.Message) { m.MailOptions = &smtp.MailOptions{EnvelopeID: "x"} },
		"RCPT options": func(m *smtpretry.Message) {
			m.RcptOptions = func(string) *smtp.RcptOptions {
				return &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}
			}
		},
		"too large": func(m *smtpretry.Message) { m.Size, m.Body = 2000, body(bigText[:2000]) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{MaxSize: 1000}, func(t *testing.T, srv *testserver.Server) {
				p := newPair(oneConn(t, srv, nil))
				change(p.b)
				p.send(t)
				if p.errA != nil || len(p.resB.Attempts) != 1 {
					t.Errorf("%v, %v: %v", p.errA, p.errB, p.resB)
				}
				if p.b.Size > 0 {
					wantStates(t, p.resB, rejected)
					return
				}
				if p.errB != nil || p.endB != 3*behindTrip || srv.Stats().Conns != 1 {
					t.Errorf("b: %v after %v, %d connections", p.errB, p.endB, srv.Stats().Conns)
				}
			})
		})
	}
}

// TestBehindUnsent: commands that cannot be written behind a dot go another way,
// and do not take the reply to the dot along.
func TestBehindUnsent(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		var broken atomic.Bool
		dial := countedDial(t, srv)
		p := newPair(oneConn(t, srv, func(cfg *smtpretry.Config) {
			cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return &stuckConn{Conn: conn, to: "RCPT TO:<b@", stuck: &broken}, err
			}
		}))
		p.send(t)
		if p.errA != nil || p.errB != nil || !broken.Load() {
			t.Errorf("%v, %v, broken: %v", p.errA, p.errB, broken.Load())
		}
		if charged(p.resB) != 1 || srv.Stats().Conns != 2 {
			t.Errorf("%d attempts charged, %d connections; want 1 and 2", charged(p.resB), srv.Stats().Conns)
		}
		holds(t, srv, text, "warm@example.net", "a@example.net", "b@example.net")
	})
}

// A stuckConn fails the first write that has something in it.
type stuckConn struct {
	net.Conn
	to    string
	stuck *atomic.Bool
}

func (c *stuckConn) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.to) && c.stuck.CompareAndSwap(false, true) {
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Write(p)
}

// A lateBody panics after some parts.
type lateBody struct {
	left int
	err  error
}

func (b *lateBody) Read(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		panic(b.err)
	}
	for i := range p {
		p[i] = "0123456789abcdef\r\n"[i%18]
	}
	return len(p) / 18 * 18, nil
}

// TestBehindUnable: a server that throws away what has come behind a dot costs
// one message a moment, and later ones nothing.
func TestBehindUnable(t *testing.T) {
	cfg := testserver.Config{Ahead: testserver.DropBehind}
	cfg.Script = testserver.Script{testserver.On(testserver.Dot, testserver.Pass().After(time.Second)).Always()}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := oneConn(t, srv, nil)
		c.CommandTimeout = time.Minute
		p := newPair(c)
		p.send(t)
		if p.errA != nil || p.errB != nil || charged(p.resA) != 1 || charged(p.resB) != 1 || len(p.resB.Attempts) != 2 {
			t.Errorf("%+v %v, %v: %d and %d charged", p.resA.Attempts, p.errA, p.errB, charged(p.resA), charged(p.resB))
		}
		start := time.Now()
		sendAll(t, c, 10)
		took(t, start, 10*(time.Second+2*behindTrip), 10*(time.Second+2*behindTrip))
	})
}

// TestBehindClosed: a server that closes the connection behind its reply to a
// dot, with commands not read, takes nothing back.
func TestBehindClosed(t *testing.T) {
	const n = 60
	cfg := testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Dot, testserver.Reply("250 2.0.0 Ok").After(5*time.Millisecond).ThenClose()).
			When(func(at testserver.At) bool { return at.Message%3 == 0 }).Always(),
		testserver.On(testserver.Dot, testserver.Pass().After(5*time.Millisecond)).Always(),
	}}
	srv, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: srv.Addr()}, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sendAll(t, c, n)
	for _, to := range addresses(n) {
		if got := copies(srv, to); got != 1 {
			t.Errorf("%d copies for %s", got, to)
		}
	}
}
