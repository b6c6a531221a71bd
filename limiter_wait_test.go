package smtpretry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

// TestCharge holds at which moment a message is charged: when the reply to
// MAIL is there, unless the round trip is too long for what the bucket saves.
func TestCharge(t *testing.T) {
	const trip = 150 * time.Millisecond
	for _, c := range []struct {
		name string
		lim  smtpretry.Limit
		want time.Duration // after MAIL has gone out: when all tokens are there again
	}{
		{"a burst to spare", smtpretry.Limit{Rate: 1, Burst: 2}, trip + time.Second},
		{"none to spare", smtpretry.Limit{Rate: 1}, time.Second},
		{"a round trip beyond it", smtpretry.Limit{Rate: 5, Burst: 2}, time.Second / 5},
		{"recipients", smtpretry.Limit{Rate: 1, Burst: 2, Recipients: 1}, time.Second},
		{"a short quota", smtpretry.Limit{Rate: 1, Burst: 2, Quotas: []smtpretry.Quota{{N: 9, Per: time.Second}}}, time.Second},
		{"a long quota", smtpretry.Limit{Rate: 1, Burst: 2, Quotas: []smtpretry.Quota{{N: 9, Per: time.Hour}}}, trip + time.Second},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			l := told(c.lim)
			p := l.Join(host, 1)
			conn := &fakeConn{}
			var begin time.Time
			for range 2 { // the round trip is known from the first
				time.Sleep(time.Minute)
				g := get(t, p)
				begin = time.Now()
				g.Started()
				time.Sleep(trip)
				g.Counted()
				g.Release(conn)
			}
			all := float64(max(c.lim.Burst, 1))
			time.Sleep(time.Until(begin.Add(c.want - 1)))
			if e := l.Explain(host); e.Tokens >= all {
				t.Errorf("all tokens are there before %v", c.want)
			}
			time.Sleep(time.Nanosecond)
			if e := l.Explain(host); e.Tokens != all {
				t.Errorf("%v tokens after %v, want %v", e.Tokens, c.want, all)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: smtpretry.PerMinute(1)})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := p.Acquire(ctx, begin, 1, func(smtpretry.Wait) { t.Error("a wait is announced that is not begun") })
		if time.Since(begin) != 0 {
			t.Errorf("refused after %v, want at once", time.Since(begin))
		}
		var late *smtpretry.LimitError
		if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want a LimitError that is DeadlineExceeded", err)
		}
		if late.Host != host || late.For != "rate" || !late.Until.Equal(begin.Add(time.Minute)) || !late.Deadline.Equal(begin.Add(20*time.Second)) {
			t.Errorf("got %+v", late)
		}
		if want := "smtpretry: the rate limit of host.example does not let the message through before 40s after the deadline"; err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Acquire(ctx, begin, 1, nil); !errors.As(err, &late) || time.Since(begin) != 0 {
			t.Errorf("a deadline at the very moment: got %v after %v, want a LimitError at once", err, time.Since(begin))
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute+1)
		defer cancel()
		if _, err := p.Acquire(ctx, begin, 1, nil); err != nil {
			t.Errorf("a deadline that can be met: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("changed my mind")
		p := told(smtpretry.Limit{Rate: smtpretry.PerMinute(1)}).Join(host, 1)
		deliver(t, p, &fakeConn{})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(cause) })
		begin := time.Now()
		var waits []smtpretry.Wait
		_, err := p.Acquire(ctx, begin, 1, func(w smtpretry.Wait) { waits = append(waits, w) })
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("returned after %v, want 5s", took)
		}
		var ended *smtpretry.WaitError
		if !errors.As(err, &ended) || !errors.Is(err, cause) || ended.Host != host || ended.For != "rate" {
			t.Errorf("got %v, want a WaitError for the rate with the context's cause", err)
		}
		if want := (smtpretry.Wait{Host: host, For: "rate", Until: begin.Add(time.Minute)}); len(waits) != 1 || !waits[0].Until.Equal(want.Until) || waits[0].Host != want.Host || waits[0].For != want.For {
			t.Errorf("announced %+v, want once %+v", waits, want)
		}
		if _, err := p.Acquire(ctx, begin, 1, nil); !errors.Is(err, cause) {
			t.Errorf("with a context that has ended: %v, want its cause", err)
		}
		// The token of the one who left is there for the next.
		time.Sleep(55 * time.Second)
		deliver(t, p, &fakeConn{})
	})
}

// A briefContext has ended when it is looked at a second time, which is right
// after the permit has been granted.
type briefContext struct {
	context.Context
	looked bool
}

func (c *briefContext) Err() error {
	if !c.looked {
		c.looked = true
		return nil
	}
	return context.Canceled
}

// TestCancelGranted holds that a permit which comes too late is handed back
// whole, the token for its new connection and the room made for it included.
func TestCancelGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 1, NewConns: 1, MaxConns: 1})
		other, p := l.Join(host, 1), l.Join(host, 1)
		idle := &fakeConn{}
		deliver(t, other, idle)
		begin := time.Now()
		if g, err := p.Acquire(&briefContext{Context: t.Context()}, begin, 1, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, %v; want context.Canceled", g, err)
		}
		if took := time.Since(begin); took != time.Second || !idle.closed() {
			t.Errorf("granted after %v, idle connection closed: %v; want 1s and true", took, idle.closed())
		}
		get(t, p)
	})
}

// TestAhead holds that whoever stands behind one who leaves, or who is sent
// away, goes on at once.
func TestAhead(t *testing.T) {
	inBubble(t, "one who leaves", func(t *testing.T) {
		p := told(smtpretry.Limit{RecipientQuotas: []smtpretry.Quota{{N: 10, Per: time.Hour}}}).Join(host, 3)
		deliver(t, p, &fakeConn{})
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		go p.Acquire(ctx, begin.Add(-1), 10, nil)
		synctest.Wait()
		time.AfterFunc(time.Second, cancel)
		var waits []smtpretry.Wait
		if _, err := p.Acquire(t.Context(), begin, 1, func(w smtpretry.Wait) { waits = append(waits, w) }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != time.Second || len(waits) != 1 || waits[0].For != "recipient-quota" {
			t.Errorf("served after %v, having waited for %+v; want 1s and the one ahead", took, waits)
		}
	})
	inBubble(t, "one whose time is up before its turn", func(t *testing.T) {
		p := told(smtpretry.Limit{Rate: smtpretry.PerHour(1)}).Join(host, 3)
		first := get(t, p) // not charged: nobody knows how long the next has to wait
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.AfterFunc(time.Second, first.Started)
		begin := time.Now()
		_, err := p.Acquire(ctx, begin, 1, nil)
		var late *smtpretry.LimitError
		if took := time.Since(begin); !errors.As(err, &late) || took != time.Second {
			t.Errorf("got %v after %v, want a LimitError when it is known", err, took)
		}
	})
	inBubble(t, "one who could not open a connection in time", func(t *testing.T) {
		l := told(smtpretry.Limit{NewConns: smtpretry.PerMinute(1)})
		first, other := l.Join(host, 3), l.Join(host, 3)
		busy := get(t, first)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := other.Acquire(ctx, begin, 1, nil)
		var late *smtpretry.LimitError
		if took := time.Since(begin); !errors.As(err, &late) || late.For != "new-connections" || took != 0 {
			t.Errorf("got %v after %v, want a LimitError for new connections at once", err, took)
		}
		// One that may get a connection back does not give up so early.
		time.AfterFunc(time.Second, func() { busy.Release(&fakeConn{}) })
		if g, err := first.Acquire(ctx, begin, 1, nil); err != nil || g.Conn() == nil || time.Since(begin) != time.Second {
			t.Errorf("got %v after %v, want the connection that came back after 1s", err, time.Since(begin))
		}
	})
	inBubble(t, "one who makes room first", func(t *testing.T) {
		l := told(smtpretry.Limit{NewConns: 1, MaxConns: 2})
		other, p := l.Join(host, 2), l.Join(host, 3)
		a := get(t, other)
		time.Sleep(time.Second)
		b := get(t, other)
		time.Sleep(time.Second)
		a.Release(&fakeConn{takes: 100 * time.Millisecond})
		b.Release(&fakeConn{takes: 100 * time.Millisecond})
		begin := time.Now()
		var mu sync.Mutex
		var served []time.Duration
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := p.Acquire(t.Context(), begin, 1, nil); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				served = append(served, time.Since(begin))
				mu.Unlock()
			})
		}
		wg.Wait()
		// The server sees a connection when an old one has been closed.
		if want := []time.Duration{100 * time.Millisecond, 1200 * time.Millisecond}; !slices.Equal(served, want) {
			t.Errorf("connections opened after %v, want %v", served, want)
		}
	})
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 1})
		pools := []*smtpretry.Pool{l.Join(host, 1), l.Join(host, 2), l.Join(host, 50)}
		deliver(t, pools[0], &fakeConn{})
		begin := time.Now()
		var mu sync.Mutex
		var got []int
		var wg sync.WaitGroup
		for i := range 50 {
			age := i * 37 % 50 // in no order
			p := pools[age%3]
			wg.Go(func() {
				g, err := p.Acquire(t.Context(), begin.Add(-time.Duration(age)*time.Minute), 1, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got = append(got, age)
				mu.Unlock()
				g.Started()
				g.Counted()
				g.Release(&fakeConn{})
			})
		}
		wg.Wait()
		if !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) {
			t.Errorf("served in the order %v, want the longest waiting first", got)
		}
	})
}

// TestCrowd puts a crowd of waiters in one line. They are served in order, and
// none of them is in another host's way.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: smtpretry.PerSecond(1000)})
		p, other := l.Join(host, 10), l.Join("other.example", 1)
		hint := overloaded
		hint.RetryAfter = time.Hour
		p.Observe(hint)
		begin := time.Now()
		var wg sync.WaitGroup
		var served []int
		for i := range crowd {
			wg.Go(func() {
				g, err := p.Acquire(t.Context(), begin.Add(time.Duration(i)), 1, nil)
				if err != nil {
					t.Error(err)
					return
				}
				served = append(served, i) // one each millisecond
				g.Started()
				g.Counted()
				g.Release(&fakeConn{})
			})
		}
		synctest.Wait()
		deliver(t, other, &fakeConn{})
		wg.Wait()
		if want := time.Hour + (crowd-1)*time.Millisecond; time.Since(begin) != want || len(served) != crowd || !slices.IsSorted(served) {
			t.Errorf("%d served after %v, in order: %v; want %d after %v in order",
				len(served), time.Since(begin), slices.IsSorted(served), crowd, want)
		}
	})
}
