package statuspage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A plot is throughput over the window as lines of SVG, in a field that is
// plotWidth wide and plotHeight high and stretched to where it stands.
type plot struct {
	Accepted string // the area of what was accepted
	Refused  string // above it, what was not
	Limit    string // the line of the limit; empty if there is none in the field
	Top      string // the rate at the upper edge
	Middle   string
	Summary  string // in words
	Width    int    // seconds of a bin
	Bins     []bin
	End      time.Time
}

const (
	plotWidth  = window // one for each second
	plotHeight = 100
)

// newPlot draws a series. limit is what is in force now.
func newPlot(s series, limit float64, now time.Time) plot {
	p := plot{Width: binWidth(limit), End: now}
	p.Bins = s.bins(now.Unix(), p.Width, limit)
	most, limits := 0.0, 0.0
	for _, b := range p.Bins {
		most, limits = max(most, b.Accepted+b.Refused), max(limits, b.Limit)
	}
	top := most
	if limits > 0 && (limits <= 5*most || most == 0) {
		top = max(most, 1.1*limits) // otherwise it would press what there is to the ground
	}
	top = roundUp(top)
	p.Top, p.Middle = perTime(top), perTime(top/2)
	scale := plotHeight / top

	var acc, ref, lim strings.Builder
	steps := func(b *strings.Builder, level func(bin) float64) {
		last := ""
		for i, one := range p.Bins {
			y := coordinate(plotHeight - scale*level(one))
			if y != last {
				fmt.Fprintf(b, "H%dV%s", i*p.Width, y)
			}
			last = y
		}
		fmt.Fprintf(b, "H%d", plotWidth)
	}
	acc.WriteString("M0 100")
	steps(&acc, func(b bin) float64 { return b.Accepted })
	acc.WriteString("V100Z")
	p.Accepted = acc.String()

	// What was refused stands on what was accepted: there and back again.
	for i, b := range p.Bins {
		if b.Refused > 0 {
			fmt.Fprintf(&ref, "M%d %sV%sh%dV%sz", i*p.Width, coordinate(plotHeight-scale*b.Accepted),
				coordinate(plotHeight-scale*(b.Accepted+b.Refused)), p.Width, coordinate(plotHeight-scale*b.Accepted))
		}
	}
	p.Refused = ref.String()

	if limits > 0 && limits <= top {
		pen := "M"
		last := ""
		for i, b := range p.Bins {
			if b.Limit == 0 {
				pen, last = "M", ""
				continue
			}
			y := coordinate(plotHeight - scale*b.Limit)
			switch {
			case pen == "M":
				fmt.Fprintf(&lim, "M%d %s", i*p.Width, y)
			case y != last:
				fmt.Fprintf(&lim, "V%s", y)
			}
			fmt.Fprintf(&lim, "H%d", (i+1)*p.Width)
			pen, last = "V", y
		}
		p.Limit = lim.String()
	}
	p.Summary = p.summary(limit)
	return p
}

// summary says what the picture shows.
func (p *plot) summary(limit float64) string {
	sum, most, refused := 0.0, 0.0, 0.0
	for _, b := range p.Bins {
		sum += b.Accepted
		most = max(most, b.Accepted)
		refused += b.Refused * float64(p.Width)
	}
	text := fmt.Sprintf("In the last %d minutes %s accepted per second on average, at most %s, and %s refused or failed",
		window/60, strings.TrimSuffix(perTime(sum/float64(len(p.Bins))), "/s"), perTime(most), number(int(math.Round(refused))))
	if limit > 0 {
		text += "; the limit is " + perTime(limit)
	}
	return text + "."
}

// coordinate is a number with one digit behind the point, if it needs that.
func coordinate(f float64) string {
	return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64)
}

// roundUp returns the next of 1, 2, 4, 5, 8 and 10 times a power of ten.
func roundUp(f float64) float64 {
	if f <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 2, 4, 5, 8} {
		if f <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// A spark is the plot of one line of a table: what was accepted, and where there
// were refusals, in a field of plotWidth by sparkHeight.
type spark struct{ Accepted, Refused string }

const (
	sparkHeight = 20
	sparkBin    = 10 // seconds
)

func newSpark(s series, now time.Time) spark {
	bins := s.bins(now.Unix(), sparkBin, 0)
	most := 0.0
	for _, b := range bins {
		most = max(most, b.Accepted+b.Refused)
	}
	if most == 0 {
		return spark{}
	}
	var acc, ref strings.Builder
	for i, b := range bins {
		at := i * sparkBin
		y := sparkHeight * (1 - b.Accepted/most)
		if b.Accepted > 0 {
			fmt.Fprintf(&acc, "M%d 20V%sh%dV20z", at, coordinate(min(y, sparkHeight-1)), sparkBin-1)
		}
		if b.Refused > 0 {
			const least = 2 // to be seen; then it may cover some of what was accepted
			y = max(y, least)
			fmt.Fprintf(&ref, "M%d %sV%sh%dV%sz", at, coordinate(y), coordinate(min(y-sparkHeight*b.Refused/most, y-least)), sparkBin-1, coordinate(y))
		}
	}
	return spark{acc.String(), ref.String()}
}
