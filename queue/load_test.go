package queue_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

var crowd = flag.Int("crowd", 3000, "how many messages wait in TestBlockedHost and TestIdle")

// byDomain routes by the recipient's domain; the hosts' servers are given.
func byDomain(c *queue.Config, limiter *smtpretry.Limiter, addrs map[string]string) {
	c.Route = func(_, to string) string { return to[strings.LastIndex(to, "@")+1:] }
	c.Client = func(host string) (*smtpretry.Client, error) {
		return smtpretry.New(smtpretry.Config{Host: host, Dialer: &smtpretry.Dialer{Addr: addrs[host], LocalName: "c.example"}, Limiter: limiter, MaxConns: 5})
	}
}

// fill puts n messages for one host into the queue.
func fill(t testing.TB, q *queue.Queue, n int, host string, at time.Time) {
	t.Helper()
	body := body("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 14))
	for done := 0; done < n; {
		var items []queue.Item
		for range min(100, n-done) {
			m := note(fmt.Sprintf("r%d@%s", done, host))
			m.Body = body
			items = append(items, queue.Item{Message: m, Options: queue.Options{At: at}})
			done++
		}
		if _, err := q.EnqueueMany(t.Context(), items); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBlockedHost: messages for a host that refuses everything, and for one that
// is slow, do not delay another host's.
func TestBlockedHost(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		blocked := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Greeting, testserver.Reply("421 4.7.0 Blocked, go away").ThenClose()).Always(),
		}})
		slow := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Dot, testserver.Pass().After(3*time.Second)).Always(),
		}})
		good := listen(t, testserver.Config{})
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		for _, host := range []string{"slow", "good"} {
			if err := limiter.SetLimit(host, smtpretry.Limit{}); err != nil {
				t.Fatal(err)
			}
		}
		q := open(t, p, func(c *queue.Config) {
			c.Policy = quick()
			byDomain(c, limiter, map[string]string{"blocked": blocked.Addr(), "slow": slow.Addr(), "good": good.Addr()})
		})
		stop := make(chan struct{})
		var worst, sum time.Duration
		var n int
		over := make(chan struct{})
		go func() {
			defer close(over)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				start := time.Now()
				if _, err := q.Enqueue(context.Background(), note(fmt.Sprintf("g%d@good", i)), queue.Options{Priority: 4}); err != nil {
					t.Error(err)
					return
				}
				for good.Stats().Accepted <= i {
					time.Sleep(time.Millisecond)
					if time.Since(start) > 20*time.Second {
						t.Error("a message for the good host does not arrive")
						return
					}
				}
				d := time.Since(start)
				worst, sum, n = max(worst, d), sum+d, n+1
			}
		}()
		fill(t, q, *crowd, "blocked", time.Time{})
		fill(t, q, *crowd/10, "slow", time.Time{})
		time.Sleep(5 * time.Second)
		close(stop)
		<-over
		if n == 0 {
			t.Fatal("no probe arrived")
		}
		summary.Add(t, "%d messages for a blocked host, %d for a slow one: %d for a good one took %v on average, %v at worst",
			*crowd, *crowd/10, n, (sum / time.Duration(n)).Round(time.Millisecond), worst.Round(time.Millisecond))
		if worst > time.Second+slack {
			t.Errorf("one took %v", worst)
		}
	})
}

// TestIdle: a queue full of messages that are not due starts at once and costs
// next to nothing.
func TestIdle(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		q := open(t, p, nil)
		fill(t, q, *crowd, "relay", time.Now().Add(time.Hour))
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		srv := listen(t, testserver.Config{})
		runtime.GC()
		start := time.Now()
		open(t, p, relay(t, srv))
		took := time.Since(start)
		runtime.GC()
		time.Sleep(time.Second)
		const idle = 2 * time.Second
		before := cpuTime()
		time.Sleep(idle)
		// That is of all the tests that run just now: -parallel 1 for this one only.
		used := float64(cpuTime()-before) / float64(idle)
		summary.Add(t, "%d messages wait: opened in %v, %d MB resident, %.1f %% of a core", *crowd, took.Round(time.Millisecond), resident()>>20, 100*used)
		if took > 2*time.Second {
			t.Errorf("opening took %v", took)
		}
	})
}

// resident is the memory of this process; 0 if that is not known.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return n * int64(os.Getpagesize())
}

func benchBoth(b *testing.B, f func(b *testing.B, p place)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) { f(b, newPlace(b, engine)) })
	}
}

// letter is 10 KiB for two recipients.
func letter() *smtpretry.Message {
	m := note("a@example.net", "b@example.net")
	m.Body = body("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 142))
	return m
}

// BenchmarkEnqueue is one durable message after the other.
func BenchmarkEnqueue(b *testing.B) {
	benchBoth(b, func(b *testing.B, p place) {
		q := open(b, p, nil)
		m := letter()
		for b.Loop() {
			enqueue(b, q, m, queue.Options{})
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

// BenchmarkEnqueueParallel is 16 callers.
func BenchmarkEnqueueParallel(b *testing.B) {
	benchBoth(b, func(b *testing.B, p place) {
		q := open(b, p, nil)
		m := letter()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				enqueue(b, q, m, queue.Options{})
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

// BenchmarkEnqueueMany is 100 at a time.
func BenchmarkEnqueueMany(b *testing.B) {
	benchBoth(b, func(b *testing.B, p place) {
		q := open(b, p, nil)
		items := slices.Repeat([]queue.Item{{Message: letter()}}, 100)
		for b.Loop() {
			if _, err := q.EnqueueMany(b.Context(), items); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

// BenchmarkDeliver is from the queue to the bundled server and back, on disk, with
// 100 workers and 20 connections.
func BenchmarkDeliver(b *testing.B) {
	benchBoth(b, func(b *testing.B, p place) {
		q := open(b, p, nil)
		for done := 0; done < b.N; {
			items := slices.Repeat([]queue.Item{{Message: letter()}}, min(500, b.N-done))
			done += len(items)
			if _, err := q.EnqueueMany(b.Context(), items); err != nil {
				b.Fatal(err)
			}
		}
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
		var n atomic.Int64
		all := make(chan struct{})
		srv := listen(b, testserver.Config{Bodies: testserver.KeepSize, MaxMessages: 1, OnEvent: func(e testserver.Event) {
			if e.Kind == testserver.Accepted && n.Add(1) == int64(b.N) {
				close(all)
			}
		}})
		c := client(b, srv.Addr(), 20)
		b.ResetTimer()
		q = open(b, p, func(cfg *queue.Config) { cfg.Relay = c })
		<-all
		for {
			if open, err := q.List(b.Context(), queue.Filter{Limit: 1}); err == nil && len(open) == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}
