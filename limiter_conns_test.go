package smtpretry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

func TestConnections(t *testing.T) {
	inBubble(t, "the last used is used again", func(t *testing.T) {
		p := told(smtpretry.Limit{}).Join(host, 3)
		a, b := get(t, p), get(t, p)
		first, second := &fakeConn{name: "first"}, &fakeConn{name: "second"}
		a.Release(first)
		b.Release(second)
		if got := get(t, p).Conn(); got != second {
			t.Errorf("got connection %v, want the last used", got)
		}
		if got := get(t, p).Conn(); got != first {
			t.Errorf("got connection %v, want the other one", got)
		}
		if got := get(t, p).Conn(); got != nil {
			t.Errorf("got connection %v, want leave to open one", got)
		}
	})
	inBubble(t, "idle ones are closed after a while", func(t *testing.T) {
		l := told(smtpretry.Limit{})
		p := l.Join(host, 2)
		a, b := get(t, p), get(t, p)
		early, late := &fakeConn{}, &fakeConn{}
		a.Release(early)
		time.Sleep(time.Second)
		b.Release(late)
		time.Sleep(smtpretry.IdleMax - time.Second - 1)
		synctest.Wait()
		if early.closed() || late.closed() {
			t.Errorf("closed too early: %v, %v", early.closed(), late.closed())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !early.closed() || late.closed() {
			t.Errorf("after %v: closed %v, %v; want only the first", smtpretry.IdleMax, early.closed(), late.closed())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if e := l.Explain(host); !late.closed() || e.Open != 0 {
			t.Errorf("a second later: closed %v, %d open; want all closed", late.closed(), e.Open)
		}
	})
	inBubble(t, "no more than the client's own", func(t *testing.T) {
		l := told(smtpretry.Limit{})
		p, other := l.Join(host, 1), l.Join(host, 1)
		g := get(t, p)
		got := make(chan *smtpretry.Permit)
		go func() {
			g, _ := p.Acquire(t.Context(), time.Now(), 1, nil)
			got <- g
		}()
		synctest.Wait()
		deliver(t, other, &fakeConn{}) // later, but not in need of p's connection
		conn := &fakeConn{}
		g.Release(conn)
		if next := <-got; next.Conn() != conn {
			t.Errorf("the one who waited got connection %v, want the one given back", next.Conn())
		}
	})
	inBubble(t, "room is made by closing an idle one of another client", func(t *testing.T) {
		l := told(smtpretry.Limit{MaxConns: 2})
		p, other := l.Join(host, 2), l.Join(host, 2)
		older, newer := &fakeConn{}, &fakeConn{}
		a, b := get(t, p), get(t, p)
		a.Release(older)
		b.Release(newer)
		if g := get(t, other); g.Conn() != nil || !older.closed() || newer.closed() {
			t.Errorf("got connection %v, closed %v and %v; want the oldest closed and leave to open one", g.Conn(), older.closed(), newer.closed())
		}
		if e := l.Explain(host); e.Open != 2 || e.Idle != 1 {
			t.Errorf("%d open, %d idle; want 2 and 1", e.Open, e.Idle)
		}
	})
	inBubble(t, "a lower limit closes idle ones, and those given back", func(t *testing.T) {
		l := told(smtpretry.Limit{})
		p := l.Join(host, 3)
		a, b, c := get(t, p), get(t, p), get(t, p)
		idle, back, kept := &fakeConn{}, &fakeConn{}, &fakeConn{}
		a.Release(idle)
		setLimit(t, l, host, smtpretry.Limit{MaxConns: 1})
		synctest.Wait()
		b.Release(back)
		c.Release(kept)
		if !idle.closed() || !back.closed() || kept.closed() {
			t.Errorf("closed %v, %v, %v; want all but the last", idle.closed(), back.closed(), kept.closed())
		}
	})
	inBubble(t, "a second release does nothing", func(t *testing.T) {
		l := told(smtpretry.Limit{MaxConns: 1, Rate: 1})
		p := l.Join(host, 1)
		g, conn := get(t, p), &fakeConn{}
		g.Release(conn)
		g.Release(nil)
		g.Release(&fakeConn{})
		g.Started()
		g.Counted()
		if e := l.Explain(host); e.Open != 1 || e.Idle != 1 || e.Tokens != 1 {
			t.Errorf("%d open, %d idle, %v tokens; want 1, 1, 1", e.Open, e.Idle, e.Tokens)
		}
	})
	inBubble(t, "close", func(t *testing.T) {
		l := told(smtpretry.Limit{MaxConns: 2})
		p, other := l.Join(host, 2), l.Join(host, 2)
		busy, kept := get(t, p), &fakeConn{}
		deliver(t, p, kept)
		errs := make(chan error)
		stuck := get(t, p)
		go func() {
			_, err := p.Acquire(t.Context(), time.Now(), 1, nil)
			errs <- err
		}()
		synctest.Wait()
		stuck.Release(kept)
		second := <-errs // served with the connection given back
		if second != nil {
			t.Fatal(second)
		}
		go func() {
			_, err := p.Acquire(t.Context(), time.Now(), 1, nil)
			errs <- err
		}()
		synctest.Wait()
		closeAll(p)
		if err := <-errs; !errors.Is(err, smtpretry.ErrClosed) {
			t.Errorf("the one who waited: %v, want ErrClosed", err)
		}
		if _, err := p.Acquire(t.Context(), time.Now(), 1, nil); !errors.Is(err, smtpretry.ErrClosed) {
			t.Errorf("after close: %v, want ErrClosed", err)
		}
		conn := &fakeConn{}
		busy.Release(conn)
		if !conn.closed() {
			t.Error("a connection given back after close is kept")
		}
		get(t, other)
	})
	inBubble(t, "idle ones keep their slot until they are closed", func(t *testing.T) {
		l := told(smtpretry.Limit{MaxConns: 1})
		p, other := l.Join(host, 1), l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		idle := p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := other.Acquire(ctx, time.Now(), 1, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second connection beside one that is not closed yet: %v", err)
		}
		for _, conn := range idle {
			conn.Close()
		}
		get(t, other)
	})
}

func TestRefund(t *testing.T) {
	inBubble(t, "permits handed back leave no trace", func(t *testing.T) {
		lim := smtpretry.Limit{
			Rate: 1, Burst: 3, Recipients: 1,
			Quotas: []smtpretry.Quota{{N: 3, Per: time.Hour}}, RecipientQuotas: []smtpretry.Quota{{N: 3, Per: time.Hour}},
		}
		p := told(lim).Join(host, 5)
		conn := &fakeConn{}
		for range 1000 {
			get(t, p).Release(conn)
		}
		for range 3 {
			deliver(t, p, conn)
		}
	})
	inBubble(t, "but a connection that was opened stays counted", func(t *testing.T) {
		p := told(smtpretry.Limit{NewConns: smtpretry.PerSecond(1)}).Join(host, 5)
		get(t, p).Release(nil)
		begin := time.Now()
		if _, err := p.Acquire(t.Context(), begin, 1, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the second connection after %v, want 1s", took)
		}
	})
}

// TestOneMore: of a host that is not known one more connection is asked for
// when the one before has shown that it works.
func TestOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trip = 300 * time.Millisecond
		p := smtpretry.NewLimiter(smtpretry.Limit{}).Join(host, 3)
		begin := time.Now()
		for i := range 3 {
			g, err := p.Acquire(t.Context(), begin, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took != time.Duration(i)*2*trip {
				t.Errorf("connection %d after %v, want %v: when MAIL was answered on the one before", i+1, took, time.Duration(i)*2*trip)
			}
			time.AfterFunc(trip, g.Started)
			time.AfterFunc(2*trip, g.Counted)
		}
	})
}
