// Package chart draws rates over time, as SVG.
package chart

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A Step is the rate of messages up to a moment, in seconds from the start.
type Step struct{ End, Rate float64 }

// PerSecond counts what was accepted in each second; the last step is between
// half a second and one and a half, so that it ends when the sending did.
func PerSecond(messages []*testserver.Message, start time.Time, took time.Duration) []Step {
	steps := make([]Step, max(int(math.Round(took.Seconds())), 1))
	for _, m := range messages {
		if since := m.Time.Sub(start); since >= 0 && since <= took {
			steps[min(int(since.Seconds()), len(steps)-1)].Rate++
		}
	}
	last := len(steps) - 1
	for i := range steps {
		steps[i].End = float64(i + 1)
	}
	steps[last].End = took.Seconds()
	steps[last].Rate /= took.Seconds() - float64(last)
	return steps
}

// A Frame is where a diagram stands, in pixels from the left and the top, and
// how many seconds and messages per second it reaches to.
type Frame struct {
	Left, Right, Top, Bottom int
	Seconds, Most            float64
}

// X returns where a moment stands.
func (f Frame) X(seconds float64) float64 {
	return float64(f.Left) + seconds*float64(f.Right-f.Left)/f.Seconds
}

// Y returns where a rate stands.
func (f Frame) Y(rate float64) float64 {
	return float64(f.Bottom) - rate*float64(f.Bottom-f.Top)/f.Most
}

// Rates draws lines for at most n round rates, with their numbers.
func (f Frame) Rates(w io.Writer, n int) {
	for at := 0.0; at <= f.Most; at += TickStep(f.Most, n) {
		fmt.Fprintf(w, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>
`, f.Left, f.Right, f.Y(at), f.Y(at), f.Left-8, f.Y(at)+5, at)
	}
}

// Times draws marks for round times, with their numbers and what they are.
func (f Frame) Times(w io.Writer) {
	for s := 0.0; s <= f.Seconds; s += TickStep(f.Seconds, 10) {
		fmt.Fprintf(w, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#888"/><text x="%.1f" y="%d" text-anchor="middle">%.0f</text>
`, f.X(s), f.X(s), f.Bottom, f.Bottom+5, f.X(s), f.Bottom+22, s)
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="middle">seconds since the start</text>
`, (f.Left+f.Right)/2, f.Bottom+46)
}

// Axes draws the two axes.
func (f Frame) Axes(w io.Writer) {
	fmt.Fprintf(w, `<path d="M%d %dV%dH%d" fill="none" stroke="#888"/>
`, f.Left, f.Top, f.Bottom, f.Right)
}

// Steps draws a series.
func (f Frame) Steps(w io.Writer, steps []Step, colour string) {
	fmt.Fprintf(w, `<path fill="%s" fill-opacity="0.4" stroke="%s" stroke-width="2" d="M%.1f %.1f`, colour, colour, f.X(0), f.Y(0))
	for _, st := range steps {
		fmt.Fprintf(w, "V%.1fH%.1f", f.Y(st.Rate), f.X(st.End))
	}
	fmt.Fprintf(w, "V%.1f\"/>\n", f.Y(0))
}

// TickStep returns a round distance for at most n labels up to end, apart
// from that at zero.
func TickStep(end float64, n int) float64 {
	for base := 1.0; ; base *= 10 {
		for _, step := range []float64{base, 2 * base, 5 * base} {
			if end <= float64(n)*step {
				return step
			}
		}
	}
}
