// Fleet sends through one account from three processes that share its limit of 20
// messages per second in PostgreSQL. The third joins when a third of the time has
// passed, the first is killed after two. It prints and draws who sent how much.
//
//	go run ./examples/fleet          # 20 seconds, with a PostgreSQL of its own
//	DATABASE_URL=postgres://... go run ./examples/fleet
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// perSecond is what the account may send.
const perSecond = 20

// processes is how many send.
const processes = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) == 5 && os.Args[1] == "work" { // started by start
		return work(ctx, os.Args[2], os.Args[3], os.Args[4])
	}
	d := flag.Duration("for", 20*time.Second, "send for this `long`")
	file := flag.String("svg", filepath.Join(os.TempDir(), "fleet.svg"), "write the plot to this `file`")
	flag.Parse()
	if *d < 3*time.Second || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64) // EX_USAGE
	}
	return fleet(ctx, os.Stdout, *d, *file)
}

// fleet runs the processes and tells what their server saw.
func fleet(ctx context.Context, w io.Writer, d time.Duration, file string) error {
	database, stop, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer stop()
	srv, err := testserver.Listen(testserver.Config{Bodies: testserver.KeepSize}, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer srv.Close()
	fmt.Fprintf(w, "%d processes, one limit of %s on PostgreSQL, for %v\n", processes, smtpretry.PerSecond(perSecond), d)

	begin := time.Now()
	running := make([]*exec.Cmd, 0, processes)
	defer func() {
		for _, p := range running {
			err = errors.Join(err, end(p))
		}
	}()
	for i, at := range []time.Duration{0, 0, d / 3} {
		if !pause(ctx, begin.Add(at)) {
			return ctx.Err()
		}
		p, err := start(database, srv.Addr(), name(i))
		if err != nil {
			return err
		}
		running = append(running, p)
		fmt.Fprintf(w, "%4.1f s: process %s begins\n", time.Since(begin).Seconds(), name(i))
	}
	if !pause(ctx, begin.Add(2*d/3)) {
		return ctx.Err()
	}
	if err := end(running[0]); err != nil {
		return err
	}
	running = running[1:]
	fmt.Fprintf(w, "%4.1f s: process %s is killed\n", time.Since(begin).Seconds(), name(0))
	if !pause(ctx, begin.Add(d)) {
		return ctx.Err()
	}
	return report(w, srv.Messages(), begin, d, file)
}

// pause waits until t; false if ctx ends before.
func pause(ctx context.Context, t time.Time) bool {
	select {
	case <-time.After(time.Until(t)):
		return true
	case <-ctx.Done():
		return false
	}
}

func name(i int) string { return string(rune('A' + i)) }

// start runs this program once more, as one of the fleet.
func start(database, server, name string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := exec.Command(self, "work", database, server, name)
	p.Stderr = os.Stderr
	return p, p.Start()
}

// end kills a process, as the machine might, and waits for it.
func end(p *exec.Cmd) error {
	if err := p.Process.Kill(); err != nil {
		return err
	}
	_ = p.Wait() // killed
	return nil
}

// openDatabase finds a PostgreSQL, or starts one that ends with this program.
func openDatabase(ctx context.Context) (url string, stop func(), err error) {
	if url := os.Getenv("DATABASE_URL"); url != "" {
		return url, func() {}, nil
	}
	url, closeIt, err := startPostgres(func(url string) error {
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	if err != nil {
		return "", nil, fmt.Errorf("no PostgreSQL could be started here, and DATABASE_URL is not set: %w", err)
	}
	return url, func() {
		if err := closeIt(); err != nil {
			log.Print(err)
		}
	}, nil
}
