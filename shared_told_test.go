package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

// What is told to the store and heard from it is neither lost nor told twice.

// TestSharedUntold: what a process meets while it talks with the store is not
// forgotten for the answer, which knows nothing of it.
func TestSharedUntold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &outage{Store: &memStore{takes: func() time.Duration { return 100 * time.Millisecond }}}
		l := told(smtpretry.Limit{})
		share(t, store, smtpretry.ShareOptions{Alone: 0.5}, l)
		p := l.Join(host, 1)
		g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		enough := make(chan struct{})
		go p.Doze(time.Now(), enough)
		g.Started() // it tells so
		time.Sleep(50 * time.Millisecond)
		p.Observe(overloaded)
		store.on.Store(true) // for what it tells next
		time.Sleep(200 * time.Millisecond)
		if !p.Paused() {
			t.Error("the pause is over with the store's answer")
		}
		if p.Asleep() != 1 {
			t.Error("who waits for the host to work was told that it does")
		}
		close(enough)
		g.Release(nil)
		store.on.Store(false)
		closeAll(p)
		time.Sleep(time.Hour)
	})
}

// TestSharedStale: nobody is sent away for a limit that was in force when the store
// was last asked.
func TestSharedStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict, free := told(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 1, Per: 24 * time.Hour}}}), told(smtpretry.Limit{})
		share(t, &memStore{}, smtpretry.ShareOptions{}, strict, free)
		p, q := strict.Join(host, 1), free.Join(host, 1)
		send := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			g, err := q.Acquire(ctx, time.Now(), 1, nil)
			if err == nil {
				g.Release(nil)
			}
			return err
		}
		deliver(t, p, &fakeConn{}) // it stays there with its connection
		var late *smtpretry.LimitError
		for range 2 {
			begin := time.Now()
			if err := send(); !errors.As(err, &late) || late.For != "quota" || time.Since(begin) > time.Second {
				t.Errorf("Acquire = %v after %v, want at once that it is the quota", err, time.Since(begin))
			}
		}
		closeAll(p)
		time.Sleep(time.Minute)
		if err := send(); err != nil {
			t.Errorf("Acquire = %v, and nobody is there who goes by a quota", err)
		}
		closeAll(q)
		time.Sleep(time.Hour)
	})
}

// TestSharedAloneTwice: what was sent alone is counted once when the store is back,
// also if every other answer of it is lost.
func TestSharedAloneTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away, deaf atomic.Bool
		tries := 0
		store := &memStore{fails: func() (before, after bool) {
			tries++
			return away.Load(), deaf.Load() && tries%2 == 0
		}}
		l := told(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 10, Per: 24 * time.Hour}}})
		share(t, store, smtpretry.ShareOptions{Alone: 0.5}, l)
		p := l.Join(host, 1)
		sent := 0
		send := func(want int) {
			t.Helper()
			for ; ; sent++ {
				g, err := p.TryAcquire(1)
				if err != nil {
					break
				}
				g.Started()
				g.Counted()
				g.Release(nil)
			}
			if sent != want {
				t.Errorf("%d messages so far, want %d", sent, want)
			}
		}
		away.Store(true)
		send(5)
		away.Store(false)
		deaf.Store(true)
		time.Sleep(time.Minute)
		deaf.Store(false)
		time.Sleep(time.Minute)
		send(10)
		closeAll(p)
		time.Sleep(time.Hour)
	})
}

// TestSharedForgetsOthers: that the store has forgotten something is noticed by whoever
// it had told more, also when another process was there before.
func TestSharedForgetsOthers(t *testing.T) {
	for _, backup := range []bool{false, true} { // it goes back to what it knew before, instead of nothing
		inBubble(t, fmt.Sprint(backup), func(t *testing.T) {
			store := &memStore{}
			lim := smtpretry.Limit{Rate: smtpretry.PerMinute(1), Burst: 5}
			one, other := told(lim), told(lim)
			share(t, store, smtpretry.ShareOptions{}, one, other)
			p, q := one.Join(host, 1), other.Join(host, 1)
			deliver(t, p, &fakeConn{}) // and keeps the connection
			time.Sleep(time.Second)
			was := map[string][]byte{}
			if backup {
				was[host] = store.stored(host)
			}
			for range 4 {
				deliver(t, p, &fakeConn{})
			}
			time.Sleep(time.Second)
			store.mu.Lock()
			store.kept = was
			store.mu.Unlock()
			sendOne(t, q)
			begin := time.Now()
			sendOne(t, p)
			if took := time.Since(begin); took < 58*time.Second {
				t.Errorf("the next message started %v after five, and one of the other process", took)
			}
			closeAll(p, q)
			time.Sleep(time.Hour)
		})
	}
}
