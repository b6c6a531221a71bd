// Command bench compares smtpretry with other ways to send mail, on this
// machine, over loopback, and writes what it has measured to a file, from which
// bench/report makes tables and a picture. See docs/benchmarks.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"time"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// options say how much is measured.
type options struct {
	quick   bool
	rounds  int
	delayed int            // rounds where the server is away: there is less noise
	turn    time.Duration  // how long each peer sends in each round, about
	trips   time.Duration  // how many round trips that is at least, up to 5 turns
	only    *regexp.Regexp // which parts; nil: all
	near    time.Duration  // what round trips are divided by, for a test; 0: nothing
	calls   int            // that wait
	uploads []int64        // octets
	micro   string         // -benchtime
}

func main() {
	log.SetFlags(log.Ltime)
	if isChild() {
		child(os.Args[1:])
		return
	}
	turn := flag.Duration("turn", 0, "how long each peer sends in each round, about; 0: as is usual")
	rounds := flag.Int("rounds", 0, "how many rounds; 0: as is usual")
	quick := flag.Bool("quick", false, "measure some of it, for a moment only: a minute in all")
	only := flag.String("only", "", "measure only the cells and parts with names that match")
	out := flag.String("o", "", "the file for the results; with -only it keeps what else it has")
	stat := flag.String("stat", "", "the file for the results as benchstat reads them")
	flag.Parse()
	o := choose(*quick, regexp.MustCompile(*only))
	if *turn > 0 {
		o.turn = *turn
	}
	if *rounds > 0 {
		o.rounds, o.delayed = *rounds, *rounds
	}
	run, err := measure(o)
	if run != nil {
		err = errors.Join(err, write(run, *out, *stat, *only != ""))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// write keeps what was measured, beside what the file has already if that is
// wanted.
func write(run *results.Run, out, stat string, join bool) (err error) {
	if out != "" && join {
		err = run.Join(out)
	}
	if err == nil && out != "" {
		err = results.Write(out, run)
	}
	if err == nil && stat != "" {
		err = writeStat(stat, run)
	}
	return err
}

// inQuick is what there is time for.
var inQuick = regexp.MustCompile("^(no delay(|, 10 MiB|, 10 connections)|20 ms(|, 100 recipients)|bundled server|upload|waiting|limiter)$")

func choose(quick bool, only *regexp.Regexp) options {
	if quick {
		if only.String() == "" {
			only = inQuick
		}
		return options{quick: true, rounds: 2, turn: 100 * time.Millisecond, trips: 5, delayed: 1, only: only,
			calls: 10_000, uploads: []int64{1 << 20, 10 << 20}, micro: "100x"}
	}
	return options{rounds: 6, turn: 400 * time.Millisecond, trips: 30, delayed: 3, only: only,
		calls: 100_000, uploads: []int64{1 << 20, 10 << 20, 100 << 20}, micro: "200000x"}
}

func (o *options) wants(part string) bool { return o.only == nil || o.only.MatchString(part) }

// measure does it all, one thing after the other. What fails is left out.
func measure(o options) (*results.Run, error) {
	run := &results.Run{Date: time.Now().UTC().Truncate(time.Second), Quick: o.quick, Rounds: o.rounds}
	run.Machine, run.Versions = surroundings()
	servers, err := startServers()
	if err != nil {
		return nil, err
	}
	defer servers.close()
	var failed []error
	note := func(part string, err error) {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", part, err))
		}
	}
	for i := range cells {
		c := &cells[i]
		if !o.wants(c.name) || !servers.has(c.server) {
			continue
		}
		cell, err := c.run(servers, o)
		if err != nil {
			note(c.name, err)
			continue
		}
		run.Cells = append(run.Cells, *cell)
	}
	if o.wants("upload") {
		run.Uploads, err = measureUploads(servers, o)
		note("upload", err)
	}
	if o.wants("waiting") {
		run.Waiting, err = measureWaiting(servers, o)
		note("waiting", err)
	}
	if o.wants("limiter") {
		run.Limiter, err = measureLimiter(o)
		note("limiter", err)
	}
	return run, errors.Join(failed...)
}

func writeStat(name string, run *results.Run) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := run.Benchfmt(f); err != nil {
		return err
	}
	return f.Close()
}
