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
	width, height = 960, 480
	left, right   = 70, 30
	top, bottom   = 96, 64
)

// Blue and vermilion can be told apart by nearly everybody.
var colours = []string{"#0072b2", "#d55e00"}

// plot draws the messages that each side had accepted per second.
func plot(w io.Writer, took time.Duration, sides []*side) error {
	b := bufio.NewWriter(w)
	series, most := make([][]chart.Step, len(sides)), float64(rate)
	for i, s := range sides {
		series[i] = chart.PerSecond(s.srv.Messages(), s.start, took)
		for _, st := range series[i] {
			most = max(most, st.Rate)
		}
	}
	f := chart.Frame{
		Left: left, Right: width - right, Top: top, Bottom: height - bottom,
		Seconds: took.Seconds(), Most: 10*math.Floor(most/10) + 10,
	}

	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="14">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="30" font-size="19" font-weight="bold">Accepted messages per second</text>
`, width, height, width, height, left)
	fmt.Fprintf(b, `<text x="%d" y="52" fill="#555">to a server that takes %d per second, %d in a burst, over %d connections, and shuts out violators</text>
`, left, rate, burst, conns)

	f.Rates(b, 10)
	f.Times(b)
	fmt.Fprintf(b, `<text transform="translate(22 %d) rotate(-90)" text-anchor="middle">messages per second</text>
`, (top+height-bottom)/2)
	f.Axes(b)
	for i, steps := range series {
		f.Steps(b, steps, colours[i])
	}
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="black" stroke-width="2" stroke-dasharray="8 5"/>
`, left, width-right, f.Y(rate), f.Y(rate))

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
