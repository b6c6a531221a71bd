package chart_test

import (
	"slices"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/chart"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestTickStep(t *testing.T) {
	for end, want := range map[float64]float64{0.5: 1, 4: 1, 10: 1, 11: 2, 40: 5, 70: 10, 130: 20, 600: 100} {
		if got := chart.TickStep(end, 10); got != want {
			t.Errorf("up to %v: %v, want %v", end, got, want)
		}
	}
	if got := chart.TickStep(70, 4); got != 20 {
		t.Errorf("at most 4 up to 70: %v, want 20", got)
	}
}

func TestPerSecond(t *testing.T) {
	start := time.Unix(1e9, 0)
	var all []*testserver.Message
	for _, ms := range []int{-1, 0, 999, 1000, 2400, 2500, 2501} {
		all = append(all, &testserver.Message{Time: start.Add(time.Duration(ms) * time.Millisecond)})
	}
	got := chart.PerSecond(all, start, 2400*time.Millisecond)
	if want := []chart.Step{{1, 2}, {2.4, 2 / 1.4}}; len(got) != 2 || got[0] != want[0] || got[1].End != want[1].End ||
		got[1].Rate < 1.42 || got[1].Rate > 1.43 {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := chart.PerSecond(all, start, 2*time.Second), []chart.Step{{1, 2}, {2, 1}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
