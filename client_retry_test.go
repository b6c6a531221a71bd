package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const (
	accepted = smtpretry.Accepted
	deferred = smtpretry.Deferred
	rejected = smtpretry.Rejected
	inDoubt  = smtpretry.InDoubt
)

// TestRecipients: each recipient is accounted for by itself, in the caller's
// order, and only those that were put off are tried again.
func TestRecipients(t *testing.T) {
	const a, b, c = "a@example.net", "b@example.net", "c@example.net"
	on := testserver.On
	off := testserver.Reply("450 4.2.0 Try again")
	no := testserver.Reply("550 5.1.1 No such user")
	tests := []struct {
		name     string
		script   testserver.Script
		to       []string
		states   []smtpretry.State
		holds    []string
		reasons  []error
		attempts int
		code     int // of the reply in the error
	}{
		{"all good", nil,
			[]string{c, a, b}, []smtpretry.State{accepted, accepted, accepted}, []string{a, b, c}, nil, 1, 0},
		{"one refused", testserver.Script{on(testserver.Rcpt, no).To(b).Always()},
			[]string{a, b, c}, []smtpretry.State{accepted, rejected, accepted}, []string{a, c},
			[]error{smtpretry.ErrRejected, smtpretry.ErrPartial}, 1, 550},
		{"one put off", testserver.Script{on(testserver.Rcpt, off).To(b).Times(2)},
			[]string{a, b, c}, []smtpretry.State{accepted, accepted, accepted}, []string{a, b, c}, nil, 3, 0},
		{"one refused, one put off", testserver.Script{on(testserver.Rcpt, no).To(a), on(testserver.Rcpt, off).To(b)},
			[]string{a, b, c}, []smtpretry.State{rejected, accepted, accepted}, []string{b, c},
			[]error{smtpretry.ErrRejected, smtpretry.ErrPartial}, 2, 550},
		{"first put off, then refused", testserver.Script{on(testserver.Rcpt, off).To(b), on(testserver.Rcpt, no).To(b)},
			[]string{a, b}, []smtpretry.State{accepted, rejected}, []string{a},
			[]error{smtpretry.ErrRejected, smtpretry.ErrPartial}, 2, 550},
		{"one put off for ever", testserver.Script{on(testserver.Rcpt, off).To(b).Always()},
			[]string{b, a}, []smtpretry.State{deferred, accepted}, []string{a},
			[]error{smtpretry.ErrExhausted, smtpretry.ErrPartial}, 5, 450},
		{"all refused", testserver.Script{on(testserver.Rcpt, no).Always()},
			[]string{a, b}, []smtpretry.State{rejected, rejected}, nil, []error{smtpretry.ErrRejected}, 1, 550},
		{"all put off, then one refused at the dot", testserver.Script{on(testserver.Rcpt, off).Times(2), on(testserver.Dot, no)},
			[]string{a, b}, []smtpretry.State{rejected, rejected}, nil, []error{smtpretry.ErrRejected}, 2, 550},
		{"lost after one was taken", testserver.Script{on(testserver.Rcpt, testserver.Close()).To(b)},
			[]string{a, b}, []smtpretry.State{accepted, accepted}, []string{a, b}, nil, 2, 0},
		{"421 after one was taken", testserver.Script{on(testserver.Rcpt, testserver.Reply("421 4.3.2 Bye").ThenClose()).To(b)},
			[]string{a, b}, []smtpretry.State{accepted, accepted}, []string{a, b}, nil, 2, 0},
		{"an address twice", testserver.Script{on(testserver.Rcpt, no).To(b).Always()},
			[]string{a, b, "a@EXAMPLE.net", b}, []smtpretry.State{accepted, rejected, accepted, rejected}, []string{a},
			[]error{smtpretry.ErrRejected, smtpretry.ErrPartial}, 1, 550},
		{"the same but for the case of the local part", nil,
			[]string{a, "A@example.net"}, []smtpretry.State{accepted, accepted}, []string{a, "A@example.net"}, nil, 1, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: test.script}, func(t *testing.T, srv *testserver.Server) {
				cl := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 5 })
				res, err := cl.Send(t.Context(), note(test.to...))
				wantStates(t, res, test.states...)
				for i, r := range res.Recipients {
					if r.Address != test.to[i] {
						t.Errorf("entry %d is %s, want %s", i, r.Address, test.to[i])
					}
				}
				holds(t, srv, text, test.holds...)
				if len(res.Attempts) != test.attempts {
					t.Errorf("%d attempts, want %d", len(res.Attempts), test.attempts)
				}
				if (err != nil) != (test.reasons != nil) {
					t.Fatalf("error %v", err)
				}
				if err == nil {
					return
				}
				wantOneReason(t, err, test.reasons...)
				if reply := replyIn(err); reply == nil || reply.Code != test.code {
					t.Errorf("errors.As finds %v, want the %d", reply, test.code)
				}
			})
		})
	}
}

// TestTooManyRecipients: those beyond what the server takes at once go out in
// the next transactions, at once and not charged, and it is not asked for more
// again.
func TestTooManyRecipients(t *testing.T) {
	for _, reply := range []string{"452 4.5.3 Too many recipients", "552 5.5.3 Too many recipients"} {
		for refused, change := range map[int]func(*smtpretry.Config){7: func(*smtpretry.Config) {}, 1: stepByStep} {
			t.Run(fmt.Sprint(reply[:3], "/", refused), func(t *testing.T) {
				bubble(t, testserver.Config{Limits: testserver.Limits{PerMessage: 3,
					Replies: map[testserver.Limit]*testserver.Action{testserver.ByPerMessage: testserver.Reply(reply)}}},
					func(t *testing.T, srv *testserver.Server) {
						c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 1; change(cfg) })
						to := addresses(10)
						start := time.Now()
						res, err := c.Send(t.Context(), note(to...))
						if err != nil {
							t.Fatal(err)
						}
						took(t, start, 0, 0)
						holds(t, srv, text, to...)
						if got := len(res.Attempts); got != 4 {
							t.Errorf("%d transactions, want 4", got)
						}
						if got := srv.Stats().Refused[testserver.ByPerMessage]; got != refused {
							t.Errorf("the server refused %d recipients, want %d: the one that told, and those that went with it", got, refused)
						}
					})
			})
		}
	}
}

// TestTooManyRecipientsAndGone: when the server goes away in the middle, the
// rest do not knock again at once either.
func TestTooManyRecipientsAndGone(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{PerMessage: 1},
		Script: testserver.Script{testserver.On(testserver.Data, testserver.Reply("421 4.3.2 Bye").ThenClose())},
	}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		to := addresses(5)
		start := time.Now()
		if _, err := c.Send(t.Context(), note(to...)); err != nil {
			t.Fatal(err)
		}
		took(t, start, 2500*time.Millisecond, 7500*time.Millisecond)
		holds(t, srv, text, to...)
		if n := srv.Stats().Conns; n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	})
}

func addresses(n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("r%03d@example.net", i)
	}
	return to
}

// TestStaleConnection: a kept connection that the server has closed, or on
// which it has spoken unasked, is replaced without a wait, and the message counts one attempt.
func TestStaleConnection(t *testing.T) {
	for name, idle := range map[string]*testserver.Action{
		"closed":      testserver.Close(),
		"reset":       testserver.Reset(),
		"421 notice":  testserver.Reply("421 4.4.2 Error: timeout exceeded").ThenClose(),
		"421, silent": testserver.Reply("421 4.4.2 Error: timeout exceeded").ThenStall(),
		"451 notice":  testserver.Reply("451 4.7.0 Timeout waiting for client input").ThenClose(),
		"554, open":   testserver.Reply("554 5.0.0 No"),
		"250, open":   testserver.Reply("250 2.0.0 Ok"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: testserver.Script{
				testserver.On(testserver.Idle, idle.After(5*time.Second)).When(func(at testserver.At) bool { return at.Message == 1 }),
			}}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 1 })
				if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				start := time.Now()
				res, err := c.Send(t.Context(), note("b@example.net"))
				if err != nil {
					t.Fatal(err)
				}
				took(t, start, 0, 0)
				holds(t, srv, text, "a@example.net", "b@example.net")
				if len(res.Attempts) != 2 || !res.Attempts[0].Reused || res.Attempts[0].Charged || res.Attempts[1].Reused {
					t.Errorf("attempts are %+v, want a free one on the old connection and one on a new", res.Attempts)
				}
			})
		})
	}
}

// TestMessagesPerConnection: a reply to MAIL that ends what the server allows
// on one connection costs nothing, whether it hangs up or not.
func TestMessagesPerConnection(t *testing.T) {
	for _, test := range []struct {
		server string
		reply  *testserver.Action
	}{
		{"hangs up", nil},
		{"Exim", testserver.Reply("421 too many messages in this connection")},
		{"OpenSMTPD", testserver.Reply("452 4.5.3 Too many recipients: Too many messages sent")},
	} {
		t.Run(test.server, func(t *testing.T) {
			limits := testserver.Limits{PerConn: 3}
			if test.reply != nil {
				limits.Replies = map[testserver.Limit]*testserver.Action{testserver.ByPerConn: test.reply}
			}
			bubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 1 })
				to := addresses(10)
				start := time.Now()
				for _, addr := range to {
					if _, err := c.Send(t.Context(), note(addr)); err != nil {
						t.Fatal(err)
					}
				}
				took(t, start, 0, 0)
				holds(t, srv, text, to...)
				if n := srv.Stats().Conns; n != 4 {
					t.Errorf("%d connections, want 4", n)
				}
			})
		})
	}
}

// TestPerConnLimit: when the limit is known the server never has to say it.
func TestPerConnLimit(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{PerConn: 3}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{PerConn: 3, PerMessage: 2})
		})
		to := addresses(10)
		if _, err := c.Send(t.Context(), note(to...)); err != nil {
			t.Fatal(err)
		}
		holds(t, srv, text, to...)
		if st := srv.Stats(); st.Violations != 0 || st.Conns != 2 || st.Accepted != 5 {
			t.Errorf("%d messages on %d connections, %d violations; want 5 on 2, none", st.Accepted, st.Conns, st.Violations)
		}
	})
}

// TestBudget: the last attempt starts at exactly Policy.MaxElapsed.
func TestBudget(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("451 4.3.0 Not now")).Always(),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxElapsed = 100 * time.Second })
		start := time.Now()
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrExhausted)
		if last := res.Attempts[len(res.Attempts)-1]; last.Start.Sub(start) != 100*time.Second || !last.Next.IsZero() {
			t.Errorf("the last attempt started after %v, and promises another at %v", last.Start.Sub(start), last.Next)
		}
	})
}

// TestMaxAttempts counts the first one too.
func TestMaxAttempts(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		bubble(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Dot, testserver.Reply("451 4.3.0 Not now")).Always(),
		}}, func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = n })
			res, err := c.Send(t.Context(), note("a@example.net"))
			wantOneReason(t, err, smtpretry.ErrExhausted)
			if len(res.Attempts) != n {
				t.Errorf("%d attempts, want %d", len(res.Attempts), n)
			}
		})
	}
}

// TestNewBackOff: the user's policy gives the waits as they are; attempts that
// are free do not use it up.
func TestNewBackOff(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{PerMessage: 1},
		Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Reply("451 4.3.0 Not now")).To("r003@").Always()},
	}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Policy.NewBackOff = func() backoff.BackOff {
				return backoff.WithMaxRetries(backoff.NewConstantBackOff(7*time.Second), 3)
			}
		})
		start := time.Now()
		res, err := c.Send(t.Context(), note(addresses(4)...))
		wantOneReason(t, err, smtpretry.ErrExhausted, smtpretry.ErrPartial)
		wantStates(t, res, accepted, accepted, accepted, deferred)
		took(t, start, 21*time.Second, 21*time.Second+10*time.Millisecond) // a kept connection is listened to first
	})
}

// TestTry never waits: one attempt, and what is free.
func TestTry(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{PerMessage: 2},
		Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted, try again in 5 minutes")).To("r001@").Always()},
	}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		start := time.Now()
		res, err := c.Try(t.Context(), note(addresses(4)...))
		wantOneReason(t, err, smtpretry.ErrExhausted, smtpretry.ErrPartial)
		wantStates(t, res, accepted, deferred, accepted, accepted)
		took(t, start, 0, 0)
		holds(t, srv, text, "r000@example.net", "r002@example.net", "r003@example.net")
		if wait := res.Recipients[1].Verdict.RetryAfter; wait != 5*time.Minute {
			t.Errorf("RetryAfter is %v, for the caller's queue it should be 5m", wait)
		}
	})
}

// TestTryNeedsNoSlot: when all connections are in use Try says so.
func TestTryNeedsNoSlot(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Pass().After(time.Minute))}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			sent := make(chan error)
			go func() {
				_, err := c.Send(t.Context(), note("a@example.net"))
				sent <- err
			}()
			time.Sleep(time.Second)
			start := time.Now()
			res, err := c.Try(t.Context(), note("b@example.net"))
			var limit *smtpretry.LimitError
			if !errors.As(err, &limit) {
				t.Errorf("got %v, want a *LimitError", err)
			}
			wantStates(t, res, deferred)
			took(t, start, 0, 0)
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
}

// TestInDoubt: a link lost after the dot ends the message, or, if asked for,
// the same bytes go out again.
func TestInDoubt(t *testing.T) {
	for _, kept := range []bool{false, true} {
		for _, retry := range []bool{false, true} {
			t.Run(fmt.Sprintf("kept %v, retried %v", kept, retry), func(t *testing.T) {
				lost := testserver.Close()
				if kept {
					lost = lost.Keep()
				}
				bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Dot, lost)}}, func(t *testing.T, srv *testserver.Server) {
					c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.RetryInDoubt = retry })
					res, err := c.Send(t.Context(), note("a@example.net"))
					var want []string
					if kept {
						want = append(want, "a@example.net")
					}
					if retry {
						want = append(want, "a@example.net")
						wantStates(t, res, accepted)
						if err != nil {
							t.Error(err)
						}
					} else {
						wantStates(t, res, inDoubt)
						wantOneReason(t, err, smtpretry.ErrInDoubt)
					}
					holds(t, srv, text, want...)
				})
			})
		}
	}
}

// TestInDoubtThenRefused: a later refusal does not settle whether the first
// attempt was delivered.
func TestInDoubtThenRefused(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Dot, testserver.Close().Keep()),
		testserver.On(testserver.Dot, testserver.Reply("554 5.7.1 Duplicate")),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.RetryInDoubt = true })
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantStates(t, res, inDoubt)
		wantOneReason(t, err, smtpretry.ErrRejected, smtpretry.ErrInDoubt)
		holds(t, srv, text, "a@example.net")
	})
}

// TestServerThatIsDown: nobody listens, and every recipient waits for it, not
// only those that fit into the first transaction.
func TestServerThatIsDown(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{PerMessage: 2})
			cfg.Policy.MaxAttempts = 3
		})
		srv.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		res, err := c.Send(ctx, note(addresses(10)...))
		wantOneReason(t, err, smtpretry.ErrExhausted)
		starts := map[time.Time]int{}
		for _, a := range res.Attempts {
			starts[a.Start]++
			if a.Stage != smtpretry.StageDial || a.Verdict.Cause != smtpretry.CauseNetwork {
				t.Errorf("attempt %+v, want a network failure at dial", a)
			}
		}
		for at, n := range starts {
			if n > 1 && slices.IndexFunc(res.Attempts, func(a smtpretry.Attempt) bool { return a.Start.Equal(at) }) < 3 {
				t.Errorf("%d attempts at the same moment", n)
			}
		}
	})
}

// TestSecondHello: a server that does not take a second EHLO, which go-smtp
// sends after RSET, is not one that refuses service.
func TestSecondHello(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("nobody@"),
		testserver.On(testserver.Hello, testserver.Reply("503 5.5.1 But you already said EHLO")).Skip(1),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		if _, err := c.Send(t.Context(), note("nobody@example.net")); !errors.Is(err, smtpretry.ErrRejected) {
			t.Fatal(err)
		}
		start := time.Now()
		res, err := c.Send(t.Context(), note("a@example.net"))
		if err != nil {
			t.Fatal(err)
		}
		took(t, start, 0, 0)
		if len(res.Attempts) != 2 || charged(res) != 1 {
			t.Errorf("%d attempts, %d charged; want 2 and 1", len(res.Attempts), charged(res))
		}
	})
}

// TestHeldBack: a link that breaks before anybody was accepted keeps the
// recipients of the following transactions waiting as well.
func TestHeldBack(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Close())}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, func(cfg *smtpretry.Config) {
				stepByStep(cfg)
				cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{PerMessage: 1})
			})
			res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(res.Attempts); n != 3 {
				t.Fatalf("%d attempts, want 3", n)
			}
			first, next := res.Attempts[0], res.Attempts[1]
			if !first.Next.After(first.End) || next.Start.Before(first.Next) {
				t.Errorf("the second attempt began %v after the first, which was to wait %v",
					next.Start.Sub(first.End), first.Next.Sub(first.End))
			}
		})
}

// TestNextOfTheRest: recipients left for another transaction are next at once.
func TestNextOfTheRest(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{PerMessage: 1})
		})
		res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
		if err != nil {
			t.Fatal(err)
		}
		if a := res.Attempts[0]; !a.Next.Equal(a.End) {
			t.Errorf("after the first attempt the next is at %v, want %v", a.Next, a.End)
		}
		if a := res.Attempts[1]; !a.Next.IsZero() {
			t.Errorf("after the last attempt the next is at %v, want none", a.Next)
		}
	})
}

// TestRefusedForAll: recipients of the following transactions are not offered
// to a server that refuses service.
func TestRefusedForAll(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Hello, testserver.Reply("554 5.3.2 No service"))}},
		func(t *testing.T, srv *testserver.Server) {
			conn, err := countedDial(t, srv)(t.Context(), "tcp", srv.Addr())
			if err != nil {
				t.Fatal(err)
			}
			c, err := smtpretry.Wrap(smtp.NewClient(conn), smtpretry.Config{
				Host: "mx.example", Limiter: smtpretry.NewLimiter(smtpretry.Limit{PerMessage: 1}),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
			wantOneReason(t, err, smtpretry.ErrRefused)
			wantStates(t, res, deferred, deferred)
			if n := len(res.Attempts); n != 1 {
				t.Errorf("%d attempts, want 1", n)
			}
		})
}

// TestNewBackOffDraws: a wait is drawn once for all recipients of an attempt,
// and none for an attempt that costs nothing.
func TestNewBackOffDraws(t *testing.T) {
	off := testserver.Reply("450 4.2.0 Try again")
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, off).To("a@"),
		testserver.On(testserver.Rcpt, off).To("b@"),
		testserver.On(testserver.Mail, testserver.Close()).Skip(2),
	}}, func(t *testing.T, srv *testserver.Server) {
		draws := 0
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Policy.NewBackOff = func() backoff.BackOff { return countedBackOff{&draws} }
		})
		for _, want := range []int{1, 0} { // both put off; the connection lost meanwhile
			draws = 0
			res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Attempts) != 2 || draws != want {
				t.Errorf("%d waits drawn for %d attempts, want %d for 2", draws, len(res.Attempts), want)
			}
		}
	})
}

type countedBackOff struct{ draws *int }

func (b countedBackOff) NextBackOff() time.Duration { *b.draws++; return time.Second }
func (b countedBackOff) Reset()                     {}

// TestGravest: the error holds the reply that tells most.
func TestGravest(t *testing.T) {
	on := testserver.On
	off := on(testserver.Rcpt, testserver.Reply("450 4.2.0 Try again")).To("off@")
	no := on(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("no@")
	for _, test := range []struct {
		name   string
		script testserver.Script
		to     []string
		code   int
	}{
		{"a refusal for good before one for now", testserver.Script{off, no}, []string{"off@example.net", "no@example.net", "off@example.org"}, 550},
		{"a reply before a broken link", testserver.Script{off, on(testserver.Data, testserver.Close())}, []string{"ok@example.net", "off@example.net"}, 450},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: test.script}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 1 })
				_, err := c.Send(t.Context(), note(test.to...))
				var failed *smtpretry.SendError
				var reply *smtp.SMTPError
				if !errors.As(err, &failed) || !errors.As(failed.Last, &reply) || reply.Code != test.code {
					t.Errorf("got %v, want the %d as Last", err, test.code)
				}
			})
		})
	}
}

// TestNoReconnectAtOnce: where there is never another connection, a message
// does not wait for it.
func TestNoReconnectAtOnce(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Close())}},
		func(t *testing.T, srv *testserver.Server) {
			start := time.Now()
			_, err := wrapped(t, srv).Send(t.Context(), note("a@example.net"))
			wantOneReason(t, err, smtpretry.ErrNoReconnect)
			took(t, start, 0, 0)
		})
}
