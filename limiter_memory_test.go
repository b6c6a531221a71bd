//go:build !race

// The race detector's own memory would be measured; make test runs these
// tests without it.

package smtpretry_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
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
			g, err := p.Acquire(t.Context(), time.Now(), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			g.Started()
			g.Counted()
			g.Release(nil)
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
		if live, rest := l.Hosts(); live != 0 || rest != few {
			t.Errorf("after 5 minutes: %d hosts live, %d at rest, want 0 and %d", live, rest, few)
		}
		if left := int64(heap() - before); left > most/100 {
			t.Errorf("after 5 minutes: %d bytes are still in use", left)
		}
		runtime.KeepAlive(l)
	})
}
