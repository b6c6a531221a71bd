package smtpretry_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A fakeConn notes that it was closed.
type fakeConn struct {
	name  string
	takes time.Duration // to close
	gone  atomic.Bool
}

func (c *fakeConn) Close() error {
	time.Sleep(c.takes)
	c.gone.Store(true)
	return nil
}

func (c *fakeConn) closed() bool { return c.gone.Load() }

const host = "host.example"

// get acquires at once, or fails the test.
func get(t *testing.T, p *smtpretry.Pool) *smtpretry.Permit {
	t.Helper()
	begin := time.Now()
	g, err := p.Acquire(t.Context(), begin, 1, nil)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	if took := time.Since(begin); took != 0 {
		t.Fatalf("acquire took %v, want no time", took)
	}
	return g
}

// deliver sends one message and keeps the connection.
func deliver(t *testing.T, p *smtpretry.Pool, conn *fakeConn) {
	t.Helper()
	g := get(t, p)
	g.Started()
	g.Counted()
	g.Release(conn)
}

// sendOne sends one message as soon as it may, over a connection of its own.
func sendOne(t *testing.T, p *smtpretry.Pool) {
	t.Helper()
	g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Started()
	g.Counted()
	g.Release(nil)
}

// closeAll closes pools and the connections that are idle in them.
func closeAll(pools ...*smtpretry.Pool) {
	for _, p := range pools {
		for _, conn := range p.Close() {
			conn.Close()
		}
	}
}

func setLimit(t *testing.T, l *smtpretry.Limiter, host string, lim smtpretry.Limit) {
	t.Helper()
	if err := l.SetLimit(host, lim); err != nil {
		t.Error(err)
	}
}

func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestSetLimit(t *testing.T) {
	inBubble(t, "a higher rate wakes those who wait", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 0.1})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		begin := time.Now()
		time.AfterFunc(time.Second, func() { setLimit(t, l, host, smtpretry.Limit{Rate: 1000}) })
		if _, err := p.Acquire(t.Context(), begin, 1, nil); err != nil {
			t.Fatal(err)
		}
		// A tenth of a token was there after the second, the rest takes 0.9 ms.
		if took, want := time.Since(begin), time.Second+900*time.Microsecond; took != want {
			t.Errorf("served after %v, want %v", took, want)
		}
	})
	inBubble(t, "a lower rate holds them", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 1})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		begin := time.Now()
		time.AfterFunc(time.Second/2, func() { setLimit(t, l, host, smtpretry.Limit{Rate: 0.1}) })
		if _, err := p.Acquire(t.Context(), begin, 1, nil); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(begin), time.Second/2+5*time.Second; took != want {
			t.Errorf("served after %v, want %v", took, want)
		}
	})
	inBubble(t, "and tells those who cannot wait that long", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 1})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		time.AfterFunc(time.Second/2, func() { setLimit(t, l, host, smtpretry.Limit{Rate: 0.1}) })
		_, err := p.Acquire(ctx, begin, 1, nil)
		var late *smtpretry.LimitError
		if took := time.Since(begin); !errors.As(err, &late) || took != time.Second/2 {
			t.Errorf("got %v after %v, want a LimitError at the change", err, took)
		}
	})
	inBubble(t, "a quota below the transaction", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 1})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		time.AfterFunc(time.Second/2, func() {
			setLimit(t, l, host, smtpretry.Limit{RecipientQuotas: []smtpretry.Quota{{N: 10, Per: time.Hour}}})
		})
		_, err := p.Acquire(t.Context(), time.Now(), 11, nil)
		if got := smtpretry.MaxRecipients(err); got != 10 || p.PerMessage(11) != 10 {
			t.Errorf("got %v and PerMessage %d, want that 10 recipients are the most", err, p.PerMessage(11))
		}
	})
	inBubble(t, "a host at rest keeps what it has spent", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 0.1, Burst: 5})
		p := l.Join(host, 1)
		for range 5 {
			g := get(t, p)
			g.Started()
			g.Counted()
			g.Release(nil)
		}
		p.Close()
		if live, rest := l.CountHosts(); live != 0 || rest != 1 {
			t.Fatalf("%d hosts live, %d at rest; want 0 and 1", live, rest)
		}
		setLimit(t, l, host, smtpretry.Limit{Rate: 1, Burst: 5})
		begin := time.Now()
		p = l.Join(host, 1)
		if live, rest := l.CountHosts(); live != 1 || rest != 0 {
			t.Errorf("with a client again: %d hosts live, %d at rest; want 1 and 0", live, rest)
		}
		if _, err := p.Acquire(t.Context(), begin, 1, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("served after %v, want 1s", took)
		}
	})
}

func TestEviction(t *testing.T) {
	for _, c := range []struct {
		name string
		lim  smtpretry.Limit
		use  func(t *testing.T, p *smtpretry.Pool)
		keep time.Duration // how long it must be remembered
	}{
		{"nothing to remember", smtpretry.Limit{}, func(t *testing.T, p *smtpretry.Pool) { deliver(t, p, &fakeConn{}) }, 0},
		{"an empty bucket", smtpretry.Limit{Rate: 0.01}, func(t *testing.T, p *smtpretry.Pool) { deliver(t, p, &fakeConn{}) }, 100 * time.Second},
		{"recipients", smtpretry.Limit{Recipients: 0.01}, func(t *testing.T, p *smtpretry.Pool) { deliver(t, p, &fakeConn{}) }, 100 * time.Second},
		{"a new connection", smtpretry.Limit{NewConns: 0.01}, func(t *testing.T, p *smtpretry.Pool) { deliver(t, p, &fakeConn{}) }, 100 * time.Second},
		{"a quota", smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 5, Per: time.Hour}}}, func(t *testing.T, p *smtpretry.Pool) { deliver(t, p, &fakeConn{}) }, time.Hour},
		{"refusals in a row", smtpretry.Limit{}, func(_ *testing.T, p *smtpretry.Pool) { p.Observe(overloaded) }, 10 * time.Minute},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			l := told(c.lim)
			p := l.Join(host, 1)
			c.use(t, p)
			closeAll(p)
			time.Sleep(c.keep - 1)
			synctest.Wait()
			if live, rest := l.CountHosts(); c.keep > 0 && live+rest != 1 {
				t.Errorf("after %v: %d live, %d at rest; want one of them", c.keep-1, live, rest)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if live, rest := l.CountHosts(); live+rest != 0 {
				t.Errorf("2 min after %v: %d live, %d at rest; want none", c.keep, live, rest)
			}
		})
	}
}

// TestZeroLimiter holds that a Limiter needs no constructor.
func TestZeroLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(smtpretry.Limiter)
		if e := l.Explain(host); e.Binding != "" {
			t.Errorf("the zero Limiter explains %v", e)
		}
		setLimit(t, l, host, smtpretry.Limit{Rate: 1})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		if e := l.Explain(host); e.Binding != "rate" {
			t.Errorf("after a message at 1/s: %v", e)
		}
	})
}

// told returns a Limiter that has been told all about the hosts of these
// tests, so that nothing has to be found out gently.
func told(lim smtpretry.Limit) *smtpretry.Limiter {
	l := smtpretry.NewLimiter(smtpretry.Limit{})
	for _, h := range []string{host, "other.example"} {
		if err := l.SetLimit(h, lim); err != nil {
			panic(err)
		}
	}
	return l
}
