package plot

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"math"
	"time"
)

// The picture's measures, in pixels. A letter of the legend is about 7 wide.
const (
	width       = 960
	left, right = 70, 30
	plotHeight  = 330
	lineHeight  = 24
	letter      = 7
)

// colours can be told apart by nearly everybody (Okabe and Ito), with lighter and
// darker ones behind them.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#f0e442", "#000000",
	"#66aad1", "#e69e66", "#66c5ab", "#999999", "#004469", "#803800", "#005f45", "#8a5f00", "#7a4864", "#345f78", "#90892a", "#666666"}

func colour(i int) string { return colours[i%len(colours)] }

// SVG draws the counts as bars, the series stacked, the first at the bottom.
func (p Plot) SVG(w io.Writer) error {
	b := bufio.NewWriter(w)
	n := p.parts()
	most := 1
	for i := range n {
		sum := 0
		for _, s := range p.Series {
			sum += s.Counts[i]
		}
		most = max(most, sum)
	}
	rows := p.legend(nil)
	top := 60 + rows*lineHeight
	bottom := top + plotHeight
	height := bottom + 64
	step := tick(float64(most), 6)
	high := math.Ceil(float64(most)/step) * step
	x := func(part float64) float64 { return left + part*float64(width-left-right)/float64(max(n, 1)) }
	y := func(count float64) float64 { return float64(bottom) - count*plotHeight/high }

	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="13">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="30" font-size="18" font-weight="bold">%s</text>
`, width, height, width, height, left, html.EscapeString(p.Title))
	p.legend(b)
	for at := 0.0; at <= high; at += step {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>
`, left, width-right, y(at), y(at), left-8, y(at)+5, at)
	}
	fmt.Fprintf(b, `<text transform="translate(20 %d) rotate(-90)" text-anchor="middle">attempts in %s</text>
`, (top+bottom)/2, short(p.Part))

	gap := 0.1
	if n > 200 {
		gap = 0
	}
	below := make([]int, n)
	for i, s := range p.Series {
		fmt.Fprintf(b, "<g fill=\"%s\">\n", colour(i))
		for j, count := range s.Counts {
			if count == 0 {
				continue
			}
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s, %s: %d</title></rect>
`, x(float64(j)+gap/2), y(float64(below[j]+count)), x(1-gap)-left, y(0)-y(float64(count)),
				p.at(j).Format("2006-01-02 15:04"), html.EscapeString(s.Name), count)
			below[j] += count
		}
		fmt.Fprintln(b, "</g>")
	}
	p.times(b, n, x, bottom)
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="black"/>
</svg>
`, left, width-right, bottom, bottom)
	return b.Flush()
}

func (p Plot) at(part int) time.Time { return p.Start.Add(time.Duration(part) * p.Part) }

// times writes at most ten round times below the bars.
func (p Plot) times(w io.Writer, n int, x func(float64) float64, bottom int) {
	every := roundTime(time.Duration(n) * p.Part / 10)
	_, zone := p.Start.Zone() // times are round on the clock that is shown
	east := time.Duration(zone) * time.Second
	for at := p.Start.Add(east).Truncate(every).Add(-east); !at.After(p.at(n)); at = at.Add(every) {
		if at.Before(p.Start) {
			continue
		}
		middle := x(float64(at.Sub(p.Start)) / float64(p.Part))
		fmt.Fprintf(w, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="black"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>
`, middle, middle, bottom, bottom+6, middle, bottom+22, at.Format(p.layout()))
	}
	day := p.Start.Format(time.DateOnly)
	if last := p.at(n).Add(-1).Format(time.DateOnly); last != day {
		day += " to " + last
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="middle" fill="#555">%s</text>
`, (left+width-right)/2, bottom+46, day)
}

// roundTime returns the next length of time that people count in.
func roundTime(least time.Duration) time.Duration {
	const day = 24 * time.Hour
	for _, nice := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, day} {
		if nice >= least {
			return nice
		}
	}
	return (least + day - 1).Truncate(day)
}

// legend names the series below the title, unless w is nil, and returns how many
// lines that takes.
func (p Plot) legend(w io.Writer) (rows int) {
	at := left
	for i, s := range p.Series {
		total := 0
		for _, n := range s.Counts {
			total += n
		}
		text := fmt.Sprintf("%s (%d)", s.Name, total)
		long := 24 + letter*len(text) + 20
		if at > left && at+long > width-right {
			at = left
			rows++
		}
		if w != nil {
			fmt.Fprintf(w, `<rect x="%d" y="%d" width="14" height="14" fill="%s"/><text x="%d" y="%d">%s</text>
`, at, 46+rows*lineHeight, colour(i), at+20, 58+rows*lineHeight, html.EscapeString(text))
		}
		at += long
	}
	return rows + 1
}

// tick returns a round step for at most n of them up to most, at least 1.
func tick(most float64, n int) float64 {
	step := math.Pow(10, math.Floor(math.Log10(most/float64(n))))
	for _, m := range []float64{1, 2, 5} {
		if step*m*float64(n) >= most {
			return max(step*m, 1)
		}
	}
	return max(step*10, 1)
}
