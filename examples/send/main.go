// Send sends a message from a file, or from standard input, through any mail
// server, and keeps trying while the server asks it to.
//
//	SMTP_URL=smtp://me@mail.example.org SMTP_PASSWORD=… go run ./examples/send -to you@example.net letter.eml
//
// See -help for the flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/show"
)

// The exit codes; the last two are those of sysexits.h.
const (
	exitOK        = 0  // every recipient was accepted
	exitFailed    = 1  // some were refused, are in doubt or were not reached in time
	exitUsage     = 64 // the command line or the message is faulty; nothing was sent
	exitTemporary = 75 // nobody has the message yet, and running this again later may work
)

const usage = `Usage: send [flags] [message.eml]

Sends the message in the file, or on standard input, and keeps trying while
the server says to come back later.

The server is given by -server or the environment's SMTP_URL:

  smtp://user:password@host:587           STARTTLS, except to this machine
  smtp+starttls://user:password@host:587  STARTTLS
  smtps://user:password@host:465          TLS from the start
  smtp+plain://host:25                    no encryption, and a password only to this machine

The ports above are the defaults; a plain host:port means smtp://. Special
characters in the user name and password must be percent-encoded. The password
is better given in the environment's SMTP_PASSWORD.

Exit status: 0 all recipients were accepted, 75 nobody has the message yet and
running this again may work, 64 nothing was sent because the command line or
the message is faulty, 1 anything else.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, out, errs io.Writer) int {
	flags := flag.NewFlagSet("send", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		fmt.Fprint(errs, usage)
		flags.PrintDefaults()
	}
	server := flags.String("server", getenv("SMTP_URL"), "the server, as a `URL`; default $SMTP_URL")
	from := flags.String("from", "", "envelope sender, <> for none; default the From field's `address`")
	var to []string
	flags.Func("to", "recipient's `address`, may be repeated; default the To and Cc fields'", func(s string) error {
		to = append(to, s)
		return nil
	})
	login := flags.String("auth", "plain", "log in by this `method`, plain or login, if the URL names a user")
	ca := flags.String("ca", "", "trust the certificates in this PEM `file` besides the system's")
	most := flags.Duration("for", 15*time.Minute, "give up after this `time`")
	flags.Lookup("server").DefValue = "" // it may hold a password

	wrong := func(err error) int {
		fmt.Fprintln(errs, "send:", err)
		return exitUsage
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // has been said
	case flags.NArg() > 1:
		return wrong(errors.New("more than one message"))
	case *most <= 0:
		return wrong(errors.New("-for must be longer than 0"))
	}

	cfg, err := configOf(*server, getenv("SMTP_PASSWORD"), *login, *ca)
	if err != nil {
		return wrong(err)
	}
	mail, err := readMail(flags.Arg(0), stdin)
	if err != nil {
		return wrong(err)
	}
	m, err := envelope(mail, *from, to)
	if err != nil {
		return wrong(err)
	}
	cfg.Policy.MaxElapsed = *most
	cfg.Trace = show.Trace(out)
	client, err := smtpretry.New(cfg)
	if err != nil {
		return wrong(err)
	}
	result, err := client.Send(ctx, m)
	_ = client.Quit() // a failure changes nothing for the message
	if result == nil {
		return wrong(err)
	}
	fmt.Fprintln(out)
	for _, r := range result.Recipients {
		fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("%-8s  %s  %s", r.State, r.Address, r.Verdict.Advice())))
	}
	if err != nil {
		fmt.Fprintln(errs, "send:", err)
	}
	return exitCode(result, err)
}

func readMail(name string, stdin io.Reader) ([]byte, error) {
	if name == "" || name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// exitCode says whether it is safe, and of use, to run the command again.
func exitCode(r *smtpretry.Result, err error) int {
	if err == nil {
		return exitOK
	}
	untouched := !slices.ContainsFunc(r.Recipients, func(rc smtpretry.Recipient) bool {
		return rc.State != smtpretry.Deferred
	})
	var faulty *smtpretry.FieldError // of the body, that only the sending has shown
	if untouched && !errors.As(err, &faulty) && !errors.Is(err, smtpretry.ErrRefused) {
		return exitTemporary
	}
	return exitFailed
}
