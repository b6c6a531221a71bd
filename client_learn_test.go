package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// stranger makes a client of a host that its limiter knows nothing of.
func stranger(t *testing.T, srv *testserver.Server, conns int) (*smtpretry.Client, *smtpretry.Limiter) {
	t.Helper()
	l := smtpretry.NewLimiter(smtpretry.Limit{})
	return client(t, srv, func(cfg *smtpretry.Config) {
		cfg.Limiter, cfg.MaxConns = l, conns
		cfg.Policy.MaxElapsed = 24 * time.Hour
	}), l
}

// origin returns how a part of the limit that was learned came about.
func origin(l *smtpretry.Limiter, host, field string) (smtpretry.Origin, bool) {
	for _, o := range l.Explain(host).Origins {
		if o.Field == field && o.From == smtpretry.OriginLearned {
			return o, true
		}
	}
	return smtpretry.Origin{}, false
}

// TestMessagesPerConnectionLearned: after one refusal in a server's own words the
// client counts by itself.
func TestMessagesPerConnectionLearned(t *testing.T) {
	for name, reply := range map[string]*testserver.Action{
		"Exim":      testserver.Reply("421 too many messages in this connection").ThenClose(),
		"OpenSMTPD": testserver.Reply("452 4.5.3 Too many messages in this session"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{Limits: testserver.Limits{PerConn: 4,
				Replies: map[testserver.Limit]*testserver.Action{testserver.ByPerConn: reply}}}, func(t *testing.T, srv *testserver.Server) {
				c, l := stranger(t, srv, 1)
				sendAll(t, c, 40)
				if s := srv.Stats(); s.Refused[testserver.ByPerConn] != 1 || s.Conns != 10 || s.Accepted != 40 {
					t.Errorf("%d refused, %d connections, %d accepted; want 1, 10 and 40", s.Refused[testserver.ByPerConn], s.Conns, s.Accepted)
				}
				if o, ok := origin(l, srv.Addr(), "PerConn"); !ok || o.Value != "4" || o.Source == "" {
					t.Errorf("PerConn is explained by %+v, want 4, learned, with a reason", o)
				}
				setLimit(t, l, srv.Addr(), smtpretry.Limit{})
				if e := l.Explain(srv.Addr()); len(e.Origins) != 0 {
					t.Errorf("after SetLimit: %v", e)
				}
			})
		})
	}
}

// TestRefusedDoNotCount: messages whose MAIL was refused are none that the
// connection has carried.
func TestRefusedDoNotCount(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{PerConn: 4}, Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("450 4.7.1 Error: too much mail")).Times(2),
	}}, func(t *testing.T, srv *testserver.Server) {
		c, l := stranger(t, srv, 1)
		sendAll(t, c, 40)
		if n := srv.Stats().Refused[testserver.ByPerConn]; n != 1 {
			t.Errorf("%d messages too many on a connection, want 1", n)
		}
		if o, ok := origin(l, srv.Addr(), "PerConn"); !ok || o.Value != "4" {
			t.Errorf("PerConn is explained by %+v, want 4", o)
		}
	})
}

// TestProbe: after a pause one message goes first, whatever becomes of it, and
// the others only when the host is there again.
func TestProbe(t *testing.T) {
	const waiting = 50
	down := testserver.Reply("421 4.3.2 Service busy, try again later").ThenClose()
	for _, test := range []struct {
		name string
		fate *testserver.Action // of the first after the outage; nil: accepted
		lost int                // how many are not delivered
	}{
		{"accepted", nil, 0},
		{"rejected", testserver.Reply("550 5.1.8 Sender address rejected"), 1},
		{"the link breaks", testserver.Close(), 0},
		{"refused once more", down, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var mu sync.Mutex
			var early []time.Time // of MAIL, until one was accepted
			through := false
			script := testserver.Script{testserver.On(testserver.Mail, down).For(100 * time.Second)}
			if test.fate != nil {
				script = append(script, testserver.On(testserver.Mail, test.fate))
			}
			bubble(t, testserver.Config{Script: script, OnEvent: func(e testserver.Event) {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case e.Kind == testserver.Accepted:
					through = true
				case e.Kind == testserver.Command && strings.HasPrefix(e.Text, "MAIL") && !through:
					early = append(early, e.Time)
				}
			}}, func(t *testing.T, srv *testserver.Server) {
				c, _ := stranger(t, srv, 5)
				var wg sync.WaitGroup
				lost := 0
				for i := range waiting {
					wg.Go(func() {
						if _, err := c.Send(t.Context(), note(fmt.Sprintf("u%d@example.net", i))); err != nil {
							mu.Lock()
							lost++
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				if lost != test.lost || srv.Stats().Accepted != waiting-lost {
					t.Errorf("%d lost, %d accepted; want %d lost", lost, srv.Stats().Accepted, test.lost)
				}
				mu.Lock()
				defer mu.Unlock()
				for len(early) > 1 && early[1].Equal(early[0]) {
					early = early[1:] // before the first refusal was there
				}
				// 1, 2, 4 ... 64 s, and what the fate adds. A second message may
				// be there after a verdict that is not about the host.
				if len(early) > 10 {
					t.Errorf("%d attempts before one was accepted: %v", len(early), early)
				}
				for i := 1; i < len(early)-1; i++ {
					if gap, least := early[i].Sub(early[i-1]), time.Second<<(i-1); gap < least && i <= 7 {
						t.Errorf("attempt %d came %v after the one before, want at least %v", i+1, gap, least)
					}
				}
			})
		})
	}
}

// TestProbeGivesUp: a message that was to go first and is cancelled lets the
// next one see.
func TestProbeGivesUp(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("451 4.3.2 System overloaded, try again later")),
		testserver.On(testserver.Mail, testserver.Stall()),
	}}, func(t *testing.T, srv *testserver.Server) {
		c, _ := stranger(t, srv, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		start := time.Now()
		for range 10 {
			wg.Go(func() {
				_, _ = c.Send(ctx, note("early@example.net")) // may end with its context
			})
		}
		time.Sleep(time.Millisecond)
		for range 10 {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), note("late@example.net")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := srv.Stats().Accepted; got < 10 {
			t.Errorf("%d accepted, want the 10 that were not cancelled at least", got)
		}
		took(t, start, 30*time.Second, 5*time.Minute)
	})
}

// TestBoxIsLeft: a host that prolongs its refusal at each attempt is left
// alone for long enough in the end.
func TestBoxIsLeft(t *testing.T) {
	const messages = 300
	bubble(t, testserver.Config{Limits: testserver.Limits{
		Rate: testserver.Rate{N: 1, Per: time.Second, Burst: 3},
		Box:  testserver.Box{After: 2, Within: time.Minute, For: 10 * time.Minute, Extends: true},
	}}, func(t *testing.T, srv *testserver.Server) {
		c, _ := stranger(t, srv, 5)
		sendAll(t, c, messages)
		if n := srv.Stats().Accepted; n != messages {
			t.Errorf("%d accepted, want %d", n, messages)
		}
		if n := srv.Stats().Refused[testserver.ByBox]; n > 100 {
			t.Errorf("knocked %d times at the box, with %d waiting", n, messages)
		}
	})
}

// TestReputationIsHeld: who is refused for who it is asks rarely, and is told
// what to do.
func TestReputationIsHeld(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints").ThenClose()).For(time.Hour),
	}}, func(t *testing.T, srv *testserver.Server) {
		c, l := stranger(t, srv, 5)
		var wg sync.WaitGroup
		wg.Go(func() { sendAll(t, c, 50) })
		time.Sleep(time.Minute)
		before := srv.Stats().Mails
		e := l.Explain(srv.Addr())
		if e.Binding != "cool-down" || !strings.Contains(e.Why, "complaints") || e.Advice == "" || e.Until.Before(time.Now().Add(3*time.Minute)) {
			t.Errorf("explained as %+v, want a cool-down of minutes with the server's words and advice", e)
		}
		time.Sleep(58 * time.Minute)
		if n := srv.Stats().Mails; before > 3 || n-before > 4 {
			t.Errorf("%d attempts at first and %d in the hour, want few", before, n-before)
		}
		wg.Wait()
	})
}

// TestUnknownHost: what is sent first to a host of which nothing is known.
func TestUnknownHost(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c, l := stranger(t, srv, 10)
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() { sendAll(t, c, 500) })
		synctest.Wait()
		if s := srv.Stats(); s.Mails > 5 || s.MostOpen > 10 {
			t.Errorf("%d messages at once, want 5", s.Mails)
		}
		var late *smtpretry.LimitError
		if _, err := c.Try(t.Context(), note("you@example.net")); !errors.As(err, &late) {
			t.Errorf("Try beside those who wait: %v, want a LimitError", err)
		}
		wg.Wait()
		if took := time.Since(start); took > time.Minute {
			t.Errorf("500 took %v, want a rate that climbs", took)
		}
		o, ok := origin(l, srv.Addr(), "Rate")
		if !ok || l.Explain(srv.Addr()).Limit.Rate < 10 || len(o.Value) > len("1.23e+03/min") {
			t.Errorf("explained as %+v, want a rate that has climbed, of three digits", o)
		}
	})
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c, _ := stranger(t, srv, 10)
		for i := range 3 {
			if _, err := c.Try(t.Context(), note("you@example.net")); err != nil {
				t.Fatalf("Try number %d: %v", i+1, err)
			}
		}
		var late *smtpretry.LimitError
		if _, err := c.Try(t.Context(), note("you@example.net")); !errors.As(err, &late) || late.For != "learned-rate" || !late.Until.After(time.Now()) {
			t.Errorf("the fourth at once: %v, want a LimitError for the learned rate that says until when", err)
		}
	})
}

// TestByHand: Mail, Rcpt and Data teach as Send does.
func TestByHand(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("450 4.7.1 Error: too much mail from 192.0.2.1")).Skip(60),
	}}, func(t *testing.T, srv *testserver.Server) {
		c, l := stranger(t, srv, 1)
		for range 60 {
			if err := byHand(c, "you@example.net"); err != nil {
				t.Fatal(err)
			}
		}
		climbed := l.Explain(srv.Addr()).Limit.Rate
		if climbed <= 2 {
			t.Errorf("the rate is %v after 60 messages, want it to climb", climbed)
		}
		if err := byHand(c, "you@example.net"); err == nil {
			t.Fatal("the server refused, and nobody was told")
		}
		e := l.Explain(srv.Addr())
		if e.Limit.Rate >= climbed || e.Binding != "cool-down" {
			t.Errorf("after a refusal of the rate %v it is %v, the limit that binds %q", climbed, e.Limit.Rate, e.Binding)
		}
		if err := byHand(c, "you@example.net"); err != nil {
			t.Error(err)
		}
	})
}

// TestConnectionsAreAskedAgain: the number of connections that a host refused
// to exceed is kept, and tried again in time.
func TestConnectionsAreAskedAgain(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{MaxConns: 2},
		Script: testserver.Script{testserver.On(testserver.Dot, testserver.Pass().After(10*time.Second)).Always()},
	}, func(t *testing.T, srv *testserver.Server) {
		c, l := stranger(t, srv, 4)
		var wg sync.WaitGroup
		wg.Go(func() { sendAll(t, c, 1000) })
		time.Sleep(25 * time.Minute)
		if o, ok := origin(l, srv.Addr(), "MaxConns"); !ok || o.Value != "2" {
			t.Errorf("MaxConns is explained by %+v, want 2, learned", o)
		}
		if n := srv.Stats().Refused[testserver.ByMaxConns]; n != 1 {
			t.Errorf("refused %d connections in 25 minutes, want 1", n)
		}
		srv.SetLimits(testserver.Limits{})
		time.Sleep(10 * time.Minute)
		if n := srv.Stats().MostOpen; n != 4 {
			t.Errorf("%d connections after the limit has gone, want 4", n)
		}
		if o, ok := origin(l, srv.Addr(), "MaxConns"); ok {
			t.Errorf("MaxConns is still %+v", o)
		}
		wg.Wait()
	})
}

// TestRetriesAreSpread: what waits for a pause to end does not come at once.
func TestRetriesAreSpread(t *testing.T) {
	var mu sync.Mutex
	var starts []time.Duration
	var begin time.Time
	bubble(t, testserver.Config{
		Script: testserver.Script{testserver.On(testserver.Mail, testserver.Reply("421 4.3.2 Busy").ThenClose()).For(time.Minute)},
		OnEvent: func(e testserver.Event) {
			if e.Kind == testserver.Command && strings.HasPrefix(e.Text, "MAIL") {
				mu.Lock()
				starts = append(starts, e.Time.Sub(begin))
				mu.Unlock()
			}
		},
	}, func(t *testing.T, srv *testserver.Server) {
		begin = time.Now()
		c, _ := stranger(t, srv, 10)
		sendAll(t, c, 200)
	})
	slices.Sort(starts)
	for i := range starts {
		if i+5 < len(starts) && starts[i+5] == starts[i] {
			t.Errorf("more than 5 messages started at %v", starts[i])
		}
	}
}
