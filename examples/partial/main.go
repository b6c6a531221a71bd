// Partial sends one message to four recipients: two are good, one does not
// exist and one is greylisted. Each gets an outcome of its own.
//
//	go run ./examples/partial
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/show"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const minutes = "Subject: minutes of the meeting\r\n\r\nAll were there.\r\n"

func main() {
	srv, err := testserver.Listen(mixed(), "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("A message to four recipients. This takes 10 seconds.")
	err = run(context.Background(), os.Stdout, &smtpretry.Dialer{Addr: srv.Addr()})
	srv.Close()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, server *smtpretry.Dialer) error {
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Policy: smtpretry.Policy{MaxElapsed: time.Minute},
		Trace:  show.Trace(w),
	})
	if err != nil {
		return err
	}
	defer client.Close()

	result, err := client.Send(ctx, &smtpretry.Message{
		From: "chair@example.org",
		To:   []string{"ann@example.net", "nobody@example.net", "new@example.net", "bob@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(minutes)), nil },
	})
	if result == nil {
		return err // the message itself was faulty, nothing was sent
	}

	// The Result is there beside an error too, with an entry for each
	// recipient in the order of Message.To.
	fmt.Fprintf(w, "\n%-20s %-10s %s\n", "recipient", "outcome", "what to do")
	for _, r := range result.Recipients {
		todo := r.Verdict.Advice()
		if r.State == smtpretry.Accepted {
			todo = "nothing"
		}
		fmt.Fprintf(w, "%-20s %-10s %s\n", r.Address, r.State, todo)
	}

	// The error says why Send stopped; more than one reason can be true.
	fmt.Fprintln(w)
	if errors.Is(err, smtpretry.ErrPartial) {
		fmt.Fprintln(w, "ErrPartial:   some recipients have the message, so do not send it to all again")
	}
	if errors.Is(err, smtpretry.ErrRejected) {
		fmt.Fprintln(w, "ErrRejected:  some were refused for good, so take them off the list")
	}
	if errors.Is(err, smtpretry.ErrExhausted) {
		fmt.Fprintln(w, "ErrExhausted: some are still deferred, so send to those again later")
	}

	// It also holds the reply that decided last, as go-smtp returns it.
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		fmt.Fprintln(w, "last refusal:", reply.Code, reply.Message)
	}
	return nil
}

// mixed is the server's part.
func mixed() testserver.Config {
	refuse := func(to, reply string) testserver.Rule {
		return testserver.On(testserver.Rcpt, testserver.Reply(reply)).To(to)
	}
	return testserver.Config{Script: testserver.Script{
		refuse("nobody@", "550 5.1.1 Recipient address rejected: User unknown").Always(),
		refuse("new@", "450 4.2.0 Recipient address rejected: Greylisted, try again in 10 seconds").For(10 * time.Second),
	}}
}
