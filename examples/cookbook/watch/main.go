// Watch says of a message what happened to it, in three ways.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

const letter = `From: me@example.com
To: you@example.net, nobody@example.net
Subject: Hello

Hello.
`

var server = &smtpretry.Dialer{Addr: "smtp.example.com:587"}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	client, err := smtpretry.New(smtpretry.Config{
		Dialer:  server,
		Limiter: limiter,
		// Records for a log: one for each attempt, one at the end.
		Logger: slog.New(slog.NewJSONHandler(w, nil)),
		// Functions of yours, for counters and alarms.
		Trace: &smtpretry.Trace{
			Attempted: func(a smtpretry.Attempt) {
				v := a.Verdict
				switch v.Cause {
				case smtpretry.CauseReputation, smtpretry.CauseSenderPolicy, smtpretry.CauseAuth, smtpretry.CauseTLS:
					fmt.Fprintf(w, "alarm: waiting does not cure %v: %s\n", v.Cause, v.Advice())
				}
				if !a.Next.IsZero() {
					fmt.Fprintf(w, "attempt %d: %v, again in %v\n", a.Number, v.Cause, time.Until(a.Next).Round(time.Second))
				}
			},
			Waiting: func(wait smtpretry.Wait) {
				fmt.Fprintf(w, "waiting for: %s\n", wait.For)
				// Which limits the host has, where they come from, which binds.
				fmt.Fprint(w, limiter.Explain(wait.Host))
			},
		},
	})
	if err != nil {
		return err
	}
	defer client.Quit()

	res, err := client.Send(ctx, &smtpretry.Message{
		From: "me@example.com",
		To:   []string{"you@example.net", "nobody@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(letter)), nil },
	})
	// The account: one line for each recipient, and every attempt.
	if res != nil {
		for _, r := range res.Recipients {
			fmt.Fprintf(w, "%s: %v: %v\n", r.Address, r.State, r.Verdict)
		}
		for _, a := range res.Attempts {
			fmt.Fprintf(w, "%s %s came to %v: %v\n", a.Start.UTC().Format(time.DateTime), a.Addr, a.Stage, a.Err)
		}
	}
	// What the provider's support wants to know: the exact words.
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		fmt.Fprintf(w, "the server said: %d %v %s\n", reply.Code, reply.EnhancedCode, reply.Message)
	}
	if errors.Is(err, smtpretry.ErrPartial) {
		return nil // delivered where it could be
	}
	return err
}
