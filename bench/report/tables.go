package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// tables makes all of them, by the names of their places.
func tables(run *results.Run) map[string]string {
	return map[string]string{
		"machine":  machine(run),
		"claims":   claimsTable(run),
		"ratios":   ratios(run),
		"absolute": absolute(run),
		"upload":   uploads(run),
		"waiting":  waiting(run),
		"limiter":  limiter(run),
	}
}

// table writes one; the first row is the heading. Columns but the first are
// numbers.
func table(rows [][]string) string {
	if len(rows) < 2 {
		return "Not measured.\n"
	}
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("--:|", len(row)-1) + "\n")
		}
	}
	return b.String()
}

func machine(run *results.Run) string {
	var versions []string
	for _, v := range run.Versions {
		versions = append(versions, v.Name+" "+v.Version)
	}
	m := run.Machine
	return fmt.Sprintf("Measured on %s: %s, %d cores, %.0f GB of memory, %s. %s.\n",
		run.Date.Format("2 January 2006"), m.CPU, m.Cores, float64(m.RAM)/1e9, m.Kernel, strings.Join(versions, ", "))
}

// peers returns all names, in the order in which they come up.
func peers(run *results.Run) []string {
	var names []string
	for _, c := range run.Cells {
		for _, p := range c.Peers {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// ratios compares with the base: the median, and the lowest and highest below it.
func ratios(run *results.Run) string {
	names := slices.DeleteFunc(peers(run), func(n string) bool { return n == results.Base })
	rows := [][]string{append([]string{"times " + results.Base}, names...)}
	for _, c := range run.Cells {
		row := []string{c.Name}
		for _, n := range names {
			r, ok := c.Ratio(n, results.Base)
			if !ok {
				row = append(row, "")
				continue
			}
			row = append(row, fmt.Sprintf("%s<br><sub>%s–%s</sub>", strong(n, digits(r.Median)), digits(r.Low), digits(r.High)))
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// strong marks what is ours.
func strong(peer, what string) string {
	if strings.HasPrefix(peer, "smtpretry") {
		return "**" + what + "**"
	}
	return what
}

// absolute says what was reached, in messages per second, or in MB where the
// messages are large.
func absolute(run *results.Run) string {
	names := peers(run)
	rows := [][]string{append([]string{"messages/s"}, names...)}
	for _, c := range run.Cells {
		row := []string{c.Name}
		for _, n := range names {
			p := c.Peer(n)
			switch {
			case p == nil:
				row = append(row, "")
			case c.Body >= 1<<20:
				row = append(row, fmt.Sprintf("%.0f MB/s", results.Median(p.Rates)*float64(c.Body)/1e6))
			default:
				row = append(row, digits(results.Median(p.Rates)))
			}
		}
		rows = append(rows, row)
	}
	return table(rows)
}

func uploads(run *results.Run) string {
	rows := [][]string{{"one message", "client", "heap in use", "resident"}}
	for _, u := range run.Uploads {
		rows = append(rows, []string{fmt.Sprintf("%d MiB", u.Body>>20), u.Peer, "+" + results.MB(u.Heap), "+" + results.MB(u.RSS)})
	}
	return table(rows)
}

func waiting(run *results.Run) string {
	rows := [][]string{{"waiting", "heap and stacks in use", "each", "resident"}}
	for _, w := range run.Waiting {
		rows = append(rows, []string{fmt.Sprintf("%d %s", w.Calls, w.What), results.MB(w.Heap + w.Stacks),
			fmt.Sprintf("%d B", (w.Heap+w.Stacks)/uint64(w.Calls)), results.MB(w.System)})
	}
	return table(rows)
}

func limiter(run *results.Run) string {
	rows := [][]string{{"hosts", "for one message", "spread", "allocations"}}
	for _, l := range run.Limiter {
		rows = append(rows, []string{l.Hosts, fmt.Sprintf("%.0f ns", results.Median(l.NsPerOp)),
			fmt.Sprintf("%.0f–%.0f", slices.Min(l.NsPerOp), slices.Max(l.NsPerOp)), fmt.Sprintf("%.0f B in %.0f", l.Bytes, l.Allocs)})
	}
	return table(rows)
}

// digits writes a number with about three.
func digits(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
