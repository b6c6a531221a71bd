// Bulk sends 2,000 messages to a server that takes 50 per second and shuts out
// who does not keep to it: once with smtpretry, which knows the limit, and at
// the same time, to a second such server, by a loop that retries each message
// by itself. It draws both.
//
//	go run ./examples/bulk             # 40 seconds
//	go run ./examples/bulk -n 200      # 4 seconds
//	go run ./examples/bulk -untold     # smtpretry does not know the limit, either
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/load"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// What both servers allow, and what they do to those who ask for more.
const (
	rate  = 50 // messages per second
	burst = 10
	conns = 5 // at once
)

func limited() testserver.Config {
	return testserver.Config{
		Limits: testserver.Limits{
			Rate:     testserver.Rate{N: rate, Burst: burst},
			MaxConns: conns,
			Box:      testserver.Box{After: 5, Within: 10 * time.Second, For: 10 * time.Second},
		},
		Bodies: testserver.KeepSize, TranscriptSize: -1,
	}
}

func main() {
	n := flag.Int("n", 2000, "send this many `messages`")
	file := flag.String("svg", filepath.Join(os.TempDir(), "bulk.svg"), "write the plot to this `file`")
	untold := flag.Bool("untold", false, "do not tell smtpretry the limits, and allow it 20 connections")
	flag.Parse()
	if *n < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64) // EX_USAGE
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := compare(ctx, os.Stdout, *n, *file, *untold)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// compare runs both over TCP on this machine.
func compare(ctx context.Context, w io.Writer, n int, file string, untold bool) error {
	ours := smtpretrySender
	if untold {
		ours = strangerSender
	}
	sides := []*side{{name: "smtpretry", sender: ours}, {name: "naive loop", sender: naiveSender}}
	for _, s := range sides {
		var err error
		if s.srv, err = testserver.Listen(limited(), "127.0.0.1:0"); err != nil {
			return err
		}
		defer s.srv.Close()
	}
	took, err := run(ctx, w, n, sides)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := errors.Join(plot(f, took, sides), f.Close()); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nplot:", file)
	return nil
}

// A side is a way to send and the server that it sends to.
type side struct {
	name   string
	sender func(*testserver.Server) (send load.Send, closeAll func(), err error)
	srv    *testserver.Server
	start  time.Time
}

// used returns which part of what the server allowed was made use of.
func (s *side) used(took time.Duration) float64 {
	return float64(s.srv.Stats().Accepted) / (burst + rate*took.Seconds())
}

// run lets both sides send n messages until the first is through, and returns
// how long that took.
func run(ctx context.Context, w io.Writer, n int, sides []*side) (time.Duration, error) {
	ctx, through := context.WithCancel(ctx)
	defer through()
	start := time.Now()
	var running sync.WaitGroup
	for _, s := range sides {
		send, closeAll, err := s.sender(s.srv)
		if err != nil {
			return 0, err
		}
		s.start = start
		running.Go(func() {
			defer closeAll()
			load.Deliver(ctx, n, send)
			through()
		})
	}

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		progress(w, time.Since(start), n, sides)
	}
	took := time.Since(start)
	running.Wait()

	fmt.Fprintf(w, "\n%-12s %9s %14s %11s %10s\n", "", "accepted", "of the limit", "violations", "shut out")
	for _, s := range sides {
		st := s.srv.Stats()
		fmt.Fprintf(w, "%-12s %9d %12.1f %% %11d %9dx\n", s.name, st.Accepted, 100*s.used(took), st.Violations, st.Boxes)
	}
	return took, nil
}

// progress prints a bar for each side, on a terminal over the last ones.
func progress(w io.Writer, t time.Duration, n int, sides []*side) {
	var line strings.Builder
	fmt.Fprintf(&line, "%4.0fs", t.Seconds())
	for _, s := range sides {
		done := s.srv.Stats().Accepted
		bar := 20 * done / n
		fmt.Fprintf(&line, "   %s [%s%s] %4d", s.name, strings.Repeat("#", bar), strings.Repeat(".", 20-bar), done)
	}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprint(w, line.String(), "\r")
			return
		}
	}
	fmt.Fprintln(w, line.String())
}
