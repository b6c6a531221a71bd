package smtpretry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestEverythingAtOnce: a provider that tells none of its limits, halves and
// restores its rate, greylists, drops connections, loses replies and is down
// twice. Every message is settled, none is lost, and none is doubled but those
// in doubt that were to be sent again.
func TestEverythingAtOnce(t *testing.T) {
	const messages = 2000
	limits := func(rate int) testserver.Limits {
		return testserver.Limits{Rate: testserver.Rate{N: rate, Burst: 10}, MaxConns: 3, PerConn: 40, Greylist: 3 * time.Second}
	}
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(1, 2))
	down, lost := false, 0
	cfg := testserver.Config{Limits: limits(50), Hook: func(at testserver.At) *testserver.Action {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case down && (at.Stage == testserver.Greeting || at.Stage == testserver.Mail):
			return testserver.Close()
		case at.Stage == testserver.Rcpt && chance.IntN(200) == 0:
			return testserver.Reset()
		case at.Stage == testserver.Dot && chance.IntN(200) == 0:
			lost++
			return testserver.Close().Keep()
		}
		return nil
	}}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.MaxConns, cfg.Limiter, cfg.Policy.RetryInDoubt = 20, smtpretry.NewLimiter(smtpretry.Limit{}), true
		})
		start := time.Now()
		for _, change := range []struct {
			at  time.Duration
			do  func()
			end time.Duration
		}{
			{15 * time.Second, func() { srv.SetLimits(limits(25)) }, 0},
			{30 * time.Second, func() { srv.SetLimits(limits(50)) }, 0},
			{10 * time.Second, func() { down = true }, 3 * time.Second},
			{40 * time.Second, func() { down = true }, 3 * time.Second},
		} {
			time.AfterFunc(change.at, func() {
				mu.Lock()
				defer mu.Unlock()
				change.do()
			})
			if change.end > 0 {
				time.AfterFunc(change.at+change.end, func() {
					mu.Lock()
					defer mu.Unlock()
					down = false
				})
			}
		}
		var wg sync.WaitGroup
		for i := range messages {
			wg.Go(func() {
				m := note(fmt.Sprintf("u%d@example.net", i%300))
				m.Body = body(fmt.Sprintf("Subject: %d\r\n\r\nHello.\r\n", i))
				if _, err := c.Send(t.Context(), m); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		took := time.Since(start)
		copies := map[string]int{}
		for _, m := range srv.Messages() {
			copies[string(m.Body)]++
		}
		doubled := 0
		for _, n := range copies {
			doubled += n - 1
		}
		st := srv.Stats()
		if len(copies) != messages || doubled > lost {
			t.Errorf("%d of %d delivered, %d doubled, %d replies lost", len(copies), messages, doubled, lost)
		}
		if took > 2*time.Minute {
			t.Errorf("took %v", took)
		}
		summary.Add(t, "%d messages in %v: %d lost, %d doubled for %d replies lost; refused: %v", messages, took.Round(time.Second), messages-len(copies), doubled, lost, st.Refused)
	})
}

// TestHerdOfStrangers: 1,000 senders released at once against a host of 100
// per second, of which nothing is known.
func TestHerdOfStrangers(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{Rate: testserver.Rate{N: 100, Burst: 10}}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.MaxConns, cfg.Limiter = 20, smtpretry.NewLimiter(smtpretry.Limit{})
		})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), note(fmt.Sprintf("u%d@example.net", i))); err != nil && !errors.Is(err, smtpretry.ErrExhausted) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		st := srv.Stats()
		calls := float64(st.Mails) / 1000
		if calls > 1.5 || st.Accepted != 1000 {
			t.Errorf("%.3f calls for each message, %d accepted", calls, st.Accepted)
		}
		summary.Add(t, "1,000 senders at once, 100/s: %.3f calls for each message, %d refused, in %v", calls, st.Violations, time.Since(start).Round(time.Second))
	})
}

// TestGreylistedCrowd: 2,000 recipients whom the server has never seen. Each
// is put off once; that is no word against the pace for the others.
func TestGreylistedCrowd(t *testing.T) {
	const messages = 2000
	bubble(t, testserver.Config{Limits: testserver.Limits{Greylist: 3 * time.Second}}, func(t *testing.T, srv *testserver.Server) {
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns, cfg.Limiter = 20, l })
		start := time.Now()
		var mu sync.Mutex
		attempts, most := 0, 0
		var wg sync.WaitGroup
		for i := range messages {
			wg.Go(func() {
				res, err := c.Send(t.Context(), note(fmt.Sprintf("u%d@example.net", i)))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				attempts, most = attempts+len(res.Attempts), max(most, len(res.Attempts))
			})
		}
		wg.Wait()
		if n := srv.Stats().Accepted; n != messages {
			t.Errorf("%d of %d accepted", n, messages)
		}
		if most > 2 {
			t.Errorf("one took %d attempts, want 2", most)
		}
		e := l.Explain(srv.Addr())
		if e.Binding == "cool-down" || e.Limit.Rate < 50 {
			t.Errorf("after nothing but greylisting:\n%v", e)
		}
		for _, o := range e.Origins {
			if o.Field == "Rate" && !strings.Contains(o.Source, "nothing was refused") {
				t.Errorf("the rate is held down: %+v", o)
			}
		}
		summary.Add(t, "%d greylisted recipients: %.3f attempts each, at most %d, in %v", messages, float64(attempts)/messages, most, time.Since(start).Round(time.Second))
	})
}

// TestColdStart: 2,000 messages to a host that nobody knows, which shuts out
// who is refused five times within ten seconds. At its 50 per second, with a
// burst of 10, they would take 39.8 s.
func TestColdStart(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{
		Rate: testserver.Rate{N: 50, Burst: 10}, MaxConns: 5,
		Box: testserver.Box{After: 5, Within: 10 * time.Second, For: 10 * time.Second},
	}}, func(t *testing.T, srv *testserver.Server) {
		srv.Network().SetDelay(5 * time.Millisecond)
		coldStart(t, srv)
	})
}

func coldStart(t *testing.T, srv *testserver.Server) {
	const messages, best = 2000, 39800 * time.Millisecond
	c := client(t, srv, func(cfg *smtpretry.Config) {
		cfg.MaxConns, cfg.Limiter = 20, smtpretry.NewLimiter(smtpretry.Limit{})
	})
	start := time.Now()
	var wg sync.WaitGroup
	for i := range messages {
		wg.Go(func() {
			if _, err := c.Send(t.Context(), note(fmt.Sprintf("u%d@example.net", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	used := best.Seconds() / time.Since(start).Seconds()
	st := srv.Stats()
	if used < 0.85 || st.Boxes > 1 || st.Accepted != messages {
		t.Errorf("%.1f %% of the possible, %d boxes, %d accepted; want 85 %%, at most 1, and all", 100*used, st.Boxes, st.Accepted)
	}
	summary.Add(t, "%d messages at 50/s, not told: %.1f %% of the possible, %d refused, %d boxes", messages, 100*used, st.Violations, st.Boxes)
}
