// Command smtpretry-queue looks after a queue of mail while the program that
// delivers from it runs, or while it does not.
//
//	smtpretry-queue -db mail.db count
//	smtpretry-queue -db postgres://db.example/mail list -host mx.example.net
//	smtpretry-queue -db mail.db hold -for 2h -reason "they asked for it" mx.example.net
//
// Without -db it takes the environment variable SMTPRETRY_QUEUE, or "queue.db".
// With -json it prints JSON, one value for each line of output. It ends with 0
// when all went well, 1 after an error, 2 when it was called wrongly, and 3 when
// there was nothing that fits.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/smtpretry/smtpretry/queue"
)

// How the program ends.
const (
	exitOK = iota
	exitError
	exitUsage
	exitNothing
)

const usage = `usage: smtpretry-queue [-db FILE|URL] [-schema NAME] [-json] COMMAND

  count                    what waits, by destination and cause
  list [FILTER]            entries, the oldest first
  show ID…                 one entry with its history and next time
  body ID                  the message of an entry
  retry FILTER|ID…         try waiting entries now
  drop FILTER|ID…          take entries out of the queue, stuck ones too
  hold [-for D] [-reason R] HOST…
                           keep what is for a destination back
  release HOST…            end a hold
  holds                    what is held

FILTER: -host H, -cause C (-: not refused so far), -from ADDRESS, -to PART,
        -state S,…, -after ID, -limit N, or -all for everything
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// A tool is one call of the program.
type tool struct {
	q    *queue.Queue
	out  printer
	errs io.Writer
}

// errUsage and errNothing lead to their exit codes.
var (
	errUsage   = errors.New("wrong usage")
	errNothing = errors.New("nothing fits")
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("smtpretry-queue", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	db := flags.String("db", cmp.Or(os.Getenv("SMTPRETRY_QUEUE"), "queue.db"), "")
	schema := flags.String("schema", "", "")
	asJSON := flags.Bool("json", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() == 0:
		flags.Usage()
		return exitUsage
	}
	command := commands[flags.Arg(0)]
	if command == nil {
		fmt.Fprintf(stderr, "smtpretry-queue: there is no command %q\n%s", flags.Arg(0), usage)
		return exitUsage
	}
	q, err := queue.Attach(ctx, queue.Config{Database: *db, Schema: *schema})
	if err == nil {
		defer q.Close()
		err = command(ctx, &tool{q: q, out: printer{stdout, *asJSON}, errs: stderr}, flags.Args()[1:])
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "smtpretry-queue: %v\n%s", err, usage)
		return exitUsage
	case errors.Is(err, errNothing), errors.Is(err, queue.ErrNotFound):
		fmt.Fprintln(stderr, "smtpretry-queue:", strings.TrimPrefix(err.Error(), "queue: "))
		return exitNothing
	}
	fmt.Fprintln(stderr, "smtpretry-queue:", strings.TrimPrefix(err.Error(), "queue: "))
	return exitError
}
