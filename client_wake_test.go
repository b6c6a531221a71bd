package smtpretry_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestWoken: those whom an outage has put off are back soon after it, one after
// the other; who was put off for another reason, or asked to wait, is not.
func TestWoken(t *testing.T) {
	const outage = 3 * time.Second
	var mu sync.Mutex
	down, mails := true, map[time.Time]int{}
	bubble(t, testserver.Config{Hook: func(at testserver.At) *testserver.Action {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case at.Stage == testserver.Mail:
			mails[time.Now()]++
		case at.Stage == testserver.Rcpt && at.Rcpt == "full@example.net" && down:
			return testserver.Reply("452 4.2.2 Mailbox full")
		}
		if down && at.Stage == testserver.Rcpt {
			return testserver.Close() // of those who are under way
		}
		if down && at.Stage == testserver.Greeting && len(mails) > 0 {
			return testserver.Close()
		}
		return nil
	}}, func(t *testing.T, srv *testserver.Server) {
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		setLimit(t, l, srv.Addr(), smtpretry.Limit{Rate: 100, Burst: 5})
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter, cfg.MaxConns = l, 5
			cfg.Policy.NewBackOff = func() backoff.BackOff { return backoff.NewConstantBackOff(5 * time.Minute) }
		})
		time.AfterFunc(outage, func() { mu.Lock(); defer mu.Unlock(); down = false })
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 200 {
			to, least, most := fmt.Sprintf("u%d@example.net", i), time.Duration(0), outage+15*time.Second
			if i == 0 {
				to, least, most = "full@example.net", 5*time.Minute, 6*time.Minute
			}
			wg.Go(func() {
				if _, err := c.Send(t.Context(), note(to)); err != nil {
					t.Error(err)
				}
				took(t, start, least, most)
			})
			synctest.Wait()
		}
		wg.Wait()
		mu.Lock()
		defer mu.Unlock()
		for at, n := range mails {
			if n > 5 {
				t.Errorf("%d messages at once, %v after the start", n, at.Sub(start))
			}
		}
	})
}

// TestWokenForNothing: a message under which the link breaks each time is not
// tried at the pace of the others.
func TestWokenForNothing(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Close()).To("poison@").Always(),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns = 2 })
		var wg sync.WaitGroup
		wg.Go(func() {
			res, err := c.Send(t.Context(), note("poison@example.net"))
			wantOneReason(t, err, smtpretry.ErrExhausted)
			if n := charged(res); n < 6 || n > 12 {
				t.Errorf("tried %d times in 15 minutes, want as often as alone", n)
			}
			if a := res.Attempts; a[1].Start.Sub(a[0].End) > time.Second {
				t.Errorf("tried again after %v, want it soon the first time", a[1].Start.Sub(a[0].End))
			}
		})
		for range 2000 {
			time.Sleep(500 * time.Millisecond)
			if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
	})
}

// TestRoused puts a crowd to sleep: each message that is served wakes two, the
// oldest first, and one that came before the failure wakes nobody.
func TestRoused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := told(smtpretry.Limit{}).Join(host, 1)
		begin := time.Now()
		enough := make(chan struct{})
		var mu sync.Mutex
		var woken []int
		var wg sync.WaitGroup
		p.Observe(smtpretry.Verdict{})
		for i := range crowd {
			wg.Go(func() {
				if p.Doze(begin.Add(time.Duration(i*7919%crowd)), enough) {
					mu.Lock()
					woken = append(woken, i*7919%crowd)
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		p.Observe(smtpretry.Verdict{})
		if n := p.Asleep(); n != crowd {
			t.Errorf("%d asleep, want all: who was served came no later than they failed", n)
		}
		time.Sleep(time.Millisecond)
		p.Observe(overloaded)
		for i := range 10 {
			p.Observe(smtpretry.Verdict{})
			synctest.Wait()
			if n := crowd - p.Asleep(); n != 2*(i+1) || len(woken) != n || max(woken[n-1], woken[n-2]) != n-1 {
				t.Fatalf("%d woken after %d were served: %v", n, i+1, woken)
			}
		}
		close(enough)
		wg.Wait()
		if n := p.Asleep(); n != 0 {
			t.Errorf("%d are left", n)
		}
		p.Observe(smtpretry.Verdict{}) // wakes nobody
	})
}
