package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestAdaptive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 45 * time.Second
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		sides, err := threeSides(limiter, func(cfg testserver.Config) (*testserver.Server, error) {
			return testserver.Start(t, cfg), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run(t.Context(), &out, d, sides, limiter); err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s", &out)
		var svg bytes.Buffer
		if err := plot(&svg, d, sides); err != nil {
			t.Fatal(err)
		}
		checkPlot(t, svg.String())

		if got := allowed(40 * time.Second); got != burst+20*50+10*25+10*50 {
			t.Errorf("%v are allowed in 40 s, want 1760", got)
		}
		naive, ours := sides[0], sides[2]
		if used, boxes := ours.used(d), ours.srv.Stats().Boxes; used < 0.7 || used > 1.001 || boxes > 1 {
			t.Errorf("smtpretry: %.1f %% of what was allowed, shut out %d times; want 70 %% and at most once", 100*used, boxes)
		}
		// Its waits are random; it is the order of magnitude that counts.
		if used, boxes := naive.used(d), naive.srv.Stats().Boxes; used > 0.5 || boxes < 2 {
			t.Errorf("naive loop: %.1f %% of what was allowed, shut out %d times; this example shows nothing", 100*used, boxes)
		}
		for _, s := range sides {
			if st := s.srv.Stats(); len(s.boxed) != st.Boxes {
				t.Errorf("%s: %d boxes are drawn of %d", s.name, len(s.boxed), st.Boxes)
			}
		}
		exampletest.Lines(t, out.String(),
			`^0 s: all begin`,
			`^20 s: before the change`,
			`^    delivered: naive loop \d+, fixed rate, by hand \d+, smtpretry, told nothing \d+$`,
			`^    Rate .*: learned`,
			`^22 s: the servers halve their rate$`,
			`^45 s: the end`,
			`^naive loop +\d+ +\d+\.\d % +\d+ +\d+ +\d+x$`,
			`^fixed rate, by hand +\d+ +\d+\.\d % +\d+ +\d+ +\d+x$`,
			`^smtpretry, told nothing +\d+ +\d+\.\d % +\d+ +\d+ +[01]x$`,
		)
	})
}

// checkPlot: it is small, and XML, and has what belongs to it in each panel.
func checkPlot(t *testing.T, svg string) {
	t.Helper()
	if len(svg) > 40_000 || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("the plot has %d bytes, or numbers that are none", len(svg))
	}
	paths, words := 0, ""
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
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
	if paths != 2+3*4 {
		t.Errorf("the plot has %d paths, want 2 in the legend and 4 in each panel", paths)
	}
	exampletest.Lines(t, words, `^refused$`, `^shut out$`, `^naive loop$`, `^fixed rate, by hand$`,
		`^smtpretry, told nothing$`, `seconds since the start`)
}
