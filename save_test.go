package smtpretry_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

// restarted returns a Limiter that knows what l has saved, and has been told
// lim for host, if lim is not nil.
func restarted(t *testing.T, l *smtpretry.Limiter, lim *smtpretry.Limit) *smtpretry.Limiter {
	t.Helper()
	var file bytes.Buffer
	if err := l.Save(&file); err != nil {
		t.Fatal(err)
	}
	next := smtpretry.NewLimiter(smtpretry.Limit{})
	if lim != nil {
		setLimit(t, next, host, *lim)
	}
	if err := next.Load(&file); err != nil {
		t.Fatal(err)
	}
	return next
}

// TestRestartBounds: what is promised of any window of time holds for one with
// restarts in it, too.
func TestRestartBounds(t *testing.T) {
	served := 0
	eachSeed(t, 4, func(t *testing.T, rng *rand.Rand) {
		lim := randomLimit(rng)
		r := &run{t: t, rng: rng, begin: time.Now(), limiter: told(lim), limits: []change{{0, lim}}}
		for range 3 {
			r.pools = []*smtpretry.Pool{r.limiter.Join(host, 1+rng.IntN(4)), r.limiter.Join(host, 1+rng.IntN(4))}
			var wg sync.WaitGroup
			for range 10 + rng.IntN(20) {
				seed, arrival := rng.Uint64(), randomTime(rng, 5*time.Second)
				p := r.pools[rng.IntN(2)]
				wg.Go(func() {
					time.Sleep(arrival)
					r.message(rand.New(rand.NewPCG(seed, 1)), p)
				})
			}
			wg.Wait()
			closeAll(r.pools...)
			r.limiter = restarted(t, r.limiter, &lim)
		}
		r.check()
		served += r.served
		time.Sleep(time.Hour)
		if live, rest := r.limiter.CountHosts(); live+rest != 0 {
			t.Errorf("after an hour of rest: %d hosts live, %d at rest, want none", live, rest)
		}
	})
	t.Logf("%d messages started", served)
}

// TestRestartLearned: what was learned, and what pauses, outlives the process,
// whatever the clock has done; SetLimit comes first.
func TestRestartLearned(t *testing.T) {
	tooMuch := smtpretry.Verdict{Class: smtpretry.Temporary, Cause: smtpretry.CauseRateLimit, Scope: smtpretry.ScopeHost, Stage: smtpretry.StageMail, Code: 450, Rule: "rate"}
	inBubble(t, "learned", func(t *testing.T) {
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		p := l.Join(host, 3)
		for range 30 {
			g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			g.Started()
			g.Counted()
			p.Observe(smtpretry.Verdict{})
			g.Release(&fakeConn{})
		}
		p.Observe(tooMuch)
		time.Sleep(5 * time.Second)
		standing := overloaded
		standing.Cause, standing.Text = smtpretry.CauseReputation, "blocked"
		p.Observe(standing)
		was := l.Explain(host)
		closeAll(p)
		next := restarted(t, l, nil)
		e := next.Explain(host)
		if e.Limit.Rate != was.Limit.Rate || e.Limit.Rate == 0 || e.Binding != "cool-down" || !e.Until.Equal(was.Until) || e.Why != was.Why {
			t.Errorf("before\n%v\nafter\n%v", was, e)
		}
		if e := restarted(t, next, nil).Explain(host); e.Limit.Rate != was.Limit.Rate || !e.Until.Equal(was.Until) {
			t.Errorf("after another restart\n%v", e)
		}
		if e := restarted(t, l, &smtpretry.Limit{MaxConns: 2}).Explain(host); e.Limit.Rate != 0 || e.Limit.MaxConns != 2 || e.Binding != "cool-down" {
			t.Errorf("told its limit:\n%v", e)
		}
		time.Sleep(25 * time.Hour)
		if e := restarted(t, l, nil).Explain(host); e.Binding != "" || e.Limit.Rate != 2 {
			t.Errorf("a day later:\n%v", e)
		}
	})
	inBubble(t, "a host in use is left alone", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 0.1})
		deliver(t, l.Join(host, 1), &fakeConn{})
		var file bytes.Buffer
		if err := l.Save(&file); err != nil {
			t.Fatal(err)
		}
		next := told(smtpretry.Limit{Rate: 0.1})
		p := next.Join(host, 1)
		if err := next.Load(&file); err != nil {
			t.Fatal(err)
		}
		get(t, p)
	})
}

func TestLoadRefuses(t *testing.T) {
	for _, file := range []string{
		"", "{", `{"version":2}`, `{"version":1,"hosts":[{"host":"a","limit":{"Rate":"-1/s"}}]}`,
		`{"version":1,"hosts":[{"host":"a","limit":{"Quotas":[{"N":1,"Per":1000000000}]},"quotas":[[],[]]}]}`,
		`{"version":1,"hosts":[{"host":"a","limit":{"Quotas":[{"N":1,"Per":1000000000}]},"quotas":[[{"n":-1}]]}]}`,
		`{"version":1,"hosts":[{"host":"a","learned":{"rate":-1}}]}`,
		`{"version":1,"hosts":[` + strings.Repeat(`{},`, 10_000) + `{}]}`,
	} {
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		if err := l.Load(strings.NewReader(file)); err == nil {
			t.Errorf("%.60s was taken", file)
		}
		if live, rest := l.CountHosts(); live+rest > 0 {
			t.Errorf("%.60s changed the limiter", file)
		}
	}
}

// TestSaveBounded: the file does not grow with the number of hosts.
func TestSaveBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerHour(1)})
		for i := range 12_000 {
			p := l.Join(fmt.Sprintf("host-%d.example", i), 1)
			deliver(t, p, &fakeConn{})
			closeAll(p)
		}
		var file bytes.Buffer
		if err := l.Save(&file); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(file.String(), `"host"`); n != 10_000 || file.Len() > 5<<20 {
			t.Errorf("%d hosts in %d octets", n, file.Len())
		}
		time.Sleep(2 * time.Hour)
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":1,"hosts":[{"host":"a","limit":{"Rate":"1/s","Quotas":[{"N":3,"Per":1000000000}]},"messages":"2000-01-01T00:00:05Z","quotas":[[{"at":"2000-01-01T00:00:00Z","n":2}]],"pause":{"until":"2000-01-01T00:00:00Z","row":3},"learned":{"rate":3,"conns":2}}]}`))
	f.Add([]byte(`{"version":1,"hosts":[{"host":"a","learned":{"at":"9999-01-01T00:00:00Z","rate":1e300,"settled":1e-300,"window":9223372036854775807,"vain":-5}}]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		synctest.Test(t, func(t *testing.T) {
			l := smtpretry.NewLimiter(smtpretry.Limit{})
			if l.Load(bytes.NewReader(file)) != nil {
				return
			}
			_ = l.Explain("a").String()
			p := l.Join("a", 1)
			g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
			if err == nil {
				g.Started()
				g.Counted()
				p.Observe(overloaded)
				g.Release(nil)
			}
			p.Close()
			if err := l.Save(&bytes.Buffer{}); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * 365 * 24 * time.Hour) // the sweeper ends
		})
	})
}
