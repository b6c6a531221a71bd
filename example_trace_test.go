package smtpretry_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A Trace is told of each attempt as it ends.
func ExampleTrace() {
	dialer, stop := exampleServer(putOff(1))
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}},
		Trace: &smtpretry.Trace{
			Attempted: func(a smtpretry.Attempt) {
				fmt.Println("attempt", a.Number, "came to", a.Stage, "-", a.Verdict)
			},
		},
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()
	if err := client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting)); err != nil {
		panic(err)
	}
	// Output:
	// attempt 1 came to rcpt - 450 4.2.1 Mailbox temporarily unavailable [temporary bad-recipient at rcpt, about the recipient]
	// attempt 2 came to dot - success
}

// A requestKey is under which a program keeps the number of a request.
type requestKey struct{}

// sendFor sends a message for request 7, with a first try that is put off.
func sendFor(trace *smtpretry.Trace) {
	dialer, stop := exampleServer(putOff(1))
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}},
		Trace:  trace,
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()
	ctx := context.WithValue(context.Background(), requestKey{}, 7)
	_, err = client.Send(ctx, &smtpretry.Message{
		From: "me@example.org",
		To:   []string{"you@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
	})
	if err != nil {
		panic(err)
	}
}

// A wait is told when it begins, with what is waited for.
func ExampleWait() {
	sendFor(&smtpretry.Trace{Waiting: func(w smtpretry.Wait) { fmt.Println(w.Host, "waits for:", w.For) }})
	// Output: mail.example.org waits for: retry
}

// Each call ends with one Finish, which has the whole account.
func ExampleFinish() {
	sendFor(&smtpretry.Trace{Finished: func(f smtpretry.Finish) {
		fmt.Println(f.Host, f.Result, "after", len(f.Result.Attempts), "attempts, error:", f.Err)
	}})
	// Output: mail.example.org 1 accepted after 2 attempts, error: <nil>
}

// What was in the context of the call can be had wherever it is told of.
func ExampleFinish_Context() {
	sendFor(&smtpretry.Trace{Finished: func(f smtpretry.Finish) {
		fmt.Println("request", f.Context().Value(requestKey{}), "took less than a minute:", f.End.Sub(f.Start) < time.Minute)
	}})
	// Output: request 7 took less than a minute: true
}

// Began can put more into the context, such as a span.
func ExampleAttempt_Context() {
	type spanKey struct{}
	sendFor(&smtpretry.Trace{
		Began: func(ctx context.Context, m *smtpretry.Message) context.Context {
			return context.WithValue(ctx, spanKey{}, "mail to "+m.To[0])
		},
		Attempted: func(a smtpretry.Attempt) {
			fmt.Println(a.Context().Value(spanKey{}), "- attempt", a.Number, a.Stage)
		},
	})
	// Output:
	// mail to you@example.net - attempt 1 rcpt
	// mail to you@example.net - attempt 2 dot
}

func ExampleWait_Context() {
	sendFor(&smtpretry.Trace{Waited: func(w smtpretry.Wait) {
		fmt.Println("request", w.Context().Value(requestKey{}), "has waited for:", w.For)
	}})
	// Output: request 7 has waited for: retry
}

// Metrics and a status page each have a Trace; a Client takes one.
func ExampleJoinTraces() {
	metrics := &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) { fmt.Println("counted:", a.Host) }}
	page := &smtpretry.Trace{
		Began:     func(ctx context.Context, _ *smtpretry.Message) context.Context { fmt.Println("shown"); return ctx },
		Attempted: func(a smtpretry.Attempt) { fmt.Println("shown:", a.Host) },
	}
	t := smtpretry.JoinTraces(metrics, nil, page)

	// What a Client does with it:
	t.Began(context.Background(), &smtpretry.Message{})
	t.Attempted(smtpretry.Attempt{Host: "mail.example.net"})
	fmt.Println("somebody listens to waits:", t.Waiting != nil)
	// Output:
	// shown
	// counted: mail.example.net
	// shown: mail.example.net
	// somebody listens to waits: false
}
