package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A silence is a store that does not answer while it is set: what is sent there
// is lost.
type silence struct {
	smtpretry.Store
	on atomic.Bool
}

func (s *silence) Update(ctx context.Context, key string, change func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	if s.on.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Update(ctx, key, change)
}

// A mortal is a process that can be killed: its store is never heard again, its
// senders stop where they are, its connections vanish.
type mortal struct {
	run    *run
	store  *silence
	ctx    context.Context
	die    context.CancelFunc
	pool   *smtpretry.Pool
	served atomic.Int64

	mu    sync.Mutex
	conns []*simConn
}

func (m *mortal) kill() {
	m.store.on.Store(true)
	m.die()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.vanish()
	}
}

// live sends one message after the other until the process is killed.
func (m *mortal) live(rng *rand.Rand) {
	pause := func(most time.Duration) bool {
		time.Sleep(randomTime(rng, most))
		return m.ctx.Err() == nil
	}
	for m.ctx.Err() == nil {
		g, err := m.pool.Acquire(m.ctx, time.Now(), 1+rng.IntN(3), nil)
		if err != nil || m.ctx.Err() != nil {
			return
		}
		conn := g.Conn()
		if conn == nil {
			c := &simConn{run: m.run, takes: randomTime(rng, slowestClose)}
			m.mu.Lock()
			m.conns = append(m.conns, c)
			m.mu.Unlock()
			m.run.dialled(max(m.run.now()-slowestClose, 0))
			if conn = c; !pause(time.Second) {
				return
			}
		}
		if g.Void() {
			conn.Close()
			g.Release(nil)
			continue
		}
		m.run.mu.Lock()
		m.run.starts = append(m.run.starts, start{m.run.now(), m.run.now(), 1})
		m.run.mu.Unlock()
		m.served.Add(1)
		g.Started()
		if !pause(200 * time.Millisecond) {
			return
		}
		g.Counted()
		if !pause(500 * time.Millisecond) {
			return
		}
		m.pool.Observe(smtpretry.Verdict{})
		g.Release(conn)
		if !pause(10 * time.Second) {
			return
		}
	}
}

// TestSharedDeaths kills processes at any moment beside others that go on, under
// random limits: the bounds hold, and the others are served.
func TestSharedDeaths(t *testing.T) {
	served, killed := 0, 0
	eachSeed(t, 40, func(t *testing.T, rng *rand.Rand) {
		lim := randomLimit(rng)
		s := &memStore{ahead: time.Duration(rng.Int64N(int64(time.Hour)))}
		r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
		var all []*mortal
		var wg sync.WaitGroup
		for range 3 + rng.IntN(3) {
			m := &mortal{run: r, store: &silence{Store: s}}
			m.ctx, m.die = context.WithCancel(t.Context())
			l := told(lim)
			l.Skew(time.Duration(rng.Int64N(int64(10*time.Minute))) - 5*time.Minute)
			share(t, m.store, smtpretry.ShareOptions{Lease: time.Second + randomTime(rng, 20*time.Second)}, l)
			m.pool = l.Join(host, 1+rng.IntN(4))
			all = append(all, m)
			for range 1 + rng.IntN(4) {
				seed := rng.Uint64()
				wg.Go(func() { m.live(rand.New(rand.NewPCG(seed, 1))) })
			}
		}
		dead := 1 + rng.IntN(len(all)-1)
		killed += dead
		for _, m := range all[:dead] {
			time.Sleep(randomTime(rng, 20*time.Second))
			m.kill()
		}
		for i, m := range all[dead:] {
			before, since := m.served.Load(), r.now()
			for m.served.Load() == before {
				if time.Sleep(time.Second); r.now()-since > 15*time.Minute {
					t.Errorf("process %d of %d was not served in 15 minutes after %d had been killed, under %+v", dead+i, len(all), dead, lim)
					break
				}
			}
		}
		for _, m := range all {
			m.kill()
		}
		wg.Wait()
		r.check()
		served += len(r.starts)
		for _, m := range all {
			closeAll(m.pool)
			m.store.on.Store(false)
		}
		time.Sleep(time.Hour)
	})
	t.Logf("%d processes were killed, %d messages started", killed, served)
}

// TestSharedLeases: what a process holds for its own lease is not taken from it
// because another one has a shorter.
func TestSharedLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{}
		lim := smtpretry.Limit{MaxConns: 1}
		long, short := told(lim), told(lim)
		share(t, store, smtpretry.ShareOptions{Lease: 10 * time.Second}, long)
		share(t, store, smtpretry.ShareOptions{Lease: time.Second}, short)
		p, q := long.Join(host, 1), short.Join(host, 1)
		g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		g.Started()
		g.Counted()
		time.Sleep(1500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := q.Acquire(ctx, time.Now(), 1, nil); err == nil {
			t.Error("there are two connections, and there may be one")
		}
		g.Release(nil)
		for _, p := range []*smtpretry.Pool{p, q} {
			p.Close()
			p.Farewell()
		}
		time.Sleep(time.Hour)
	})
}

// TestSharedIdleLapses: a connection that is idle is closed before its slot is given
// away, also where the store does not answer at all.
func TestSharedIdleLapses(t *testing.T) {
	for lease := 3 * time.Second; lease <= 12*time.Second; lease += 700 * time.Millisecond {
		t.Run(fmt.Sprint(lease), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &memStore{}
				cut := &silence{Store: store}
				lim := smtpretry.Limit{MaxConns: 1}
				deaf, other := told(lim), told(lim)
				share(t, cut, smtpretry.ShareOptions{Lease: lease}, deaf)
				share(t, store, smtpretry.ShareOptions{Lease: lease}, other)
				r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
				p, q := deaf.Join(host, 1), other.Join(host, 1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r.hurry(ctx, p, 10*time.Millisecond)
				cut.on.Store(true)
				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				before := len(r.starts)
				r.hurry(ctx, q, 10*time.Millisecond)
				if len(r.starts) == before {
					t.Error("the other process was not served")
				}
				cut.on.Store(false)
				closeAll(p, q)
				time.Sleep(time.Hour)
			})
		})
	}
}

// TestSharedWrapped: a connection that was there before the store was asked is used.
func TestSharedWrapped(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		dial := countedDial(t, srv)
		conn, err := dial(t.Context(), "tcp", srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		share(t, &memStore{}, smtpretry.ShareOptions{}, l)
		c, err := smtpretry.Wrap(smtp.NewClient(conn), smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: srv.Addr(), NetDial: dial}, Limiter: l})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.Sleep(time.Second)
		if _, err := c.Send(t.Context(), note("to@example.net")); err != nil {
			t.Fatal(err)
		}
		if n := srv.Stats().Conns; n != 1 {
			t.Errorf("%d connections, want that which was given", n)
		}
	})
}

// TestSharedTryAlone: who does not wait is told so too when the store turns out to
// be away while it is asked.
func TestSharedTryAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := told(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 1, Per: time.Hour}}})
		store := &silence{Store: &memStore{}}
		share(t, store, smtpretry.ShareOptions{Alone: 0.5}, l)
		p := l.Join(host, 1)
		store.on.Store(true)
		done := make(chan error, 1)
		go func() {
			_, err := p.TryAcquire(1)
			done <- err
		}()
		select {
		case err := <-done:
			var late *smtpretry.LimitError
			if !errors.As(err, &late) || late.For != "quota" {
				t.Errorf("TryAcquire = %v, want that it is the quota", err)
			}
		case <-time.After(time.Minute):
			t.Error("TryAcquire waits")
		}
		p.Close()
		store.on.Store(false)
		time.Sleep(time.Hour)
	})
}

// TestSharedAgain: a client that comes back to a host, which the store remembers
// from before, is served at once.
func TestSharedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{}
		cut := &outage{Store: store}
		l := told(smtpretry.Limit{Rate: smtpretry.PerSecond(1), Burst: 2})
		share(t, cut, smtpretry.ShareOptions{}, l)
		p := l.Join(host, 1)
		for range 50 {
			sendOne(t, p)
		}
		time.Sleep(10 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, func() {
			cut.on.Store(true)
			cancel()
		})
		if _, err := p.Acquire(ctx, time.Now(), 1, nil); err == nil {
			t.Fatal("there was a token left")
		}
		p.Close()
		time.Sleep(10 * time.Minute)
		cut.on.Store(false)
		before := store.count()
		p = l.Join(host, 1)
		sendOne(t, p)
		if n := store.count() - before; n > 10 {
			t.Errorf("%d updates until a message was served", n)
		}
		p.Close()
		p.Farewell()
		time.Sleep(time.Hour)
	})
}

// TestSharedAloneClosed: what was sent alone is not forgotten when the client is
// closed, nor when the store is back.
func TestSharedAloneClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: &memStore{}}
		l := told(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 10, Per: 24 * time.Hour}}})
		share(t, store, smtpretry.ShareOptions{Alone: 0.5}, l)
		sent := 0
		send := func() {
			p := l.Join(host, 1)
			for {
				g, err := p.TryAcquire(1)
				if err != nil {
					break
				}
				sent++
				g.Started()
				g.Counted()
				g.Release(nil)
			}
			p.Close()
			p.Farewell()
			time.Sleep(10 * time.Minute)
		}
		store.on.Store(true)
		for range 3 {
			send()
		}
		if sent > 5 {
			t.Errorf("%d messages alone, want at most 5 of 10", sent)
		}
		store.on.Store(false)
		for range 3 {
			send()
		}
		if sent != 10 {
			t.Errorf("%d messages in all, want 10", sent)
		}
		time.Sleep(time.Hour)
	})
}

// TestSharedAloneDials: processes that are alone do not all open a connection at
// once where each of them could have had the next.
func TestSharedAloneDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := smtpretry.Limit{NewConns: smtpretry.PerSecond(1)}
		store := &outage{Store: &memStore{}}
		r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		time.AfterFunc(10*time.Second, func() { store.on.Store(true) })
		time.AfterFunc(25*time.Second, func() { store.on.Store(false) })
		var wg sync.WaitGroup
		for range 4 {
			l := told(lim)
			share(t, store, smtpretry.ShareOptions{Alone: 0.25}, l)
			p := l.Join(host, 1)
			r.pools = append(r.pools, p)
			wg.Go(func() {
				for ctx.Err() == nil {
					g, err := p.Acquire(ctx, time.Now(), 1, nil)
					if err != nil {
						return
					}
					r.dialled(r.now())
					g.Release(nil)
				}
			})
		}
		wg.Wait()
		at := 0
		for _, d := range r.dials {
			if d >= 10*time.Second && d < 13*time.Second {
				at++
			}
		}
		if at > 1 {
			t.Errorf("%d new connections in the first 3 s without the store, want one at most", at)
		}
		if len(r.dials) < 25 {
			t.Errorf("%d connections in 40 s, want nearly 40", len(r.dials))
		}
		for _, p := range r.pools {
			p.Close()
		}
		time.Sleep(time.Hour)
	})
}

// TestSharedAloneConns: who goes on alone opens a connection when the others have
// closed what is beyond their part.
func TestSharedAloneConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := smtpretry.Limit{MaxConns: 3}
		store := &silence{Store: &memStore{}}
		r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
		var wg sync.WaitGroup
		for i := range 3 {
			l := told(lim)
			share(t, store, smtpretry.ShareOptions{Alone: 0.34}, l)
			p := l.Join(host, 3)
			r.pools = append(r.pools, p)
			wg.Go(func() {
				lasts := 2 * time.Second
				if i > 0 {
					time.Sleep(lasts)
					store.on.Store(true)
					lasts = 10 * time.Second
				}
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				var senders sync.WaitGroup
				for range 3 {
					senders.Go(func() { r.hurry(ctx, p, 10*time.Millisecond) })
				}
				senders.Wait()
			})
		}
		wg.Wait()
		if last := r.starts[len(r.starts)-1].at; last < 11*time.Second {
			t.Errorf("nothing was sent alone after %v", last)
		}
		store.on.Store(false)
		closeAll(r.pools...)
		time.Sleep(time.Hour)
	})
}

// TestSharedForgets: a store that loses everything without ever being away does not
// let a process start what it had saved before once more.
func TestSharedForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{}
		l := told(smtpretry.Limit{Rate: smtpretry.PerMinute(1), Burst: 5})
		share(t, store, smtpretry.ShareOptions{}, l)
		p := l.Join(host, 1)
		for range 5 {
			sendOne(t, p)
		}
		time.Sleep(time.Second)
		store.mu.Lock()
		clear(store.kept)
		store.mu.Unlock()
		begin := time.Now()
		sendOne(t, p)
		if took := time.Since(begin); took < 58*time.Second {
			t.Errorf("the sixth message started %v after the fifth", took)
		}
		p.Close()
		p.Farewell()
		time.Sleep(time.Hour)
	})
}

// TestSharedUnused: nothing is written for a host that is only looked at.
func TestSharedUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{}
		l := told(smtpretry.Limit{MaxConns: 1})
		share(t, store, smtpretry.ShareOptions{}, l)
		l.Explain("other.example")
		p := l.Join(host, 1)
		time.Sleep(time.Minute)
		p.Close()
		p.Farewell()
		if n := store.count(); n > 0 {
			t.Errorf("%d updates of the store for nothing", n)
		}
		time.Sleep(time.Hour)
		if live, rest := l.CountHosts(); live+rest != 0 {
			t.Errorf("%d hosts live, %d at rest, want none", live, rest)
		}
	})
}
