package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// printCheck prints what was found.
func printCheck(u *ui.UI, r *check.Report, cfg check.Config, support bool) error {
	switch {
	case u.JSON:
		return u.Encode(r)
	case support:
		_, err := fmt.Fprint(u.Out, r.Support(version()))
		return ui.Fail(ui.IOErr, err)
	}
	var b strings.Builder
	b.WriteString(u.Paint(ui.Bold, r.Target) + "\n\n")
	for i := 0; i < len(r.Steps); {
		i += printStep(&b, u, r.Steps[i:])
	}
	b.WriteString("\n" + summary(u, r) + "\n")
	if hint := notAsked(cfg); hint != "" {
		b.WriteString(u.Paint(ui.Dim, wrap("Not looked at: "+hint, u.Width(), 0)) + "\n")
	}
	_, err := fmt.Fprint(u.Out, b.String())
	return ui.Fail(ui.IOErr, err)
}

// stepIndent is how wide what stands before a step's text is.
const stepIndent = 24

// printStep prints the first of the steps, and with it those that are skipped
// for the same reason. It returns how many.
func printStep(b *strings.Builder, u *ui.UI, steps []check.Step) int {
	s := steps[0]
	n := 1
	text := s.Text
	if s.Result == check.Skipped {
		for n < len(steps) && steps[n].Result == check.Skipped && steps[n].Text == s.Text && steps[n].Advice == "" {
			n++
		}
	}
	if n > 1 {
		text = also(steps[1:n]) + text
	} else if s.About != "" {
		text = s.About + ": " + text
	}
	if s.Took >= time.Millisecond {
		text += fmt.Sprintf(" (%s)", shortly(s.Took))
	}
	word := s.Result.String()
	fmt.Fprintf(b, "  %s%*s %-12s ", u.Paint(style(s.Result), word), 8-len(word), "", s.Name)
	below := func(indent int, text string) string {
		return strings.Repeat(" ", indent) + wrap(text, u.Width()-indent, indent) + "\n"
	}
	b.WriteString(wrap(text, u.Width()-stepIndent, stepIndent) + "\n")
	for _, d := range s.Details {
		b.WriteString(u.Paint(ui.Dim, below(stepIndent+2, d)))
	}
	if s.Advice != "" {
		b.WriteString(below(stepIndent, "-> "+s.Advice))
	}
	return n
}

// also lists the steps that are skipped with another, without repetition.
func also(steps []check.Step) string {
	var names []string
	for _, s := range steps {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return "and " + strings.Join(names, ", ") + ", "
}

func style(r check.Result) ui.Style {
	switch r {
	case check.Fault:
		return ui.Bad
	case check.Warning:
		return ui.Warn
	case check.OK:
		return ui.Good
	}
	return ui.Dim
}

func shortly(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func summary(u *ui.UI, r *check.Report) string {
	n := r.Count()
	var parts []string
	for _, k := range []struct {
		result check.Result
		plural string
	}{{check.Fault, "faults"}, {check.Warning, "warnings"}, {check.Note, "notes"}, {check.OK, "ok"}, {check.Skipped, "skipped"}} {
		word := k.plural
		if n[k.result] == 1 {
			word = k.result.String()
		}
		switch {
		case n[k.result] > 0:
			parts = append(parts, u.Paint(style(k.result), fmt.Sprintf("%d %s", n[k.result], word)))
		case k.result == check.Fault:
			parts = append(parts, u.Paint(ui.Good, "no fault"))
		}
	}
	text := fmt.Sprintf("%s, in %s", strings.Join(parts, ", "), shortly(r.Took))
	if r.Late {
		text += "; the time was up (--timeout)"
	}
	return text
}

// notAsked says what more could be looked at.
func notAsked(cfg check.Config) string {
	var list []string
	if cfg.From == "" && cfg.Message == nil {
		list = append(list, "the sender's domain (--from)")
	}
	if cfg.User == "" && cfg.Domain == "" {
		list = append(list, "the login (smtps://USER@HOST)")
	}
	if len(cfg.Rcpt) == 0 {
		list = append(list, "recipients (--to)")
	}
	return strings.Join(list, ", ")
}
