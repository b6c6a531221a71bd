package check

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/smtpretry/smtpretry/metrics"
	"github.com/smtpretry/smtpretry/metrics/prometheus"
	"github.com/smtpretry/smtpretry/queue"
)

// depths is how docs/watching.md says that a queue is read.
func depths(q *queue.Queue) metrics.Queue {
	return func(ctx context.Context) (list []metrics.Depth, err error) {
		counts, err := q.Count(ctx)
		for _, c := range counts {
			list = append(list, metrics.Depth{Host: c.Host, State: c.State.String(), Cause: c.Cause, N: c.N, Oldest: c.Oldest, Held: c.Held})
		}
		return list, err
	}
}

// TestQueue reads a real queue, as the documentation says.
func TestQueue(t *testing.T) {
	source, err := os.ReadFile("queue_test.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(doc), "Queue: ")
	code, _, _ = strings.Cut(code, "\n},\n")
	if !strings.Contains(strings.ReplaceAll(string(source), "\n\t", "\n"), code) {
		t.Errorf("docs/watching.md says\n%s", code)
	}

	ctx := t.Context()
	q, err := queue.Open(ctx, queue.Config{Database: filepath.Join(t.TempDir(), "queue.db"), Route: func(_, to string) string {
		_, domain, _ := strings.Cut(to, "@")
		return domain
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, to := range []string{"a@one.example", "b@one.example", "c@two.example"} {
		if _, err := q.Enqueue(ctx, note(to), queue.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Hold(ctx, "two.example", time.Time{}, "for a test"); err != nil {
		t.Fatal(err)
	}
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(prometheus.New(prometheus.Options{Queue: depths(q)}))
	read := func() []string {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := series(families)
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(got)) {
			if !strings.Contains(key, "oldest_age") {
				lines = append(lines, strings.Replace(key, "GAUGE", "", 1)+" "+got[key])
			}
		}
		return lines
	}
	if got, want := read(), []string{
		`smtpretry_queue_messages cause="none" host="one.example" state="waiting" 2.000`,
		`smtpretry_queue_messages cause="none" host="two.example" state="held" 1.000`,
		`smtpretry_queue_up 1.000`,
	}; !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if got, want := read(), []string{"smtpretry_queue_up 0.000"}; !slices.Equal(got, want) {
		t.Errorf("closed, got\n%s", strings.Join(got, "\n"))
	}
}
