// Package show prints what smtpretry does while it does it, one line for each
// event, and a timeline of a message when it is over.
package show

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/smtpretry/smtpretry"
)

// The reply comes last since it has any length.
const row = "%8s  %-15s %-9s %-41s %-10s %s\n"

// Trace returns a Trace that writes a heading to w and then a line for each
// event. Times count from the call. It is safe for concurrent use.
func Trace(w io.Writer) *smtpretry.Trace {
	p := &printer{w: w, start: time.Now()}
	fmt.Fprintf(w, row, "time", "host", "stage", "verdict", "next try", "reply")
	return &smtpretry.Trace{Attempted: p.attempted, Waiting: p.waiting}
}

type printer struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
}

// attempted prints a line for each outcome that recipients of the attempt had.
func (p *printer) attempted(a smtpretry.Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	outcomes := outcomesOf(a)
	for _, o := range outcomes {
		v, stage, again := o.verdict, o.verdict.Stage, "none"
		meaning, said := fmt.Sprintf("%s %s (%s)", v.Class, v.Cause, v.Scope), reply(v)
		switch o.state {
		case smtpretry.Accepted:
			stage, meaning, said, again = a.Stage, "accepted", a.Queued, ""
		case smtpretry.InDoubt:
			meaning = "in doubt"
		}
		if again != "" && o.state != smtpretry.Rejected && !a.Next.IsZero() {
			again = wait(a.Next.Sub(a.End))
		}
		if said == "" && v == a.Verdict && a.Err != nil {
			said = a.Err.Error() // no reply: the network's words
		}
		if len(outcomes) > 1 {
			said = strings.Join(o.to, ", ") + ": " + said
		}
		fmt.Fprintf(p.w, row, seconds(a.End.Sub(p.start)), a.Host, stage, meaning, again, said)
	}
}

// waiting prints waits for a limit; those between attempts stand in the
// attempts' lines.
func (p *printer) waiting(w smtpretry.Wait) {
	if w.For == "retry" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	until := ""
	if !w.Until.IsZero() {
		until = wait(time.Until(w.Until))
	}
	fmt.Fprintf(p.w, row, seconds(time.Since(p.start)), w.Host, "", "waits: "+w.For, until, "")
}

// An outcome is what one or more recipients of an attempt got.
type outcome struct {
	to      []string
	state   smtpretry.State
	verdict smtpretry.Verdict
}

func outcomesOf(a smtpretry.Attempt) []outcome {
	var all []outcome
next:
	for _, r := range a.Recipients {
		for i := range all {
			if all[i].state == r.State && all[i].verdict == r.Verdict {
				all[i].to = append(all[i].to, r.Address)
				continue next
			}
		}
		all = append(all, outcome{[]string{r.Address}, r.State, r.Verdict})
	}
	return all
}

// reply is the server's answer as it came, or what happened instead.
func reply(v smtpretry.Verdict) string {
	if own, ok := strings.CutPrefix(v.Text, "smtpretry: "); ok {
		return own
	}
	return v.Reply()
}

func wait(d time.Duration) string {
	if d <= 0 {
		return "at once"
	}
	return "in " + seconds(d)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// Timeline draws the attempts of a message over time: a mark for each, and
// dots for the waits between.
func Timeline(w io.Writer, r *smtpretry.Result) {
	if len(r.Attempts) == 0 {
		return
	}
	const width = 48
	first, last := r.Attempts[0].Start, r.Attempts[len(r.Attempts)-1].End
	column := func(t time.Time) int {
		return int(width * t.Sub(first) / max(last.Sub(first), 1))
	}
	fmt.Fprintf(w, "\nTimeline: %s after %d attempts in %s\n", r, len(r.Attempts), seconds(last.Sub(first)))
	for i, a := range r.Attempts {
		mark, said := "✓", "accepted"
		if a.Err != nil {
			mark, said = "✗", fmt.Sprintf("%s at %s: %s", a.Verdict.Class, a.Verdict.Stage, a.Verdict.Cause)
			if a.Verdict.Code != 0 {
				said = fmt.Sprint(a.Verdict.Code, " ", said)
			}
		}
		from, dots := column(a.Start), 0
		if i+1 < len(r.Attempts) {
			dots = max(column(r.Attempts[i+1].Start)-from-1, 0)
		}
		line := strings.Repeat(" ", from) + mark + strings.Repeat("·", dots)
		pad := strings.Repeat(" ", max(width+1-from-1-dots, 0))
		fmt.Fprintf(w, "%8s  |%s%s|  %s\n", seconds(a.Start.Sub(first)), line, pad, said)
	}
}
