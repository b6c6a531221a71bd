package check

import (
	"fmt"
	"runtime"
	"strings"
)

// Support writes the report as text for the support of a provider: exact words,
// codes, times in UTC, addresses and what was tried; no secrets. version is
// that of the program.
func (r *Report) Support(version string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Subject: %s", r.subject())
	line("")
	line("What was checked:  %s", r.Target)
	line("When:              %s, for %s", r.Start.UTC().Format("2006-01-02 15:04:05 MST"), roughly(r.Took))
	if r.Address != "" {
		line("Our address:       %s", r.Address)
	}
	if r.Late {
		line("                   the time was up before all was looked at")
	}
	line("Our name in EHLO:  %s", r.LocalName)
	line("With:              smtpretry %s, %s, %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)

	line("\nWhat is wrong:")
	n := 0
	for _, s := range r.Steps {
		if s.Result != Fault && s.Result != Warning {
			continue
		}
		n++
		line("  %d. %s%s, at %s: %s", n, s.Name, about(s), stamp(s.Start), s.Text)
		for _, d := range s.Details {
			line("     %s", d)
		}
	}
	if n == 0 {
		line("  nothing was found.")
	}

	line("\nWhat was tried:")
	for _, s := range r.Steps {
		line("  %-8s %s%s: %s", s.Result, s.Name, about(s), s.Text)
	}

	for _, d := range r.Dialogues {
		line("\nWhat was said with %s (%s), from %s; C is us:", d.Host, d.Server, d.Client)
		for _, l := range d.Lines {
			who := "S"
			if l.Client {
				who = "C"
			}
			line("  %s %s: %s", stamp(l.At), who, l.Text)
		}
	}
	return b.String()
}

// subject is what the report is about, in one line.
func (r *Report) subject() string {
	for _, want := range []Result{Fault, Warning} {
		for _, s := range r.Steps {
			if s.Result == want {
				return fmt.Sprintf("%s: %s, %s", r.Target, s.Name, s.Text)
			}
		}
	}
	return r.Target + ": nothing found"
}

func about(s Step) string {
	if s.About == "" {
		return ""
	}
	return " " + s.About
}
