package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/metrics"
)

// numbers is a Sink that adds up, or keeps what a Gauge stands at.
type numbers struct {
	mu  sync.Mutex
	all map[string]float64
}

func (n *numbers) sink(_ context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string]float64{}
	}
	key := strings.TrimPrefix(m.Name, "smtpretry.") + " " + strings.Join(l.Of(m), " ")
	if _, twice := n.all[key]; twice && m.Kind == metrics.Gauge {
		panic(key + " is there twice")
	}
	if m.Kind == metrics.Histogram {
		v = 1
	}
	n.all[key] += v
}

// want compares what there is, as lines of "name labels: value".
func (n *numbers) want(t *testing.T, want string) {
	t.Helper()
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(n.all)) {
		lines = append(lines, fmt.Sprintf("%s: %.4g", strings.TrimSpace(key), n.all[key]))
	}
	if got, want := strings.Join(lines, "\n"), strings.ReplaceAll(strings.TrimSpace(want), "\t", ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func read(r *metrics.Recorder) *numbers {
	n := &numbers{}
	r.Read(context.Background(), n.sink)
	return n
}

// TestMostHosts: the first are counted by name and stay, the others are one. Neither
// takes a place twice.
func TestMostHosts(t *testing.T) {
	for most, want := range map[int]string{
		3:  "retries a: 3\nretries b: 3\nretries c: 3\nretries other: 6",
		-1: "retries other: 15",
	} {
		var n numbers
		trace := metrics.New(metrics.Options{MaxHosts: most}).Trace(func(ctx context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
			if m == metrics.Retries {
				n.sink(ctx, m, v, l)
			}
		})
		for range 3 {
			for _, host := range []string{"a", "b", "c", "d", "e"} {
				trace.Attempted(smtpretry.Attempt{Host: host, Number: 2})
			}
		}
		n.want(t, want)
	}
}

// TestReadLimiter: what Explain says, as numbers.
func TestReadLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := testserver.Start(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Mail, testserver.Reply("421 4.3.2 Busy").ThenClose()).Always(),
		}})
		l := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 7})
		r := metrics.New(metrics.Options{Limiter: l, MaxHosts: 3})
		if err := l.SetLimit("relay.example", smtpretry.Limit{Rate: 5, Burst: 10}); err != nil {
			t.Fatal(err)
		}
		client := func(host string) *smtpretry.Client {
			c, err := smtpretry.New(smtpretry.Config{Host: host, Limiter: l,
				Dialer: &smtpretry.Dialer{Addr: srv.Addr(), TLS: smtpretry.TLSNone, NetDial: srv.Dial}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		busy := client("busy.example")
		m := &smtpretry.Message{From: "me@example.org", To: []string{"you@example.net"}, Body: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("Hello.\r\n")), nil
		}}
		if _, err := busy.Try(t.Context(), m); err == nil {
			t.Fatal("the server was meant to be busy")
		}
		const named = `
			limiter.connections busy.example busy: 0
			limiter.connections busy.example idle: 0
			limiter.connections relay.example busy: 0
			limiter.connections relay.example idle: 0
			limiter.cool_down busy.example: 1
			limiter.cool_down relay.example: 0
			limiter.max_connections busy.example default: 7
			limiter.messages busy.example learned: 2
			limiter.messages relay.example set: 5
			limiter.tokens busy.example: 2
			limiter.tokens relay.example: 10
			limiter.waiting_messages busy.example: 0
			limiter.waiting_messages relay.example: 0`
		read(r).want(t, named)

		client("smtp.office365.com")
		go busy.Send(t.Context(), m) // waits for the pause
		synctest.Wait()
		time.Sleep(250 * time.Millisecond)
		got := read(r).all
		for key, want := range map[string]float64{
			"limiter.messages smtp.office365.com known": 0, // a quota is no rate
			"limiter.cool_down busy.example":            .75,
			"limiter.waiting_messages busy.example":     1,
		} {
			if got[key] != want {
				t.Errorf("%s is %v, want %v", key, got[key], want)
			}
		}

		// Of more hosts than have a place, those have one to which something happened.
		r = metrics.New(metrics.Options{Limiter: l, MaxHosts: 2})
		r.Trace((&numbers{}).sink).Attempted(smtpretry.Attempt{Host: "relay.example"})
		read(r).want(t, `
			limiter.connections other busy: 0
			limiter.connections other idle: 0
			limiter.connections relay.example busy: 0
			limiter.connections relay.example idle: 0
			limiter.cool_down other: 0.75
			limiter.cool_down relay.example: 0
			limiter.messages relay.example set: 5
			limiter.tokens relay.example: 10
			limiter.waiting_messages other: 1
			limiter.waiting_messages relay.example: 0`)
		if err := busy.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestReadQueue: by destination, those held told apart, the longest by name.
func TestReadQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(age time.Duration) time.Time { return time.Now().Add(-age) }
		depths, fail := []metrics.Depth{
			{Host: "few.example", State: "waiting", N: 1, Oldest: at(time.Hour)},
			{Host: "least.example", State: "waiting", N: 1, Oldest: at(time.Minute)},
			{Host: "many.example", State: "sending", N: 3},
			{Host: "many.example", State: "waiting", N: 50, Cause: "greylist", Oldest: at(time.Minute)},
			{Host: "many.example", State: "waiting", N: 7, Oldest: at(2 * time.Minute)},
			{Host: "held.example", State: "waiting", N: 9, Oldest: at(time.Minute), Held: true},
			{Host: "held.example", State: "sending", N: 2, Oldest: at(time.Minute), Held: true},
		}, error(nil)
		r := metrics.New(metrics.Options{MaxHosts: 2, Queue: func(context.Context) ([]metrics.Depth, error) { return depths, fail }})
		want := `
			queue.messages held.example held none: 9
			queue.messages held.example sending none: 2
			queue.messages many.example sending none: 3
			queue.messages many.example waiting greylist: 50
			queue.messages many.example waiting none: 7
			queue.messages other waiting none: 2
			queue.oldest_age held.example held: 60
			queue.oldest_age held.example sending: 60
			queue.oldest_age many.example waiting: 120
			queue.oldest_age other waiting: 3600
			queue.up: 1`
		read(r).want(t, want)
		depths, fail = depths[:1], errors.New("locked")
		read(r).want(t, "queue.up: 0")
	})
}

// TestAll: names and labels are unique, and fit.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range metrics.All() {
		if seen[m.Name] || m.Help == "" || len(m.Labels) > len(metrics.Labels{}) || (m.Kind == metrics.Histogram) != (len(m.Buckets) > 0) || !slices.IsSorted(m.Buckets) {
			t.Errorf("%+v", m)
		}
		seen[m.Name] = true
	}
}
