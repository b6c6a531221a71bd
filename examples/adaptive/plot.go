package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/chart"
)

// The plot's measures, in pixels.
const (
	width       = 960
	left, right = 70, 30
	head, foot  = 100, 62
	panel, gap  = 130, 52 // a panel's diagram, and what is above each
)

// Blue and vermilion can be told apart by nearly everybody. Since the sheet is
// white, it is read on a dark page too.
const (
	accepted = "#0072b2"
	refused  = "#d55e00"
	shutOut  = "#f6dccb"
)

const limitLine = `fill="none" stroke="black" stroke-width="2" stroke-dasharray="7 4"`

// plot draws a panel for each side: what was accepted per second, what was
// allowed, and what was refused.
func plot(w io.Writer, d time.Duration, sides []*side) error {
	b := bufio.NewWriter(w)
	series, most := make([][]chart.Step, len(sides)), float64(rate)
	for i, s := range sides {
		series[i] = chart.PerSecond(s.srv.Messages(), s.start, d)
		for _, st := range series[i] {
			most = max(most, st.Rate)
		}
	}
	height := head + len(sides)*(gap+panel) + foot
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="14">
<rect width="100%%" height="100%%" rx="8" fill="white"/>
<text x="%d" y="34" font-size="19" font-weight="bold">A limit that nobody told, and that changes</text>
<text x="%d" y="56" fill="#555">messages per second to a server that takes %d per second, then %d, then %d; %d connections; violators are out for %.0f s</text>
`, width, height, width, height, left, left, rate, rate/2, rate, conns, boxFor.Seconds())
	legend(b)
	for i, s := range sides {
		top := head + i*(gap+panel) + gap
		f := chart.Frame{
			Left: left, Right: width - right, Top: top, Bottom: top + panel,
			Seconds: d.Seconds(), Most: 10*math.Floor(most/10) + 10,
		}
		st := s.srv.Stats()
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="15" font-weight="bold">%s</text><text x="%d" y="%d" text-anchor="end">%d delivered, %.0f %% of what was allowed; %d refusals; shut out %s</text>
`, left, top-16, s.name, width-right, top-16, st.Accepted, 100*s.used(d), s.refusals(), times(st.Boxes))
		s.marks(b, f)
		f.Rates(b, 4)
		f.Steps(b, series[i], accepted)
		fmt.Fprintf(b, `<path %s d="M%.1f %.1f`, limitLine, f.X(0), f.Y(rate))
		for _, sp := range spans(d) {
			fmt.Fprintf(b, "V%.1fH%.1f", f.Y(sp.rate), f.X(sp.to))
		}
		fmt.Fprintln(b, `"/>`)
		f.Axes(b)
		if i == len(sides)-1 {
			f.Times(b)
		}
	}
	fmt.Fprintln(b, "</svg>")
	return b.Flush()
}

// marks shades the boxes and draws a stroke above the diagram for each quarter
// of a second in which something was refused.
func (s *side) marks(w io.Writer, f chart.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.boxed {
		from := at.Sub(s.start).Seconds()
		to := min(from+boxFor.Seconds(), f.Seconds)
		fmt.Fprintf(w, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>
`, f.X(from), f.Top, max(f.X(to)-f.X(from), 0), f.Bottom-f.Top, shutOut)
	}
	fmt.Fprintf(w, `<path stroke="%s" stroke-width="2" d="`, refused)
	last := -1
	for _, at := range s.refused {
		quarter := int(4 * at.Sub(s.start).Seconds())
		if x := (float64(quarter) + 0.5) / 4; quarter != last && x <= f.Seconds {
			fmt.Fprintf(w, "M%.1f %dv8", f.X(x), f.Top-9)
			last = quarter
		}
	}
	fmt.Fprintln(w, `"/>`)
}

func legend(w io.Writer) {
	const y = 80
	fmt.Fprintf(w, `<g font-size="13"><rect x="%d" y="%d" width="22" height="13" fill="%s" fill-opacity="0.4" stroke="%s" stroke-width="2"/><text x="%d" y="%d">accepted</text>
`, left, y-6, accepted, accepted, left+30, y+5)
	fmt.Fprintf(w, `<path d="M%d %dh30" %s/><text x="%d" y="%d">allowed, but not told</text>
`, left+116, y, limitLine, left+154, y+5)
	fmt.Fprintf(w, `<path d="M%d %dv10m4 -10v10m6 -10v10" stroke="%s" stroke-width="2"/><text x="%d" y="%d">refused</text>
`, left+312, y-5, refused, left+330, y+5)
	fmt.Fprintf(w, `<rect x="%d" y="%d" width="22" height="14" fill="%s"/><text x="%d" y="%d">shut out</text></g>
`, left+404, y-7, shutOut, left+434, y+5)
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
