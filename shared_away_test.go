package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// An outage makes a store fail while it is set.
type outage struct {
	smtpretry.Store
	on atomic.Bool
}

func (o *outage) Update(ctx context.Context, key string, change func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	if o.on.Load() {
		return errAway
	}
	return o.Store.Update(ctx, key, change)
}

// TestSharedKilled: what a process held that was killed is free after the lease,
// and not before; and should it not be dead, it does not use it any more.
func TestSharedKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{}
		cut := &outage{Store: store}
		lim := smtpretry.Limit{Rate: smtpretry.PerMinute(1), Burst: 2, MaxConns: 1}
		dead, alive := told(lim), told(lim)
		share(t, cut, smtpretry.ShareOptions{Lease: 5 * time.Second}, dead)
		if err := alive.Share(store, smtpretry.ShareOptions{Lease: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
		g, err := dead.Join(host, 1).Acquire(t.Context(), time.Now(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // it has told that it holds a connection
		cut.on.Store(true)
		begin := time.Now()
		p := alive.Join(host, 1)
		g2, err := p.Acquire(t.Context(), time.Now(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(begin)
		if took < 3*time.Second || took > 6*time.Second {
			t.Errorf("its connection's slot was given away after %v, want about the lease", took)
		}
		if !g.Void() {
			t.Error("the process that was taken for dead still goes by its permit")
		}
		g2.Started()
		g2.Counted()
		g2.Release(nil)
		// What the dead one held counts as used, so both tokens are gone.
		if _, err := p.TryAcquire(1); err == nil || !strings.Contains(err.Error(), "rate limit") {
			t.Errorf("TryAcquire = %v, want the rate limit", err)
		}
		p.Close()
		p.Farewell()
		time.Sleep(time.Hour)
	})
}

// TestSharedStops: without the store nothing is sent, callers are told why, and
// when it is back nothing comes at once that was saved meanwhile.
func TestSharedStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: &memStore{}}
		lim := smtpretry.Limit{Rate: smtpretry.PerSecond(10), Burst: 5}
		l := told(lim)
		share(t, store, smtpretry.ShareOptions{}, l)
		p := l.Join(host, 1)
		store.on.Store(true)

		var late *smtpretry.LimitError
		if _, err := p.TryAcquire(1); !errors.As(err, &late) || late.For != "store" || late.Until.IsZero() {
			t.Errorf("TryAcquire = %v, want that it is the store", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var ended *smtpretry.WaitError
		begin := time.Now()
		if _, err := p.Acquire(ctx, time.Now(), 1, nil); !errors.As(err, &ended) || time.Since(begin) != time.Minute {
			t.Errorf("Acquire = %v after %v, want that the context ended the wait", err, time.Since(begin))
		}
		if e := l.Explain(host); e.Binding != "store" || !strings.Contains(e.Shared, "nothing is sent") || !strings.Contains(e.String(), errAway.Error()) {
			t.Errorf("Explain:\n%v", e)
		}
		store.on.Store(false)
		begin = time.Now()
		for range 25 {
			sendOne(t, p)
		}
		if took := time.Since(begin); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("25 messages, 5 at once and 10 in a second, took %v", took)
		}
		if e := l.Explain(host); !strings.HasPrefix(e.Shared, "knows of") {
			t.Errorf("Explain:\n%v", e)
		}
		p.Close()
		p.Farewell()
		time.Sleep(time.Hour)
	})
}

// TestSharedAlone: while the store is away each process keeps to its part, so that
// all together keep to the limit; also when it goes, and when it comes back.
func TestSharedAlone(t *testing.T) {
	for _, lim := range []smtpretry.Limit{
		{Rate: smtpretry.PerSecond(20), Burst: 10},
		{Quotas: []smtpretry.Quota{{N: 400, Per: 20 * time.Second}}},
		{Rate: smtpretry.PerSecond(50), Burst: 8, MaxConns: 9},
	} {
		t.Run(fmt.Sprint(lim.Rate, lim.Quotas, lim.MaxConns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const processes = 4
				store := &outage{Store: &memStore{}}
				var fleet []*smtpretry.Limiter
				for range processes {
					fleet = append(fleet, told(lim))
				}
				share(t, store, smtpretry.ShareOptions{Alone: 0.25}, fleet...)
				r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				for _, l := range fleet {
					p := l.Join(host, 3)
					r.pools = append(r.pools, p)
					for range 3 {
						wg.Go(func() { r.hurry(ctx, p, 10*time.Millisecond) })
					}
				}
				time.Sleep(30 * time.Second)
				store.on.Store(true)
				time.Sleep(5 * time.Second)
				explains := func(want string) {
					t.Helper()
					if e := fleet[0].Explain(host); !strings.HasPrefix(e.Shared, want) || !strings.Contains(e.Shared, "0.25 of each limit") {
						t.Errorf("Explain, want that the store %s:\n%v", want, e)
					}
				}
				explains("cannot be reached (" + errAway.Error() + ")")
				time.Sleep(25 * time.Second)
				store.on.Store(false)
				time.Sleep(2 * time.Second)
				explains("is back")
				wg.Wait()
				r.check()
				parts := [3]int{}
				for _, s := range r.starts {
					parts[min(int(s.at/(30*time.Second)), 2)]++
				}
				t.Logf("with the store, without, and with it again: %v", parts)
				if parts[1] < parts[0]/2 || parts[2] < parts[0]*8/10 {
					t.Errorf("with the store, without, and with it again: %v, want as many", parts)
				}
				closeAll(r.pools...)
				time.Sleep(time.Hour)
			})
		})
	}
}

// TestSharedAloneBare: of processes that were alone without a connection open the
// store knows too, so that all of the limit is used when they are back, and no more.
func TestSharedAloneBare(t *testing.T) {
	for apart := time.Duration(0); apart < 2*time.Second; apart += 300 * time.Millisecond {
		inBubble(t, apart.String(), func(t *testing.T) {
			lim, held := smtpretry.Limit{Rate: smtpretry.PerSecond(20), Burst: 2}, smtpretry.Limit{Rate: smtpretry.PerSecond(20.01), Burst: 2}
			both := &memStore{}
			r := &run{t: t, begin: time.Now(), limits: []change{{0, held}}} // a millionth is left to who is not alone
			var wg sync.WaitGroup
			for i := range 2 {
				store, l := &outage{Store: both}, told(lim)
				share(t, store, smtpretry.ShareOptions{Alone: 0.5}, l)
				time.AfterFunc(5*time.Second, func() { store.on.Store(true) })
				time.AfterFunc(14500*time.Millisecond+time.Duration(i)*apart, func() { store.on.Store(false) })
				p := l.Join(host, 1)
				r.pools = append(r.pools, p)
				wg.Go(func() {
					for r.now() < 30*time.Second {
						sendOne(t, p)
						r.mu.Lock()
						r.starts = append(r.starts, start{r.now(), r.now(), 1})
						r.mu.Unlock()
					}
				})
			}
			wg.Wait()
			r.check()
			if n := len(r.starts); n < 550 || r.now() > 31*time.Second {
				t.Errorf("%d messages in %v, want nearly 600 in 30 s", n, r.now())
			}
			closeAll(r.pools...)
			time.Sleep(time.Hour)
		})
	}
}

// TestSharedAloneHeld: what a process was allowed alone stays its own when the store
// is back, which is told of it.
func TestSharedAloneHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: &memStore{takes: func() time.Duration { return 100 * time.Millisecond }}}
		l := told(smtpretry.Limit{})
		share(t, store, smtpretry.ShareOptions{Alone: 0.5}, l)
		p := l.Join(host, 1)
		store.on.Store(true)
		g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		store.on.Store(false)
		for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
			if g.Void() {
				t.Errorf("its message would not be started, %v after the store was back", time.Since(begin))
				break
			}
		}
		g.Release(nil)
		closeAll(p)
		time.Sleep(time.Hour)
	})
}

// hurry sends as fast as it may until ctx ends, each message taking so long after
// MAIL. It returns how many.
func (r *run) hurry(ctx context.Context, p *smtpretry.Pool, takes time.Duration) (sent int) {
	for ; ctx.Err() == nil; sent++ {
		g, err := p.Acquire(ctx, time.Now(), 1, nil)
		if err != nil {
			break
		}
		conn := g.Conn()
		if conn == nil {
			r.dialled(max(r.now()-slowestClose, 0))
			conn = &simConn{run: r, takes: time.Millisecond}
		}
		r.mu.Lock()
		r.starts = append(r.starts, start{r.now(), r.now(), 1})
		r.mu.Unlock()
		g.Started()
		time.Sleep(time.Millisecond)
		g.Counted()
		time.Sleep(takes)
		p.Observe(smtpretry.Verdict{})
		g.Release(conn)
	}
	return sent
}

// TestSharedTurns: connections go round where there are fewer than processes that
// want one, and those that are idle go to who wants them.
func TestSharedTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := smtpretry.Limit{MaxConns: 2}
		var fleet []*smtpretry.Limiter
		for range 5 {
			fleet = append(fleet, told(lim))
		}
		share(t, &memStore{}, smtpretry.ShareOptions{}, fleet...)
		r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
		idle := fleet[0].Join(host, 2)
		for range 2 { // it opens both, and has no more to send
			g, err := idle.Acquire(t.Context(), time.Now(), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.dialled(r.now())
			g.Started()
			g.Counted()
			defer g.Release(nil)
			time.AfterFunc(time.Second, func() { g.Release(&simConn{run: r, takes: time.Millisecond}) })
		}
		time.Sleep(2 * time.Second)
		begin := r.now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		counts := make([]*run, 5)
		for i, l := range fleet[1:] {
			one := &run{t: t, begin: r.begin, limits: r.limits}
			counts[i+1] = one
			p := l.Join(host, 2)
			r.pools = append(r.pools, p)
			wg.Go(func() { one.hurry(ctx, p, 10*time.Millisecond) })
		}
		wg.Wait()
		sum := 0
		for _, one := range counts[1:] {
			if len(one.starts) < 500 || one.starts[0].at-begin > 10*time.Second {
				t.Errorf("a process had %d turns, the first after %v", len(one.starts), one.starts[0].at-begin)
			}
			sum += len(one.starts)
		}
		if most := 2 * int(time.Minute/(11*time.Millisecond)); sum < most*8/10 || sum > most {
			t.Errorf("%d messages over two connections, want nearly %d", sum, most)
		}
		closeAll(append(r.pools, idle)...)
		time.Sleep(time.Hour)
	})
}

// TestSharedLessons: a cool-down, and what was learned, hold for all; whoever
// comes later knows it too.
func TestSharedLessons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{ahead: -time.Hour}
		first, second := smtpretry.NewLimiter(smtpretry.Limit{}), smtpretry.NewLimiter(smtpretry.Limit{})
		second.Skew(7 * time.Minute)
		share(t, store, smtpretry.ShareOptions{}, first, second)
		p := first.Join(host, 1)
		r := &run{t: t, begin: time.Now(), limits: []change{{}}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		r.hurry(ctx, p, 10*time.Millisecond)
		p.Observe(refusal(smtpretry.CauseRateLimit, smtpretry.ScopeHost, smtpretry.StageMail, 450))
		learned := first.Explain(host).Limit.Rate
		time.Sleep(time.Minute)
		p.Observe(overloaded)
		pause := first.Explain(host)
		time.Sleep(time.Millisecond)

		q := second.Join(host, 1)
		var late *smtpretry.LimitError
		if _, err := q.TryAcquire(1); !errors.As(err, &late) || late.For != "cool-down" || late.Until.Sub(pause.Until).Abs() > 10*time.Millisecond+7*time.Minute {
			t.Errorf("TryAcquire = %v, want the cool-down until %v", err, pause.Until)
		}
		e := second.Explain(host)
		if e.Limit.Rate == 0 || e.Limit.Rate > learned {
			t.Errorf("the second goes by %v, the first has learned %v", e.Limit.Rate, learned)
		}
		if e.Why != pause.Why || e.Why == "" {
			t.Errorf("the second says %q, the first %q", e.Why, pause.Why)
		}
		closeAll(p, q)
		time.Sleep(time.Hour)
	})
}

// TestShare tells what is wrong with its arguments.
func TestShare(t *testing.T) {
	var bad *smtpretry.FieldError
	for _, o := range []smtpretry.ShareOptions{{Lease: time.Millisecond}, {Lease: 2 * time.Hour}, {Lease: -1}, {Alone: -0.1}, {Alone: 1.1}} {
		if err := new(smtpretry.Limiter).Share(&memStore{}, o); !errors.As(err, &bad) {
			t.Errorf("Share with %+v = %v, want a FieldError", o, err)
		}
	}
	if err := new(smtpretry.Limiter).Share(nil, smtpretry.ShareOptions{}); !errors.As(err, &bad) {
		t.Errorf("Share without a store = %v, want a FieldError", err)
	}
	l := new(smtpretry.Limiter)
	p := l.Join(host, 1)
	defer p.Close()
	if err := l.Share(&memStore{}, smtpretry.ShareOptions{}); err == nil {
		t.Error("a limiter that is in use can be shared")
	}
}

// TestSharedLapsed: a message whose connection took longer to make than the lease
// lasts, with the store away, is not started by what it was granted then; it costs
// no try, and is sent when the store is back.
func TestSharedLapsed(t *testing.T) {
	var dials atomic.Int64
	var away outage
	bubble(t, testserver.Config{Hook: func(at testserver.At) *testserver.Action {
		if at.Stage == testserver.Mail {
			if away.on.Load() {
				t.Error("a message was started by a lapsed lease")
			}
		}
		return nil
	}}, func(t *testing.T, srv *testserver.Server) {
		away.Store = &memStore{}
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		setLimit(t, l, srv.Addr(), smtpretry.Limit{Rate: smtpretry.PerMinute(1), Burst: 3, MaxConns: 1})
		share(t, &away, smtpretry.ShareOptions{}, l)
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = l
			cfg.Policy.MaxAttempts = 1
			dial := cfg.Dialer.NetDial
			cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				away.on.Store(dials.Add(1) == 1)
				time.Sleep(15 * time.Second)
				return dial(ctx, network, addr)
			}
		})
		time.AfterFunc(20*time.Second, func() { away.on.Store(false) })
		start := time.Now()
		res, err := c.Send(t.Context(), note("to@example.net"))
		if err != nil {
			t.Fatalf("%v\n%v", err, res)
		}
		took(t, start, 20*time.Second, 2*time.Minute)
		if n := len(res.Attempts); n != 2 || res.Attempts[0].Charged || res.Attempts[0].Verdict.Rule != "lease-lapsed" {
			t.Errorf("%d attempts, the first %+v", n, res.Attempts[0])
		}
	})
}
