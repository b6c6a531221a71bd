package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// What may wait: calls of Send, or as many goroutines that do nothing, for
// comparison.
const (
	sends      = "Send"
	goroutines = "goroutines alone"
)

// measureWaiting lets many calls wait for a limit, looks at their memory, and
// then lets them go.
func measureWaiting(s *servers, o options) ([]results.Waiting, error) {
	addr, err := s.at(bundled, 0)
	if err != nil {
		return nil, err
	}
	count := s.counter(bundled)
	var all []results.Waiting
	for _, what := range []string{goroutines, sends} {
		before, err := count()
		if err != nil {
			return nil, err
		}
		p, err := startChild("waiting", what, addr, strconv.Itoa(o.calls))
		if err != nil {
			return nil, err
		}
		w := results.Waiting{What: what, Calls: o.calls}
		if err := json.Unmarshal([]byte(p.said), &w); err != nil {
			return nil, err
		}
		end, err := p.ask("go")
		p.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		n := 0
		if what == sends {
			n = o.calls
		}
		if err := arrived(count, before, n, job{to: recipients(1), body: text(kib)}); err != nil {
			return nil, err
		}
		log.Printf("%d %s: heap %s, stacks %s, resident %s; %s", o.calls, what, results.MB(w.Heap), results.MB(w.Stacks), results.MB(w.System), end)
		all = append(all, w)
	}
	return all, nil
}

// waiting is what the process does.
func waiting(what, addr, many string) error {
	n, err := strconv.Atoi(many)
	if err != nil {
		return err
	}
	// A message a day: all but the first wait.
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit(addr, smtpretry.Limit{Rate: smtpretry.PerDay(1)}); err != nil {
		return err
	}
	c, err := smtpretry.New(smtpretry.Config{
		Host: addr, Dialer: &smtpretry.Dialer{Addr: addr, LocalName: "localhost"}, Limiter: limiter, MaxConns: 10,
		Policy: smtpretry.Policy{MaxElapsed: 48 * time.Hour},
	})
	if err != nil {
		return err
	}
	body := text(kib)
	hold := make(chan struct{})
	var failed atomic.Int64
	fail := func(err error) {
		if failed.Add(1) == 1 {
			log.Print(err)
		}
	}
	var calls sync.WaitGroup
	for range n {
		if what == goroutines {
			calls.Go(func() { <-hold })
			continue
		}
		// Made out here, lest it be what makes the goroutines' stacks grow.
		m := &smtpretry.Message{From: from, To: recipients(1),
			Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
		calls.Go(func() {
			if _, err := c.Send(context.Background(), m); err != nil {
				fail(err)
			}
		})
	}
	begun := time.Now()
	for settled := 0; settled < 10; time.Sleep(100 * time.Millisecond) {
		waits := limiter.Explain(addr).Waiting
		switch {
		case what == goroutines || waits == n-1:
			settled++
		case failed.Load() > 0 || time.Since(begun) > 5*time.Minute:
			return fmt.Errorf("%d of %d calls failed and %d wait, want all but one to wait", failed.Load(), n, waits)
		}
	}
	runtime.GC()
	runtime.GC() // the first may only have finished one under way
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out := json.NewEncoder(os.Stdout)
	err = out.Encode(results.Waiting{What: what, Calls: n, Heap: m.HeapInuse, Stacks: m.StackInuse, System: resident()})
	if err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	start := time.Now()
	close(hold)
	if err := limiter.SetLimit(addr, smtpretry.Limit{}); err != nil {
		return err
	}
	calls.Wait()
	if f := failed.Load(); f > 0 {
		return fmt.Errorf("%d of %d calls failed", f, n)
	}
	fmt.Printf("all gone within %.1f s\n", time.Since(start).Seconds())
	return c.Quit()
}
