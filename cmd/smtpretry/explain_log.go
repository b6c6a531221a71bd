package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/maillog"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/plot"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// svgParts is how many bars an SVG has at most.
const svgParts = 120

// log prints what the logs tell, summed up, and draws it.
func (x *explainer) log() error {
	if x.svg != "" {
		if err := x.draw(); err != nil {
			return err
		}
	}
	if x.JSON {
		return x.Encode(x.logJSON())
	}
	s := &x.summary
	var b strings.Builder
	fmt.Fprintf(&b, "lines: %s, attempts: %s (%s)%s\n", number(s.Lines), number(s.Events), formatsOf(s), rangeOf(s.First, s.Last))
	fmt.Fprintf(&b, "%s  %s  %s", x.Paint(ui.Good, number(s.Accepted)+" accepted"),
		x.Paint(ui.Warn, number(s.Failed(smtpretry.Temporary)+s.Failed(smtpretry.Unknown))+" put off"),
		x.Paint(ui.Bad, number(s.Failed(smtpretry.Permanent))+" refused for good"))
	if s.HeldBack > 0 {
		fmt.Fprintf(&b, "  %s not tried, as the host had refused before", number(s.HeldBack))
	}
	b.WriteString("\n")

	start, part, series := s.Timeline(max(min(x.Width()-40, 72), 10))
	if len(series) > 0 {
		b.WriteString("\n")
	}
	if err := plotOf(start, part, series).Bars(&b, func(i int, bars string) string { return x.Paint(styleOf(s, series[i].Cause), bars) }); err != nil {
		return err
	}
	x.groups(&b)
	_, err := fmt.Fprint(x.Out, b.String())
	return ui.Fail(ui.IOErr, err)
}

// groups writes what failed, host by host.
func (x *explainer) groups(b *strings.Builder) {
	host, hosts, left := "", 0, 0 // left: failures at hosts that are not shown
	for i, g := range x.summary.Groups() {
		another := i == 0 || g.Host != host
		if host = g.Host; another {
			hosts++
		}
		if x.hosts > 0 && hosts > x.hosts {
			left += g.Count
			continue
		}
		if another {
			fmt.Fprintf(b, "\n%s\n", x.Paint(ui.Bold, cmp.Or(host, "(no host named)")))
		}
		style := ui.Warn
		if g.Class == smtpretry.Permanent {
			style = ui.Bad
		}
		fmt.Fprintf(b, "  %s %s  %s%s\n", number(g.Count), x.Paint(style, g.Cause.String()), g.Class, rangeOf(g.First, g.Last))
		fmt.Fprintf(b, "    %s\n", x.Paint(ui.Dim, wrap(g.Sample.Reply(), x.Width()-4, 4)))
		fmt.Fprintf(b, "    %s\n", wrap(g.Sample.Advice(), x.Width()-4, 4))
	}
	if left > 0 {
		fmt.Fprintf(b, "\nAnd %s more at %s other hosts; --hosts 0 shows them.\n", number(left), number(hosts-x.hosts))
	}
}

// styleOf paints what is never refused for good as a warning.
func styleOf(s *maillog.Summary, cause smtpretry.Cause) ui.Style {
	for _, g := range s.Groups() {
		if g.Cause == cause && g.Class == smtpretry.Permanent {
			return ui.Bad
		}
	}
	return ui.Warn
}

// draw writes the SVG.
func (x *explainer) draw() error {
	start, part, series := x.summary.Timeline(svgParts)
	if len(series) == 0 {
		return ui.Failf(ui.DataErr, "--svg draws failures over time, and there is none in the log that has a time")
	}
	f, err := os.Create(x.svg)
	if err != nil {
		return ui.Fail(ui.CantCreate, err)
	}
	err = plotOf(start, part, series).SVG(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return ui.Fail(ui.CantCreate, err)
}

func plotOf(start time.Time, part time.Duration, series []maillog.Series) plot.Plot {
	p := plot.Plot{Title: "What mail servers refused, by cause", Start: start, Part: part}
	for _, s := range series {
		p.Series = append(p.Series, plot.Series{Name: s.Cause.String(), Counts: s.Counts})
	}
	return p
}

// formatsOf names the formats that were found.
func formatsOf(s *maillog.Summary) string {
	var words []string
	for _, f := range slices.Sorted(maps.Keys(s.Formats)) {
		words = append(words, string(f))
	}
	return strings.Join(words, ", ")
}

// rangeOf is a range of time, to the second; empty if it is not known.
func rangeOf(first, last time.Time) string {
	switch {
	case first.IsZero():
		return ""
	case first.Truncate(time.Second).Equal(last.Truncate(time.Second)):
		return ", " + first.Format(time.DateTime)
	case first.Format(time.DateOnly) == last.Format(time.DateOnly):
		return ", " + first.Format(time.DateTime) + " to " + last.Format(time.TimeOnly)
	}
	return ", " + first.Format(time.DateTime) + " to " + last.Format(time.DateTime)
}

// number writes a count with commas between the thousands.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// jsonSummary is the summary of logs as JSON.
type jsonSummary struct {
	Lines    int                    `json:"lines"`
	Events   int                    `json:"events"`
	Formats  map[maillog.Format]int `json:"formats"`
	First    time.Time              `json:"first,omitzero"`
	Last     time.Time              `json:"last,omitzero"`
	Accepted int                    `json:"accepted"`
	PutOff   int                    `json:"put_off"`
	Refused  int                    `json:"refused_for_good"`
	HeldBack int                    `json:"held_back"`
	Groups   []jsonGroup            `json:"groups"`
	Timeline *jsonTimeline          `json:"timeline,omitempty"`
}

type jsonGroup struct {
	Host   string          `json:"host"`
	Cause  smtpretry.Cause `json:"cause"`
	Class  smtpretry.Class `json:"class"`
	Count  int             `json:"count"`
	First  time.Time       `json:"first,omitzero"`
	Last   time.Time       `json:"last,omitzero"`
	Sample meaning         `json:"sample"`
}

type jsonTimeline struct {
	Start   time.Time                 `json:"start"`
	Seconds float64                   `json:"seconds"` // of each count
	Counts  map[smtpretry.Cause][]int `json:"counts"`
}

func (x *explainer) logJSON() jsonSummary {
	s := &x.summary
	out := jsonSummary{Lines: s.Lines, Events: s.Events, Formats: s.Formats, First: s.First, Last: s.Last,
		Accepted: s.Accepted, PutOff: s.Failed(smtpretry.Temporary) + s.Failed(smtpretry.Unknown), Refused: s.Failed(smtpretry.Permanent),
		HeldBack: s.HeldBack, Groups: []jsonGroup{}}
	for _, g := range s.Groups() {
		out.Groups = append(out.Groups, jsonGroup{g.Host, g.Cause, g.Class, g.Count, g.First, g.Last, meaningOf(g.Sample)})
	}
	if start, part, series := s.Timeline(svgParts); len(series) > 0 {
		out.Timeline = &jsonTimeline{start, part.Seconds(), map[smtpretry.Cause][]int{}}
		for _, one := range series {
			out.Timeline.Counts[one.Cause] = one.Counts
		}
	}
	return out
}
