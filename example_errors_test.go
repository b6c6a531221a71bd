package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// The error says why it stopped, and holds the server's reply.
func ExampleSendError() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Mail, testserver.Reply("550 5.7.1 Sender blocked")),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))

	var failed *smtpretry.SendError
	if errors.As(err, &failed) {
		fmt.Println("outcome: ", failed.Result)
	}
	fmt.Println("rejected:", errors.Is(err, smtpretry.ErrRejected))
	fmt.Println("in doubt:", errors.Is(err, smtpretry.ErrInDoubt))
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		fmt.Println("reply:   ", reply.Code, reply.Message)
	}
	// Output:
	// outcome:  1 rejected
	// rejected: true
	// in doubt: false
	// reply:    550 Sender blocked
}

// What a program does about each error.
func Example_errors() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@"),
		testserver.On(testserver.Rcpt, testserver.Reply("452 4.2.2 Mailbox full")).To("full@"),
		testserver.On(testserver.Dot, testserver.Close()),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Policy: smtpretry.Policy{MaxAttempts: 1}})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	for _, to := range []string{"nobody@example.net", "full@example.net", "<you@example.net>", "you@example.net"} {
		_, err := client.Send(context.Background(), &smtpretry.Message{
			From: "me@example.org",
			To:   []string{to},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
		})
		var faulty *smtpretry.FieldError
		switch {
		case errors.As(err, &faulty):
			fmt.Println("correct", faulty.Field)
		case errors.Is(err, smtpretry.ErrInDoubt):
			fmt.Println("ask whether it arrived before sending again")
		case errors.Is(err, smtpretry.ErrRejected):
			fmt.Println("take the address off the list")
		case errors.Is(err, smtpretry.ErrRefused):
			fmt.Println("see to the account, then send again")
		case errors.Is(err, smtpretry.ErrExhausted):
			fmt.Println("send again later")
		}
	}
	// Output:
	// take the address off the list
	// send again later
	// correct Message.To[0]
	// ask whether it arrived before sending again
}

// Try does not wait for a limit: the error says which it is, and until when.
func ExampleLimitError() {
	dialer, stop := exampleServer()
	defer stop()
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("mail.example.org", smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 1, Per: time.Hour}}}); err != nil {
		panic(err)
	}
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Limiter: limiter})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	for range 2 {
		_, err = client.Try(context.Background(), &smtpretry.Message{
			From: "me@example.org",
			To:   []string{"you@example.net"},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
		})
	}
	var limited *smtpretry.LimitError
	if errors.As(err, &limited) {
		fmt.Println(limited.Host, limited.For, time.Until(limited.Until).Round(time.Minute))
	}
	// Output: mail.example.org quota 1h0m0s
}

// A context that ends while a message waits: the error says what it waited for.
func ExampleWaitError() {
	dialer, stop := exampleServer()
	defer stop()
	limiter := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 1, Quotas: []smtpretry.Quota{{N: 1, Per: time.Hour}}})
	ctx, cancel := context.WithCancel(context.Background())
	client, err := smtpretry.New(smtpretry.Config{
		Dialer:  dialer,
		Limiter: limiter,
		Policy:  smtpretry.Policy{MaxElapsed: 24 * time.Hour},
		Trace:   &smtpretry.Trace{Waiting: func(smtpretry.Wait) { cancel() }}, // somebody loses patience
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	for range 2 {
		_, err = client.Send(ctx, &smtpretry.Message{
			From: "me@example.org",
			To:   []string{"you@example.net"},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
		})
	}
	var ended *smtpretry.WaitError
	if errors.As(err, &ended) {
		fmt.Println(ended.Host, ended.For, errors.Is(err, context.Canceled))
	}
	// Output: mail.example.org quota true
}
