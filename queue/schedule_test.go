package queue_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/queue"
)

// TestAgain: when a recipient is tried again.
func TestAgain(t *testing.T) {
	def := queue.DefaultPolicy()
	strict := def
	strict.RetryInDoubt = false
	thrice := def
	thrice.MaxAttempts = 3
	busy := smtpretry.Verdict{Class: smtpretry.Temporary, Code: 450}
	hint := busy
	hint.RetryAfter = 5 * time.Hour
	doubt := busy
	doubt.InDoubt = true
	for _, c := range []struct {
		name   string
		p      smtpretry.Policy
		tries  int
		v      smtpretry.Verdict
		left   time.Duration // until the give-up time
		chance float64
		want   time.Duration // negative: given up
	}{
		{"first, least", def, 1, busy, 100 * time.Hour, 0, 32 * time.Minute},
		{"first, middle", def, 1, busy, 100 * time.Hour, 0.5, 40 * time.Minute},
		{"second", def, 2, busy, 100 * time.Hour, 0.5, 80 * time.Minute},
		{"long after", def, 30, busy, 100 * time.Hour, 0.5, 4 * time.Hour},
		{"a hint is a floor", def, 1, hint, 100 * time.Hour, 0, 5 * time.Hour},
		{"a hint is spread", def, 1, hint, 100 * time.Hour, 0.5, 5*time.Hour + 15*time.Minute},
		{"the last is at the very end", def, 1, busy, 50 * time.Minute, 0.5, 50 * time.Minute},
		{"no room for the hint", def, 1, hint, 4 * time.Hour, 0, -1},
		{"its time is over", def, 5, busy, 0, 0, -1},
		{"two of three", thrice, 2, busy, 100 * time.Hour, 0.5, 80 * time.Minute},
		{"three of three", thrice, 3, busy, 100 * time.Hour, 0.5, -1},
		{"in doubt", def, 1, doubt, 100 * time.Hour, 0.5, 40 * time.Minute},
		{"in doubt, not again", strict, 1, doubt, 100 * time.Hour, 0.5, -1},
	} {
		now := time.Now()
		at, ok := queue.Again(&c.p, c.tries, c.v, now, now.Add(c.left), c.chance)
		got := at.Sub(now)
		if !ok {
			got = -1
		}
		if got != c.want {
			t.Errorf("%s: after %v, want %v", c.name, got, c.want)
		}
	}
}

// TestJournal: a line that was broken off is not taken for another, and those
// before it are.
func TestJournal(t *testing.T) {
	for cut := range int64(40) {
		name := filepath.Join(t.TempDir(), fmt.Sprint(cut))
		got, err := queue.JournalRoundTrip(name, []int64{7, 8, 9}, func(file string) error {
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			return os.Truncate(file, info.Size()-cut)
		})
		want := "[1 1 0]"
		if cut <= 1 { // nothing, or the line's end
			want = "[1 1 1]"
		}
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("without the last %d octets: found %v, want %s, %v", cut, got, want, err)
		}
	}
}
