package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/chart"
	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := &side{name: "smtpretry", sender: smtpretrySender, srv: testserver.Start(t, limited())}
		naive := &side{name: "naive loop", sender: naiveSender, srv: testserver.Start(t, limited())}
		sides := []*side{ours, naive}
		var out bytes.Buffer
		took, err := run(t.Context(), &out, 2000, sides)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s", &out)

		st := ours.srv.Stats()
		if used := ours.used(took); st.Accepted != 2000 || st.Violations != 0 || used < 0.97 || used > 1.001 {
			t.Errorf("smtpretry: %d accepted in %v, %.2f %% of the limit, %d violations; want 2000, 97 %% and 0",
				st.Accepted, took, 100*used, st.Violations)
		}
		if st.MostOpen > conns {
			t.Errorf("smtpretry: %d connections at once, want at most %d", st.MostOpen, conns)
		}
		// The loop's waits are random; it is the order of magnitude that counts.
		if used := naive.used(took); used > 0.3 || naive.srv.Stats().Boxes == 0 {
			t.Errorf("naive loop: %.2f %% of the limit, %d times shut out; this example shows nothing",
				100*used, naive.srv.Stats().Boxes)
		}
		exampletest.Lines(t, out.String(),
			`^ +1s +smtpretry \[\.{20}\] +(59|60) +naive loop \[\.{20}\]`,
			`^ +20s +smtpretry \[#{10}\.{10}\] 10\d\d `,
			`^ +40s +smtpretry \[#{20}\] 2000 `,
			`^smtpretry +2000 +\d\d+\.\d % +0 +0x$`,
			`^naive loop +\d+ +\d+\.\d % +\d+ +[1-9]x$`,
		)

		var svg bytes.Buffer
		if err := plot(&svg, took, sides); err != nil {
			t.Fatal(err)
		}
		checkPlot(t, svg.String())

		// What is drawn: 59 or 60 messages in the first second, then the limit.
		steps := chart.PerSecond(ours.srv.Messages(), ours.start, took)
		if len(steps) != 40 || steps[0].Rate < 59 || steps[0].Rate > 60 {
			t.Errorf("%d steps, the first %v; want 40 and 59 or 60", len(steps), steps[0])
		}
		for _, s := range steps[1:] {
			if s.Rate < 45 || s.Rate > 55 {
				t.Errorf("%.1f messages in the second before %v, want about %d", s.Rate, s.End, rate)
			}
		}
	})
}

// checkPlot: it is XML, with a line for each side, the limit and the axes.
func checkPlot(t *testing.T, svg string) {
	t.Helper()
	paths, words := 0, ""
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "path" {
				paths++
			}
		case xml.CharData:
			words += string(token) + "\n"
		}
	}
	if paths != 3 {
		t.Errorf("the plot has %d paths, want the axes and two", paths)
	}
	exampletest.Lines(t, words, `seconds since the start`, `messages per second`, `^smtpretry: \d+\.\d % of the limit, 0 violations`,
		`^naive loop: `, `the limit`)
}

// TestPlotOfLittle: even if nothing was sent there is a plot.
func TestPlotOfLittle(t *testing.T) {
	srv := testserver.Start(t, limited())
	var svg bytes.Buffer
	if err := plot(&svg, 10*time.Millisecond, []*side{{name: "smtpretry", srv: srv}, {name: "naive loop", srv: srv}}); err != nil {
		t.Fatal(err)
	}
	checkPlot(t, svg.String())
	if strings.Contains(svg.String(), "NaN") || strings.Contains(svg.String(), "Inf") {
		t.Errorf("the plot has numbers that are none:\n%s", &svg)
	}
}
