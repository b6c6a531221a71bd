//go:build !race

// The race detector's own memory would be measured; make test runs these
// tests without it.

package smtpretry_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the first may only have finished one under way
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory sends to a million hosts, each of which must be remembered for a
// while, and looks at what that takes, and that it is given back.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			hosts = 1_000_000
			most  = 120_000_000
		)
		l := smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerMinute(1), Burst: 10})
		before := heap()
		for i := range hosts {
			p := l.Join(fmt.Sprintf("mx%07d.example.net", i), 1)
			sendOne(t, p)
			p.Close()
		}
		used := int64(heap() - before)
		t.Logf("%d hosts take %d MB, %d bytes each", hosts, used/1_000_000, used/hosts)
		if used > most {
			t.Errorf("%d hosts take %d bytes, want at most %d", hosts, used, most)
		}
		if e := l.Explain("mx0999999.example.net"); e.Tokens != 9 {
			t.Errorf("the last host is not remembered: %v", e)
		}

		// Few are to be remembered for longer; the others are gone soon.
		const few = 100
		for i := range few {
			if err := l.SetLimit(fmt.Sprintf("mx%07d.example.net", i), smtpretry.Limit{Rate: smtpretry.PerHour(1), Burst: 10}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if live, rest := l.CountHosts(); live != 0 || rest != few {
			t.Errorf("after 5 minutes: %d hosts live, %d at rest, want 0 and %d", live, rest, few)
		}
		if left := int64(heap() - before); left > most/100 {
			t.Errorf("after 5 minutes: %d bytes are still in use", left)
		}
		runtime.KeepAlive(l)
	})
}

// TestMemoryOfWaiting has 100,000 messages wait in Send for a host that asks
// for an hour's pause, and looks at what that takes, and that another host is
// not in their way.
func TestMemoryOfWaiting(t *testing.T) {
	const (
		messages = 100_000
		most     = 400_000_000 // of it 2 KiB each for the stack
	)
	bubble(t, testserver.Config{
		Script: testserver.Script{testserver.On(testserver.Mail, testserver.Reply("421 4.3.2 Try again in 3600 seconds").ThenClose())},
	}, func(t *testing.T, srv *testserver.Server) {
		other := testserver.Start(t, testserver.Config{Addr: "localhost:25"})
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		with := func(cfg *smtpretry.Config) { cfg.Limiter, cfg.Policy.MaxElapsed = l, 24*time.Hour }
		c, free := client(t, srv, with), client(t, other, with)
		ctx, cancel := context.WithCancel(t.Context())
		before := used()
		var wg sync.WaitGroup
		var waits atomic.Int64
		for range messages {
			wg.Go(func() {
				if _, err := c.Send(ctx, note("you@example.net")); err != nil {
					waits.Add(1)
				}
			})
		}
		synctest.Wait()
		took := int64(used() - before)
		t.Logf("%d messages that wait take %d MB, %d bytes each; stacks %d MB", messages, took/1_000_000, took/messages, stacks()/1_000_000)
		if took > most {
			t.Errorf("%d messages that wait take %d bytes, want at most %d", messages, took, most)
		}
		start := time.Now()
		for range 3 { // as many as a host of which nothing is known gets at once
			if _, err := free.Send(t.Context(), note("you@example.net")); err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("3 messages to another host took %v, want no time", d)
		}
		cancel()
		wg.Wait()
		if n := waits.Load(); n != messages || srv.Stats().Mails > 5 {
			t.Errorf("%d messages waited, %d attempts were made; want all to wait, and at most 5", n, srv.Stats().Mails)
		}
	})
}

// used is heap with the stacks.
func used() uint64 { return heap() + stacks() }

func stacks() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}
