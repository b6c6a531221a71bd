// Package plot draws how often things happened over time: as bars of characters,
// and as SVG.
package plot

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A Series is what is drawn in one colour.
type Series struct {
	Name   string
	Counts []int // one for each part of the time
}

// A Plot is several series over the same time.
type Plot struct {
	Title  string
	Start  time.Time
	Part   time.Duration // of one count
	Series []Series
}

// eighths are bars of eight heights.
var eighths = []rune("▁▂▃▄▅▆▇█")

// Bars writes a row of bars for each series, all on one scale, and the times
// below. paint, if not nil, colours the bars of series i.
func (p Plot) Bars(w io.Writer, paint func(i int, bars string) string) error {
	if len(p.Series) == 0 {
		return nil
	}
	widest, most := 0, 0
	for _, s := range p.Series {
		widest = max(widest, utf8.RuneCountInString(s.Name))
		for _, n := range s.Counts {
			most = max(most, n)
		}
	}
	for i, s := range p.Series {
		var b strings.Builder
		total := 0
		for _, n := range s.Counts {
			total += n
			if n == 0 {
				b.WriteByte(' ')
				continue
			}
			b.WriteRune(eighths[(n*len(eighths)-1)/most]) // whatever happened is seen
		}
		bars := b.String()
		if paint != nil {
			bars = paint(i, bars)
		}
		if _, err := fmt.Fprintf(w, "  %-*s ▕%s▏ %d\n", widest, s.Name, bars, total); err != nil {
			return err
		}
	}
	n := p.parts()
	first, last := p.Start.Format(p.layout()), p.at(n).Format(p.layout())
	line := first + strings.Repeat(" ", max(1, n-len(first)-len(last))) + last
	_, err := fmt.Fprintf(w, "  %*s  %s\n  %*s  the highest bar is %d in %s\n", widest, "", line, widest, "", most, short(p.Part))
	return err
}

// layout is how times are written: with a day, if there is more than one.
func (p Plot) layout() string {
	end := p.at(p.parts()).Add(-1)
	switch {
	case p.Part >= 24*time.Hour:
		return time.DateOnly
	case end.Sub(p.Start) >= 24*time.Hour:
		return "Jan _2 15:04"
	case p.Part < time.Minute:
		return time.TimeOnly
	}
	return "15:04"
}

func (p Plot) parts() int {
	n := 0
	for _, s := range p.Series {
		n = max(n, len(s.Counts))
	}
	return n
}

// short writes a length of time in the largest unit that fits it.
func short(d time.Duration) string {
	unit := func(n time.Duration, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", n, name)
	}
	const day = 24 * time.Hour
	switch {
	case d%day == 0:
		return unit(d/day, "day")
	case d%time.Hour == 0:
		return unit(d/time.Hour, "hour")
	case d%time.Minute == 0:
		return unit(d/time.Minute, "minute")
	}
	return unit(d/time.Second, "second")
}
