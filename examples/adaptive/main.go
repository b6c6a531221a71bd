// Adaptive sends, for 45 seconds, to a server whose limits nobody was told and
// which halves them on the way: once by a loop that retries each message by
// itself, once at the rate that the limit has at first, and once with smtpretry,
// which has to find out. It prints what smtpretry learned, and draws all three.
//
//	go run ./examples/adaptive              # 45 seconds
//	go run ./examples/adaptive -for 2m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/load"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func main() {
	d := flag.Duration("for", 45*time.Second, "send for this `long`")
	file := flag.String("svg", filepath.Join(os.TempDir(), "adaptive.svg"), "write the plot to this `file`")
	flag.Parse()
	if *d < time.Second || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64) // EX_USAGE
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := compare(ctx, os.Stdout, *d, *file)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// compare runs all three at the same time over TCP on this machine.
func compare(ctx context.Context, w io.Writer, d time.Duration, file string) error {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	sides, err := threeSides(limiter, func(cfg testserver.Config) (*testserver.Server, error) {
		return testserver.Listen(cfg, "127.0.0.1:0")
	})
	for _, s := range sides {
		defer s.srv.Close()
	}
	if err != nil {
		return err
	}
	if err := run(ctx, w, d, sides, limiter); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := errors.Join(plot(f, d, sides), f.Close()); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nplot:", file)
	return nil
}

// run lets all sides send for d, or until ctx ends, and changes the limits
// meanwhile.
func run(ctx context.Context, w io.Writer, d time.Duration, sides []*side, limiter *smtpretry.Limiter) error {
	sending, stop := context.WithCancel(ctx) // no deadline: a wait beyond it would fail at once
	start := time.Now()
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, s := range sides {
		s.start = start
		running.Go(func() { load.Deliver(sending, math.MaxInt, s.send) })
	}
	for _, at := range moments {
		select {
		case <-time.After(time.Until(start.Add(at.after(d)))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if at.allowed > 0 {
			for _, s := range sides {
				s.srv.SetLimits(limits(at.allowed))
			}
		}
		fmt.Fprintf(w, "%.0f s: %s\n", time.Since(start).Seconds(), at.what)
		if at.look {
			look(w, sides, limiter)
		}
	}
	stop()
	running.Wait()
	for _, s := range sides {
		s.closeAll()
	}

	fmt.Fprintf(w, "\n%-22s %9s %15s %9s %11s %9s\n", "", "delivered", "of the allowed", "refusals", "violations", "shut out")
	for _, s := range sides {
		st := s.srv.Stats()
		fmt.Fprintf(w, "%-22s %9d %13.1f %% %9d %11d %8dx\n",
			s.name, st.Accepted, 100*s.used(d), s.refusals(), st.Violations, st.Boxes)
	}
	return nil
}

// look prints how far all are, and what smtpretry makes of its server.
func look(w io.Writer, sides []*side, limiter *smtpretry.Limiter) {
	var far []string
	for _, s := range sides {
		far = append(far, fmt.Sprintf("%s %d", s.name, s.srv.Stats().Accepted))
	}
	fmt.Fprintf(w, "    delivered: %s\n", strings.Join(far, ", "))
	for line := range strings.Lines(limiter.Explain(load.Host).String()) {
		fmt.Fprint(w, "    ", line)
	}
}
