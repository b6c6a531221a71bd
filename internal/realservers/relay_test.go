//go:build linux

package realservers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

// TestRelay: smtp-source sends through a Postfix that keeps everything until it
// is released, to a sink that counts.
func TestRelay(t *testing.T) {
	t.Parallel()
	const n = 50
	sink := own(t, func() (*realservers.Server, error) {
		return realservers.StartSinks([]realservers.Sink{{Name: "sink", Counts: true}})
	})
	relay := own(t, func() (*realservers.Server, error) { return realservers.StartRelay(sink.Addr("sink"), 5) })
	source, err := realservers.Source("-d", "-s", "5", "-m", fmt.Sprint(n), "-r", "3", "-l", "1000",
		"-f", "me@example.org", "-t", "you@example.test", relay.Addr("relay"))
	wantError(t, err)
	if out, err := source.CombinedOutput(); err != nil {
		t.Fatalf("smtp-source: %v\n%s", err, out)
	}
	queue, err := relay.Queue()
	wantError(t, err)
	if len(queue) != 3 {
		t.Errorf("the queue has %v, want three recipients", queue)
	}
	if got, err := sink.Counted("sink"); err != nil || got != 0 {
		t.Errorf("the sink has %d messages (%v) before the relay was told, want none", got, err)
	}
	wantError(t, relay.Release())
	wantError(t, relay.Flush())
	got := 0
	for end := time.Now().Add(30 * time.Second); got < n && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		got, err = sink.Counted("sink")
		wantError(t, err)
	}
	if got != n {
		t.Errorf("the sink has %d messages, want %d\n%s", got, n, relay.Log())
	}
}
