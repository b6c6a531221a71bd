package main

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// How each peer is drawn; what is ours, in colours that stand out, last.
var looks = []struct {
	peer   string
	colour color.Color
	shape  draw.GlyphDrawer
}{
	{"Postfix", color.RGBA{0x8c, 0x56, 0x4b, 0xff}, draw.PyramidGlyph{}},
	{"smtp-source", color.RGBA{0x6b, 0x6b, 0x6b, 0xff}, draw.TriangleGlyph{}},
	{"net/smtp", color.RGBA{0x2c, 0xa0, 0x2c, 0xff}, draw.CrossGlyph{}},
	{"go-mail", color.RGBA{0x94, 0x67, 0xbd, 0xff}, draw.PlusGlyph{}},
	{"raw TCP", color.RGBA{0, 0, 0, 0xff}, draw.RingGlyph{}},
	{queued, color.RGBA{0xff, 0x7f, 0x0e, 0xff}, draw.BoxGlyph{}},
	{each, color.RGBA{0x1f, 0x77, 0xb4, 0xff}, draw.CircleGlyph{}},
}

const rowHeight vg.Length = 24

// dots are a peer's medians, with lines from the lowest to the highest.
type dots struct {
	plotter.XYs
	plotter.XErrors
}

// chart makes a picture of all ratios: a row for each cell, a dot for each peer.
func chart(w io.Writer, run *results.Run) error {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text = "Messages per second, in times of go-smtp's"
	p.Title.Padding = 6
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, powers{}
	legend := plot.NewLegend()
	legend.Top, legend.Left, legend.Padding, legend.YOffs = true, true, 4, -30

	var names []string
	for i := len(run.Cells) - 1; i >= 0; i-- { // from the bottom
		names = append(names, run.Cells[i].Name)
	}
	low, high := bounds(run)
	p.X.Min, p.X.Max = low, high
	for i := 0; i < len(names); i += 2 { // every other row is grey
		y := float64(i) - 0.5
		band, err := plotter.NewPolygon(plotter.XYs{{X: low, Y: y}, {X: high, Y: y}, {X: high, Y: y + 1}, {X: low, Y: y + 1}})
		if err != nil {
			return err
		}
		band.Color, band.Width = color.Gray{0xf2}, 0
		p.Add(band)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Width, grid.Vertical.Color = 0, color.Gray{0xd8}
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(names)) - 0.5}})
	if err != nil {
		return err
	}
	one.Color, one.Width = color.Gray{0x60}, 1.2
	p.Add(grid, one)

	var entries []func()
	for nth, look := range looks {
		var d dots
		for i, c := range run.Cells {
			r, ok := c.Ratio(look.peer, results.Base)
			if !ok {
				continue
			}
			// Side by side, so that none hides another.
			y := float64(len(names)-1-i) + (float64(nth)-float64(len(looks)-1)/2)*0.09
			d.XYs = append(d.XYs, plotter.XY{X: r.Median, Y: y})
			d.XErrors = append(d.XErrors, struct{ Low, High float64 }{r.Median - r.Low, r.High - r.Median})
		}
		if len(d.XYs) == 0 {
			continue
		}
		bars, err := plotter.NewXErrorBars(d)
		if err != nil {
			return err
		}
		bars.Color, bars.CapWidth, bars.Width = look.colour, 0, 1
		points, err := plotter.NewScatter(d.XYs)
		if err != nil {
			return err
		}
		points.GlyphStyle = draw.GlyphStyle{Color: look.colour, Radius: 3.2, Shape: look.shape}
		p.Add(bars, points)
		entries = append(entries, func() { legend.Add(look.peer, points) })
	}
	for _, add := range slices.Backward(entries) { // ours first
		add()
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(names))-0.4
	p.Y.Tick.Length, p.Y.Padding = 0, 20 // a wider font needs room

	// A page may be dark, and another font wider.
	const width, margin, forLegend vg.Length = 980, 14, 150
	c := vgsvg.New(width, rowHeight*vg.Length(len(names))+90)
	all := draw.New(c)
	all.SetColor(color.White)
	all.Fill(all.Path())
	p.Draw(draw.Crop(all, 2*margin, -forLegend, margin, -margin))
	legend.Draw(draw.Crop(all, width-forLegend+margin, 0, 0, -margin))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	out := strings.ReplaceAll(b.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	_, err = io.WriteString(w, tooExact.ReplaceAllString(out, "$1"))
	return err
}

// tooExact is a number with more than a hundredth of a pixel.
var tooExact = regexp.MustCompile(`(\d\.\d)\d\d+`)

// bounds are where the axis begins and ends.
func bounds(run *results.Run) (low, high float64) {
	low, high = 0.5, 2
	for _, c := range run.Cells {
		for _, p := range c.Peers {
			if r, ok := c.Ratio(p.Name, results.Base); ok {
				low, high = min(low, 0.9*r.Low), max(high, 1.1*r.High)
			}
		}
	}
	return low, high
}

// powers are marks at 1, 2 and 5 of each power of ten.
type powers struct{}

func (powers) Ticks(low, high float64) []plot.Tick {
	var all []plot.Tick
	for base := 0.001; base <= high; base *= 10 {
		for _, n := range []float64{1, 2, 5} {
			if v := base * n; v >= low*0.999 && v <= high*1.001 {
				all = append(all, plot.Tick{Value: v, Label: fmt.Sprintf("%.4g", v)})
			}
		}
	}
	return all
}
