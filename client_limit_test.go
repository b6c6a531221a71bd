package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestOneConnectionTooMany: a client that may open more connections than the
// host takes sends over those that work, does not knock in vain again and
// again, and tries for more with growing pauses.
func TestOneConnectionTooMany(t *testing.T) {
	const messages = 400
	bubble(t, testserver.Config{
		Limits: testserver.Limits{MaxConns: 2},
		Script: testserver.Script{testserver.On(testserver.Dot, testserver.Pass().After(100*time.Millisecond)).Always()},
	}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns = 5 })
		start := time.Now()
		var wg sync.WaitGroup
		for range messages {
			wg.Go(func() {
				res, err := c.Send(t.Context(), note("you@example.net"))
				if err != nil {
					t.Error(err)
					return
				}
				for _, a := range res.Attempts {
					if a.Charged && a.Verdict.Cause == smtpretry.CauseConnectionLimit {
						t.Errorf("charged for %v", a.Verdict)
					}
				}
			})
		}
		wg.Wait()
		took := time.Since(start)
		if least := messages / 2 * 100 * time.Millisecond; took > least*11/10 {
			t.Errorf("took %v, with two connections it takes %v", took, least)
		}
		// Three refusals at once, then one after 1, 2, 4, 8 ... seconds.
		if n := srv.Stats().Refused[testserver.ByMaxConns]; n > 9 {
			t.Errorf("knocked %d times in vain within %v", n, took)
		}
		if n := len(srv.Messages()); n != messages {
			t.Errorf("server holds %d messages, want %d", n, messages)
		}
	})
}

// TestQuota is the newsletter of 2,001 messages to a provider that allows
// 2,000 in 24 hours: the last one waits, and nobody is blocked.
func TestQuota(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{Quota: testserver.Quota{N: 2000, Per: 24 * time.Hour}},
		Bodies: testserver.KeepSize,
	}, func(t *testing.T, srv *testserver.Server) {
		l := smtpretry.NewLimiter(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 2000, Per: 24 * time.Hour}}})
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = l
			cfg.Policy.MaxElapsed = -1
		})
		start := time.Now()
		for range 2000 {
			if _, err := c.Send(t.Context(), note("you@example.net")); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("2,000 took %v", took)
		}
		var limit *smtpretry.LimitError
		if _, err := c.Try(t.Context(), note("you@example.net")); !errors.As(err, &limit) || limit.For != "quota" {
			t.Errorf("Try of the 2,001st: %v, want a LimitError about the quota", err)
		}
		if text := l.Explain("127.0.0.1").String(); !strings.Contains(text, "quota") {
			t.Errorf("Explain does not name the quota:\n%s", text)
		}
		if _, err := c.Send(t.Context(), note("you@example.net")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 24*time.Hour || took > 24*time.Hour+10*time.Minute {
			t.Errorf("the 2,001st went after %v, want soon after 24 h", took)
		}
		if s := srv.Stats(); s.Violations != 0 || s.Accepted != 2001 {
			t.Errorf("%d violations, %d accepted; want 0 and 2,001", s.Violations, s.Accepted)
		}
	})
}

// TestBudgetIncludesLimits: waiting for a limit is part of Policy.MaxElapsed.
func TestBudgetIncludesLimits(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerHour(1)})
		})
		if _, err := c.Send(t.Context(), note("you@example.net")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := c.Send(t.Context(), note("you@example.net"))
		var limit *smtpretry.LimitError
		if !errors.Is(err, smtpretry.ErrExhausted) || !errors.As(err, &limit) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want ErrExhausted and a LimitError at once", err, time.Since(start))
		}
	})
}

// TestBudgetEndsAWait: a wait of which nobody knows how long it takes ends with
// Policy.MaxElapsed, each at its own time, or before with its context.
func TestBudgetEndsAWait(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Pass().After(time.Minute))}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxElapsed = 10 * time.Second })
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := c.Send(t.Context(), note("first@example.net")); err != nil {
					t.Error(err)
				}
			})
			for i := range 9 {
				time.Sleep(time.Second)
				wg.Go(func() {
					ctx, most := t.Context(), 10*time.Second
					if i%3 == 1 {
						most = 5 * time.Second
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, most)
						defer cancel()
					}
					start := time.Now()
					_, err := c.Send(ctx, note("you@example.net"))
					took(t, start, most, most)
					var wait *smtpretry.WaitError
					if !errors.As(err, &wait) || wait.For != "connections" || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, want the end of a wait for a connection", err)
					}
					if exhausted := errors.Is(err, smtpretry.ErrExhausted); exhausted != (ctx == t.Context()) {
						t.Errorf("got %v: it is exhausted: %v", err, exhausted)
					}
				})
			}
			wg.Wait()
			if _, err := c.Send(t.Context(), note("last@example.net")); err != nil {
				t.Error(err)
			}
			holds(t, srv, text, "first@example.net", "last@example.net")
		})
}

// TestWaitingPanics: a message whose trace panics leaves the line, whatever the
// caller makes of it.
func TestWaitingPanics(t *testing.T) {
	for _, served := range []bool{false, true} { // before it panics
		bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Pass().After(time.Minute))}},
			func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := c.Send(t.Context(), note("first@example.net")); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Second)
				wg.Go(func() {
					defer func() {
						if recover() == nil {
							t.Error("no panic")
						}
					}()
					m := note("broken@example.net")
					m.Trace = &smtpretry.Trace{Waiting: func(smtpretry.Wait) {
						if served {
							time.Sleep(time.Hour)
						}
						panic("broken")
					}}
					_, _ = c.Send(t.Context(), m)
				})
				wg.Wait()
				start := time.Now()
				if _, err := c.Send(t.Context(), note("last@example.net")); err != nil {
					t.Error(err)
				}
				took(t, start, 0, 0)
				holds(t, srv, text, "first@example.net", "last@example.net")
			})
	}
}

// TestSharedPause: when the host is busy, one message finds out for all.
func TestSharedPause(t *testing.T) {
	const senders = 1000
	bubble(t, testserver.Config{
		Script: testserver.Script{testserver.On(testserver.Mail, testserver.Reply("421 4.3.2 Service busy, try again later").ThenClose()).For(20 * time.Second)},
		Bodies: testserver.KeepSize,
	}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns = 5 })
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), note("you@example.net")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s := srv.Stats(); s.Accepted != senders || s.Mails > senders*3/2 {
			t.Errorf("%d accepted with %d calls; want %d with at most %d", s.Accepted, s.Mails, senders, senders*3/2)
		}
	})
}

// TestAttemptNext: a trace can tell when each recipient is next.
func TestAttemptNext(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted, try again in 300 seconds")).To("grey@"),
		testserver.On(testserver.Rcpt, testserver.Reply("452 4.2.2 Mailbox full")).To("full@"),
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@"),
	}}, func(t *testing.T, srv *testserver.Server) {
		var first *smtpretry.Attempt
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Trace = &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) {
				if first == nil {
					first = &a
				}
			}}
		})
		_, _ = c.Send(t.Context(), note("grey@example.net", "full@example.net", "nobody@example.net", "ok@example.net"))
		synctest.Wait()
		var got []string
		for _, r := range first.Recipients {
			in := "never"
			if !r.Next.IsZero() {
				in = "soon"
				if r.Next.Sub(first.End) >= 5*time.Minute {
					in = "later"
				}
			}
			got = append(got, in)
		}
		if s := fmt.Sprint(got); s != "[later soon never never]" {
			t.Errorf("next tries are %s, want later, soon, never and never", s)
		}
		if want := first.Recipients[1].Next; !first.Next.Equal(want) {
			t.Errorf("the attempt's Next is %v, want the earliest, %v", first.Next, want)
		}
	})
}

// TestWhoseDeadline: a wait for a limit ends by the policy or by the context,
// whichever is earlier, and the error says which.
func TestWhoseDeadline(t *testing.T) {
	for _, test := range []struct {
		name             string
		elapsed, timeout time.Duration
		exhausted        bool
	}{
		{"the policy's", 10 * time.Minute, 2 * time.Hour, true},
		{"the context's", 10 * time.Minute, 5 * time.Minute, false},
		{"the context's alone", -1, 5 * time.Minute, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) {
					cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerHour(1)})
					cfg.Policy.MaxElapsed = test.elapsed
				})
				if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				start := time.Now()
				_, err := c.Send(ctx, note("b@example.net"))
				took(t, start, 0, 0)
				var limit *smtpretry.LimitError
				if !errors.As(err, &limit) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v, want a LimitError about a deadline", err)
				}
				if got := errors.Is(err, smtpretry.ErrExhausted); got != test.exhausted {
					t.Errorf("%v: ErrExhausted is %v, want %v", err, got, test.exhausted)
				}
			})
		})
	}
}

// TestPauseBeforeTheNext: a message that waits for the connection on which the
// host asks for a pause does not go out on it before the pause is over.
func TestPauseBeforeTheNext(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("451 4.3.2 System overloaded, try again later").After(10*time.Millisecond)),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		if n := srv.Stats().Mails; n != 1 {
			t.Errorf("%d messages were offered at once, want 1", n)
		}
		wg.Wait()
	})
}

// TestRateAtRcpt: a host that has had enough recipients for now is not offered
// the rest of them, which count as errors with some, unless they went out with
// the others.
func TestRateAtRcpt(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{Recipients: testserver.Rate{N: 1, Burst: 3}}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, stepByStep)
			to := addresses(10)
			if _, err := c.Send(t.Context(), note(to...)); err != nil {
				t.Fatal(err)
			}
			holds(t, srv, text, to...)
			if n := srv.Stats().Refused[testserver.ByRecipients]; n > 7 {
				t.Errorf("%d recipients were refused", n)
			}
		})
}
