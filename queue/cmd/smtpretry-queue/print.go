package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/smtpretry/smtpretry/queue"
)

// A printer writes for people, or as JSON for programs.
type printer struct {
	w    io.Writer
	json bool
}

func printJSON[T any](w io.Writer, list []T) error {
	enc := json.NewEncoder(w)
	for _, v := range list {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// table writes lines in columns.
func (p printer) table(head string, lines func(line func(format string, args ...any))) error {
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	lines(func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) })
	return w.Flush()
}

// when is a time as people read it.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func (p printer) counts(list []queue.Count) error {
	if p.json {
		return printJSON(p.w, list)
	}
	return p.table("HOST\tSTATE\tCAUSE\tN\tOLDEST\tNEXT\tREPLY", func(line func(string, ...any)) {
		for _, c := range list {
			state, cause := c.State.String(), c.Cause
			if c.Held {
				state += " (held)"
			}
			if cause == "" {
				cause = "-"
			}
			line("%s\t%s\t%s\t%d\t%s\t%s\t%s", c.Host, state, cause, c.N, when(c.Oldest), when(c.Next), c.Refused)
		}
	})
}

func (p printer) entries(list []queue.Entry) error {
	if p.json {
		return printJSON(p.w, list)
	}
	return p.table("ID\tSTATE\tHOST\tFROM\tTO\tTRIES\tNEXT\tREPLY", func(line func(string, ...any)) {
		for _, e := range list {
			to := e.Recipients[0].Address
			if n := len(e.Recipients) - 1; n > 0 {
				to += fmt.Sprintf(" and %d more", n)
			}
			line("%d\t%s\t%s\t<%s>\t%s\t%d\t%s\t%s", e.ID, e.State, e.Host, e.From, to, e.Attempts, when(e.Next), e.Reply)
		}
	})
}

func (p printer) entry(e queue.Entry) error {
	if p.json {
		return printJSON(p.w, []queue.Entry{e})
	}
	fmt.Fprintf(p.w, "Entry %d, %s, to %s, priority %d, %d octets\n", e.ID, e.State, e.Host, e.Priority, e.Size)
	fmt.Fprintf(p.w, "  accepted  %s\n", when(e.Created))
	if e.Finished.IsZero() {
		fmt.Fprintf(p.w, "  next try  %s\n  give up   %s\n", when(e.Next), when(e.GiveUp))
	} else {
		fmt.Fprintf(p.w, "  finished  %s\n", when(e.Finished))
	}
	fmt.Fprintf(p.w, "  attempts  %d\n", e.Attempts)
	if e.Reply != "" {
		fmt.Fprintf(p.w, "  reply     %s\n", e.Reply)
	}
	fmt.Fprintf(p.w, "From <%s>\n", e.From)
	for _, r := range e.Recipients {
		state := r.State.String()
		if r.Failed {
			state += ", failed"
		}
		fmt.Fprintf(p.w, "To   <%s>: %s", r.Address, state)
		if r.Verdict.Rule != "" {
			fmt.Fprintf(p.w, ", %s", r.Verdict)
		}
		fmt.Fprintln(p.w)
	}
	for _, h := range e.History {
		fmt.Fprintf(p.w, "%s  ", when(h.Time))
		if h.Stage != "" {
			fmt.Fprintf(p.w, "%s at %s, ", h.Cause, h.Stage)
		}
		if h.Addr != "" {
			fmt.Fprintf(p.w, "%s: ", h.Addr)
		}
		fmt.Fprint(p.w, h.Text)
		if !h.Next.IsZero() {
			fmt.Fprintf(p.w, "; next %s", when(h.Next))
		}
		fmt.Fprintln(p.w)
	}
	return nil
}

func (p printer) holds(list []queue.Hold) error {
	if p.json {
		return printJSON(p.w, list)
	}
	return p.table("HOST\tSINCE\tUNTIL\tREASON", func(line func(string, ...any)) {
		for _, h := range list {
			until := "released"
			if !h.Until.IsZero() {
				until = when(h.Until)
			}
			line("%s\t%s\t%s\t%s", h.Host, when(h.Created), until, h.Reason)
		}
	})
}

func (p printer) changed(name, done string, n int) error {
	if p.json {
		return printJSON(p.w, []map[string]any{{"command": name, "entries": n}})
	}
	_, err := fmt.Fprintf(p.w, "%d %s\n", n, done)
	return err
}

// progress shows how far a long operation has come: on a terminal in one line
// that changes, elsewhere now and then in a new one. What is done at once shows
// nothing.
func progress(w io.Writer, done string) (show queue.Progress, end func()) {
	terminal := false
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	pause := 5 * time.Second
	if terminal {
		pause = 200 * time.Millisecond
	}
	next, shown := time.Now().Add(500*time.Millisecond), false
	show = func(n, total int) {
		if time.Now().Before(next) {
			return
		}
		next, shown = time.Now().Add(pause), true
		if terminal {
			fmt.Fprintf(w, "\r%d of %d %s ", n, total, done)
		} else {
			fmt.Fprintf(w, "%d of %d %s\n", n, total, done)
		}
	}
	return show, func() {
		if shown && terminal {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
