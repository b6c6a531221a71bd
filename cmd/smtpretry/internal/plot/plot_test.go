package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/plot"
)

var start = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func TestBars(t *testing.T) {
	p := plot.Plot{Start: start, Part: 10 * time.Minute, Series: []plot.Series{
		{Name: "rate-limit", Counts: []int{0, 1, 8, 16, 0, 2, 0, 0, 0, 0, 0, 0}},
		{Name: "auth", Counts: []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4}},
	}}
	const want = `  rate-limit ▕ ▁▄█ ▁      ▏ 27
  auth       ▕           ▂▏ 4
              09:00  11:00
              the highest bar is 16 in 10 minutes
`
	var b strings.Builder
	if err := p.Bars(&b, nil); err != nil || b.String() != want {
		t.Errorf("got %v\n%s, want\n%s", err, b.String(), want)
	}
	b.Reset()
	if err := p.Bars(&b, func(i int, bars string) string { return strconv.Itoa(i) + bars }); err != nil || !strings.Contains(b.String(), "auth       ▕1 ") {
		t.Errorf("painted: %v\n%s", err, b.String())
	}
	b.Reset()
	if err := (plot.Plot{}).Bars(&b, nil); err != nil || b.Len() > 0 {
		t.Errorf("nothing is drawn as %q, %v", b.String(), err)
	}
}

// The bars of the SVG stand on each other, within the picture, and are as high as
// their counts.
func TestSVG(t *testing.T) {
	p := plot.Plot{Title: "a < b", Start: start, Part: time.Hour, Series: []plot.Series{
		{Name: "one & only", Counts: []int{1, 2, 0, 40}}, {Name: "two", Counts: []int{3, 0, 0, 10}}}}
	var b strings.Builder
	if err := p.SVG(&b); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	rects := regexp.MustCompile(`<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"><title>(.*?): (\d+)</title>`).FindAllStringSubmatch(b.String(), -1)
	if len(rects) != 5 {
		t.Fatalf("%d bars, want 5\n%s", len(rects), &b)
	}
	bottom := map[string]float64{}
	per := 0.0
	for _, r := range rects {
		n := make([]float64, 7)
		for i := range n {
			if i > 0 && i != 5 {
				n[i], _ = strconv.ParseFloat(r[i], 64)
			}
		}
		x, y, w, h, count := r[1], n[2], n[3], n[4], n[6]
		if n[1] < 70 || n[1]+w > 930 || y < 0 {
			t.Errorf("%q stands outside", r[0])
		}
		if was, ok := bottom[x]; ok && (was-(y+h) > 0.2 || (y+h)-was > 0.2) {
			t.Errorf("%q does not stand on the one below, which ends at %v", r[0], was)
		}
		bottom[x] = y
		if per == 0 {
			per = h / count
		}
		if d := h/count - per; d > 0.2 || d < -0.2 {
			t.Errorf("%q has %v pixels for each, others %v", r[0], h/count, per)
		}
	}
}
