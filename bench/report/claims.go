package main

import (
	"fmt"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// A claim is one figure that somebody may rely on: how a peer compares with
// another in a cell, and how it should at least.
type claim struct {
	what, cell, peer, base string
	least                  float64
}

const (
	each   = "smtpretry"
	queued = "smtpretry, queued"
)

var claims = []claim{
	{"20 ms away, one message after another", "20 ms", each, results.Base, 1.9},
	{"… while messages queue", "20 ms", queued, results.Base, 3.5},
	{"… to 100 recipients each", "20 ms, 100 recipients", each, results.Base, 40},
	{"no delay, one connection", "no delay", each, results.Base, 1},
	{"… 10 connections, against smtp-source", "no delay, 10 connections", each, "smtp-source", 1},
	{"… 10 MiB", "no delay, 10 MiB", each, results.Base, 1},
	{"… 10 MiB, against a raw copy over TCP", "no delay, 10 MiB", each, "raw TCP", 0.8},
}

func claimsTable(run *results.Run) string {
	rows := [][]string{{"one connection, if not said otherwise", "times as fast", "spread", "meant to be"}}
	for _, c := range claims {
		cell := run.Cell(c.cell)
		if cell == nil {
			continue
		}
		r, ok := cell.Ratio(c.peer, c.base)
		if !ok {
			continue
		}
		rows = append(rows, []string{c.what, "**" + digits(r.Median) + "**", digits(r.Low) + "–" + digits(r.High), fmt.Sprintf("≥ %v", c.least)})
	}
	return table(rows)
}
