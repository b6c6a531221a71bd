package check

import (
	"flag"
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/prometheus/prometheus/promql"
)

// drawTo makes a sketch of what the dashboard shows of TestWorld, for those who change
// it and have no Grafana at hand:
//
//	go test ./metrics/check -run TestWorld -draw dashboard.svg
var drawTo = flag.String("draw", "", "where to draw the dashboard")

type drawing struct {
	panel panel
	lines []drawnLine
}

type drawnLine struct {
	name   string
	points []promql.FPoint
}

// A cell of the grid, in pixels.
const cellW, cellH = 56.0, 28.0

var colors = []string{"#3274d9", "#56a64b", "#e0b400", "#e02f44", "#8f3bb8", "#ff780a", "#37872d", "#1f60c4", "#7c2ea3", "#c4162a"}

func svg(panels []drawing) string {
	bottom := 0
	for _, d := range panels {
		bottom = max(bottom, d.panel.GridPos.Y+d.panel.GridPos.H)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="11">`+"\n", 24*cellW, float64(bottom)*cellH)
	b.WriteString(`<rect width="100%" height="100%" fill="#f4f5f5"/>` + "\n")
	for _, d := range panels {
		g := d.panel.GridPos
		fmt.Fprintf(&b, `<svg x="%.0f" y="%.0f" width="%.0f" height="%.0f">`, float64(g.X)*cellW, float64(g.Y)*cellH, float64(g.W)*cellW, float64(g.H)*cellH)
		d.draw(&b, float64(g.W)*cellW, float64(g.H)*cellH)
		b.WriteString("</svg>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (d drawing) draw(b *strings.Builder, w, h float64) {
	text := func(x, y float64, more, s string) {
		fmt.Fprintf(b, `<text x="%.0f" y="%.0f" %s>%s</text>`, x, y, more, html.EscapeString(s))
	}
	if d.panel.Type == "row" {
		text(4, 19, `font-weight="bold" font-size="13"`, d.panel.Title)
		return
	}
	fmt.Fprintf(b, `<rect x="3" y="3" width="%.0f" height="%.0f" fill="white" stroke="#ddd"/>`, w-6, h-6)
	text(10, 19, `font-weight="bold"`, d.panel.Title)
	u := unitNames[d.panel.FieldConfig.Defaults.Unit]
	switch d.panel.Type {
	case "stat":
		last := d.lines[0].points[len(d.lines[0].points)-1].F
		text(w/2, h/2+18, `text-anchor="middle" font-size="26"`, number(last, u))
	case "table":
		for i, l := range d.lines {
			text(10, 40+15*float64(i), "", fmt.Sprintf("%s  %.0f", l.name, l.points[len(l.points)-1].F))
		}
	default:
		d.plot(b, w, h, u, text)
	}
}

// plot draws the lines; those that Grafana would stack are drawn as they are.
func (d drawing) plot(b *strings.Builder, w, h float64, u string, text func(x, y float64, more, s string)) {
	left, right, top, low := 52.0, w-12, 30.0, h-40
	most, from, to := 0.0, int64(math.MaxInt64), int64(0)
	for _, l := range d.lines {
		for _, p := range l.points {
			most, from, to = max(most, p.F), min(from, p.T), max(to, p.T)
		}
	}
	if most == 0 {
		most = 1
	}
	for _, part := range []float64{0, .5, 1} {
		y := low - part*(low-top)
		fmt.Fprintf(b, `<line x1="%.0f" x2="%.0f" y1="%.0f" y2="%.0f" stroke="#eee"/>`, left, right, y, y)
		text(left-4, y+4, `text-anchor="end" fill="#777"`, number(part*most, u))
	}
	x := left
	for i, l := range d.lines {
		color := colors[i%len(colors)]
		var path strings.Builder
		for _, p := range l.points {
			fmt.Fprintf(&path, "%.1f,%.1f ", left+(right-left)*float64(p.T-from)/float64(max(to-from, 1)), low-(low-top)*p.F/most)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s"/>`, path.String(), color)
		if x < right-40 {
			text(x, h-14, fmt.Sprintf(`fill="%s" font-size="10"`, color), l.name)
		}
		x += 6*float64(len(l.name)) + 10
	}
}

func number(v float64, u string) string {
	switch {
	case u == "%":
		return fmt.Sprintf("%.0f %%", 100*v)
	case u == "s" && v >= 120:
		return fmt.Sprintf("%.3g min", v/60)
	}
	digits := 2
	if v >= 100 {
		digits = 0
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, v, u))
}
