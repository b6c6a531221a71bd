package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"time"
)

// The plot's measures, in pixels.
const (
	width, height = 960, 480
	left, right   = 70, 30
	top, bottom   = 96, 64
)

// Blue and vermilion can be told apart by nearly everybody.
var colours = []string{"#0072b2", "#d55e00"}

// plot draws the messages that each side had accepted per second.
func plot(w io.Writer, took time.Duration, sides []*side) error {
	b := bufio.NewWriter(w)
	series, most := make([][]step, len(sides)), float64(rate)
	for i, s := range sides {
		series[i] = perSecond(s, took)
		for _, st := range series[i] {
			most = max(most, st.rate)
		}
	}
	seconds := took.Seconds()
	most = 10*math.Floor(most/10) + 10
	x := func(s float64) float64 { return left + s*(width-left-right)/seconds }
	y := func(n float64) float64 { return height - bottom - n*(height-top-bottom)/most }

	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="14">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="30" font-size="19" font-weight="bold">Accepted messages per second</text>
`, width, height, width, height, left)
	fmt.Fprintf(b, `<text x="%d" y="52" fill="#555">to a server that takes %d per second, %d in a burst, over %d connections, and shuts out violators</text>
`, left, rate, burst, conns)

	// Axes and grid.
	for n := 0.0; n <= most; n += tickStep(most) {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>
`, left, width-right, y(n), y(n), left-8, y(n)+5, n)
	}
	for s := 0.0; s <= seconds; s += tickStep(seconds) {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#888"/><text x="%.1f" y="%d" text-anchor="middle">%.0f</text>
`, x(s), x(s), height-bottom, height-bottom+5, x(s), height-bottom+22, s)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">seconds since the start</text>
<text transform="translate(22 %d) rotate(-90)" text-anchor="middle">messages per second</text>
<path d="M%d %dV%dH%d" fill="none" stroke="#888"/>
`, (left+width-right)/2, height-18, (top+height-bottom)/2, left, top, height-bottom, width-right)

	// The series, as steps over the seconds, and the limit.
	for i, steps := range series {
		fmt.Fprintf(b, `<path fill="%s" fill-opacity="0.4" stroke="%s" stroke-width="2" d="M%.1f %.1f`, colours[i], colours[i], x(0), y(0))
		for _, st := range steps {
			fmt.Fprintf(b, "V%.1fH%.1f", y(st.rate), x(st.end))
		}
		fmt.Fprintf(b, "V%.1f\"/>\n", y(0))
	}
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="black" stroke-width="2" stroke-dasharray="8 5"/>
`, left, width-right, y(rate), y(rate))

	// The legend; a letter of it is about 7 pixels wide.
	at := left
	for i, s := range sides {
		text := fmt.Sprintf("%s: %.1f %% of the limit, %d violations", s.name, 100*s.used(took), s.srv.Stats().Violations)
		fmt.Fprintf(b, `<rect x="%d" y="66" width="22" height="14" fill="%s" fill-opacity="0.4" stroke="%s" stroke-width="2"/><text x="%d" y="78" font-size="13">%s</text>
`, at, colours[i], colours[i], at+30, text)
		at += 54 + 7*len(text)
	}
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="73" y2="73" stroke="black" stroke-width="2" stroke-dasharray="8 5"/><text x="%d" y="78" font-size="13">the limit</text>
</svg>
`, at, at+30, at+38)
	return b.Flush()
}

// A step is the rate of messages up to a moment, in seconds from the start.
type step struct{ end, rate float64 }

// perSecond counts what the side's server accepted in each second; the last
// step is between half a second and one and a half, so that it ends when the
// sending did.
func perSecond(s *side, took time.Duration) []step {
	steps := make([]step, max(int(math.Round(took.Seconds())), 1))
	for _, m := range s.srv.Messages() {
		if since := m.Time.Sub(s.start); since >= 0 && since <= took {
			steps[min(int(since.Seconds()), len(steps)-1)].rate++
		}
	}
	last := len(steps) - 1
	for i := range steps {
		steps[i].end = float64(i + 1)
	}
	steps[last].end = took.Seconds()
	steps[last].rate /= took.Seconds() - float64(last)
	return steps
}

// tickStep returns a round distance for at most ten labels up to end.
func tickStep(end float64) float64 {
	for base := 1.0; ; base *= 10 {
		for _, step := range []float64{base, 2 * base, 5 * base} {
			if end <= 10*step {
				return step
			}
		}
	}
}
