package smtpretry_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// BenchmarkAcquire is one message over a kept connection, with nobody
// waiting: acquire, started, counted and release. So many hosts are remembered;
// up to a thousand of them are sent to, in turn.
func BenchmarkAcquire(b *testing.B) {
	lim := smtpretry.Limit{Rate: 1e9, Burst: 1e6, MaxConns: 10}
	for _, hosts := range []int{1, 1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			l := told(smtpretry.Limit{Rate: smtpretry.PerHour(1)})
			for i := range hosts {
				p := l.Join(fmt.Sprintf("mx%07d.example.net", i), 1)
				g, err := p.Acquire(b.Context(), time.Now(), 1, nil)
				if err != nil {
					b.Fatal(err)
				}
				g.Started()
				g.Release(nil)
				p.Close()
			}
			for i := range min(hosts, 1000) {
				if err := l.SetLimit(fmt.Sprintf("mx%07d.example.net", i), lim); err != nil {
					b.Fatal(err)
				}
			}
			time.Sleep(time.Millisecond) // a token at the new rate
			benchmarkAcquire(b, l, min(hosts, 1000))
		})
	}
}

func benchmarkAcquire(b *testing.B, l *smtpretry.Limiter, hosts int) {
	pools := make([]*smtpretry.Pool, hosts)
	for i := range pools {
		pools[i] = l.Join(fmt.Sprintf("mx%07d.example.net", i), 1)
	}
	var conn nopCloser
	var place smtpretry.Waiter
	since := time.Now()
	runtime.GC() // what the set-up left is not the subject
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		g, err := pools[i].AcquireAt(b.Context(), &place, since, 1, nil)
		if err != nil {
			b.Fatal(err)
		}
		g.Started()
		g.Counted()
		g.Release(conn)
		if i++; i == hosts {
			i = 0
		}
	}
}

// BenchmarkGrant is one message in a line of so many that wait for the same
// connection.
func BenchmarkGrant(b *testing.B) {
	for _, waiters := range []int{10, 100_000} {
		b.Run(fmt.Sprint(waiters), func(b *testing.B) {
			p := told(smtpretry.Limit{}).Join("host.example", 1)
			left, served := b.N, 0 // guarded by the only connection
			var wg sync.WaitGroup
			send := func() bool {
				g, err := p.Acquire(b.Context(), time.Now(), 1, nil)
				if err != nil {
					b.Error(err)
					return false
				}
				left--
				served++
				more := left >= 0
				g.Started()
				g.Counted()
				g.Release(nopCloser{})
				return more
			}
			first, err := p.Acquire(b.Context(), time.Now(), 1, nil)
			if err != nil {
				b.Fatal(err)
			}
			for range waiters {
				wg.Go(func() {
					for send() {
					}
				})
			}
			b.ResetTimer()
			first.Release(nil)
			wg.Wait()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(served), "ns/grant")
		})
	}
}
