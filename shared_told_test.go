package smtpretry_test

import (
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
