package smtpretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/memnet"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const greeting = "Subject: hello\r\n\r\nHello there.\r\n"

// exampleServer starts a server for an example, on a network in memory where
// it is mail.example.org. A program would write
// &smtpretry.Dialer{Addr: "mail.example.org:587"} instead.
func exampleServer(script ...testserver.Rule) (dialer *smtpretry.Dialer, stop func() error) {
	network := memnet.New()
	l, err := network.Listen("mail.example.org:587")
	if err != nil {
		panic(err)
	}
	srv := testserver.New(testserver.Config{Script: script})
	go srv.Serve(l)
	dialer = &smtpretry.Dialer{Addr: "mail.example.org:587", TLS: smtpretry.TLSNone, NetDial: network.DialContext}
	return dialer, srv.Close
}

// putOff is a server that refuses the first n attempts for a moment.
func putOff(n int) testserver.Rule {
	return testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Mailbox temporarily unavailable")).Times(n)
}

// A client that connects by itself and tries again when the server says so.
func Example() {
	dialer, stop := exampleServer(putOff(2))
	defer stop()

	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}}, // the default is 5 s
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	result, err := client.Send(context.Background(), &smtpretry.Message{
		From: "me@example.org",
		To:   []string{"you@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
	})
	fmt.Println(result, "after", len(result.Attempts), "attempts, error:", err)
	// Output: 1 accepted after 3 attempts, error: <nil>
}

// A program that has an *smtp.Client keeps its code and wraps the client.
// With a Dialer, or a Dial function, it can also connect again.
func ExampleWrap() {
	dialer, stop := exampleServer(putOff(1))
	defer stop()
	conn, err := dialer.NetDial(context.Background(), "tcp", "mail.example.org:587")
	if err != nil {
		panic(err)
	}

	existing := smtp.NewClient(conn)
	client, err := smtpretry.Wrap(existing, smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}},
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println("error:", err)
	// Output: error: <nil>
}

// Auth is asked for every new connection, so it may return what is valid now.
func ExampleNew() {
	dialer, stop := exampleServer()
	defer stop()

	client, err := smtpretry.New(smtpretry.Config{
		Dialer: &smtpretry.Dialer{
			Addr:      "mail.example.org:587",
			TLS:       smtpretry.TLSNone, // for the example; leave it out, and the connection is encrypted
			LocalName: "host.example.org",
			NetDial:   dialer.NetDial,
		},
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", "me", "secret"), nil
		},
		MaxConns: 5,
	})
	fmt.Println(client != nil, err)

	_, err = smtpretry.New(smtpretry.Config{})
	fmt.Println(err)
	// Output:
	// true <nil>
	// smtpretry: Config.Dialer: is nil, and so is Dial: there is no way to connect
}

// Each recipient has an outcome of its own: those that are accepted are
// delivered, whatever becomes of the others.
func ExampleClient_Send() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@").Always(),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	result, err := client.Send(context.Background(), &smtpretry.Message{
		From: "me@example.org",
		To:   []string{"you@example.net", "nobody@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
	})
	for _, r := range result.Recipients {
		fmt.Println(r.Address, r.State)
	}
	fmt.Println(errors.Is(err, smtpretry.ErrPartial), errors.Is(err, smtpretry.ErrRejected))
	// Output:
	// you@example.net accepted
	// nobody@example.net rejected
	// true true
}

// A program with a queue of its own makes one attempt at a time and learns
// from the verdict when the next is due.
func ExampleClient_Try() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted, try again in 300 seconds")),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	result, err := client.Try(context.Background(), &smtpretry.Message{
		From: "me@example.org",
		To:   []string{"you@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
	})
	if err != nil {
		v := result.Recipients[0].Verdict
		fmt.Println(result, "because of", v.Cause, "- not before", v.RetryAfter)
	}
	// Output: 1 deferred because of greylist - not before 5m0s
}

// SendMail has the signature of go-smtp's, and tries again.
func ExampleClient_SendMail() {
	dialer, stop := exampleServer(putOff(1))
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}},
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println("error:", err)
	// Output: error: <nil>
}

// For a single message; it connects, sends and disconnects.
func ExampleSendMail() {
	srv, err := testserver.Listen(testserver.Config{}, "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	err = smtpretry.SendMail(srv.Addr(), nil, "me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println("error:", err)
	// Output: error: <nil>
}

// Classify tells what an error of go-smtp's client means, without sending
// anything.
func ExampleClassify() {
	err := &smtp.SMTPError{
		Code:         421,
		EnhancedCode: smtp.EnhancedCode{4, 7, 0},
		Message:      "Too many connections, try again in 5 minutes",
	}
	v := smtpretry.Classify(err, smtpretry.StageGreeting)
	fmt.Println("class:", v.Class)
	fmt.Println("cause:", v.Cause)
	fmt.Println("scope:", v.Scope)
	fmt.Println("wait: ", v.RetryAfter)
	// Output:
	// class: temporary
	// cause: connection-limit
	// scope: connection
	// wait:  5m0s
}

func ExampleVerdict_Advice() {
	err := &smtp.SMTPError{
		Code:         450,
		EnhancedCode: smtp.EnhancedCode{4, 2, 0},
		Message:      "Greylisted, please come back later",
	}
	fmt.Println(smtpretry.Classify(err, smtpretry.StageRcpt).Advice())
	// Output: Greylisting: a first contact is put off on purpose. Try again from the same IP address with the same sender and recipient after some minutes; changing any of them starts the wait anew.
}

func ExampleVerdict_Source() {
	err := &smtp.SMTPError{
		Code:         450,
		EnhancedCode: smtp.EnhancedCode{4, 2, 0},
		Message:      "Greylisted, please come back later",
	}
	v := smtpretry.Classify(err, smtpretry.StageRcpt)
	fmt.Println(v.Rule, "by", v.Source())
	// Output: greylist by RFC 6647
}

// When a message is tried again that is greylisted for ten minutes each time.
func ExamplePolicy_Tries() {
	v := smtpretry.Classify(&smtp.SMTPError{Code: 450, Message: "Greylisted, try again in 10 minutes"}, smtpretry.StageRcpt)
	for at := range (smtpretry.Policy{MaxElapsed: time.Hour}).Tries(v) {
		fmt.Print(at, " ")
	}
	// Output: 0s 10m0s 20m0s 30m0s 40m0s 50m0s 1h0m0s
}

// The waits of the default policy, each of which is spread by ±50 %.
func ExampleBackoff_Delay() {
	var b smtpretry.Backoff
	for n := 1; n <= 8; n++ {
		fmt.Println(n, b.Delay(n))
	}
	// Output:
	// 1 5s
	// 2 10s
	// 3 20s
	// 4 40s
	// 5 1m20s
	// 6 2m40s
	// 7 5m0s
	// 8 5m0s
}

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

// At most four attempts within a minute.
func ExamplePolicy() {
	dialer, stop := exampleServer(putOff(100))
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{
			MaxAttempts: 4,
			MaxElapsed:  time.Minute,
			Backoff:     smtpretry.Backoff{Initial: time.Millisecond, Multiplier: 1.5},
		},
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println(errors.Is(err, smtpretry.ErrExhausted))
	fmt.Println(err)
	// Output:
	// true
	// smtpretry: mail.example.org: attempts exhausted (1 deferred): 450 4.2.1 Mailbox temporarily unavailable [temporary bad-recipient at rcpt, about the recipient]
}

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

// A rule for what one server of one's own means by its words.
func ExampleRule() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Dot, testserver.Reply("554 5.7.1 Order 66 is in effect")),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{
			MaxAttempts: 1,
			Rules: []smtpretry.Rule{{
				Name:       "order-66",
				Codes:      []int{554},
				Text:       []string{"order 66"},
				Class:      smtpretry.Temporary, // it passes, whatever the code says
				Cause:      smtpretry.CauseOverload,
				RetryAfter: time.Hour,
			}},
		},
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	var failed *smtpretry.SendError
	if errors.As(err, &failed) {
		v := failed.Result.Recipients[0].Verdict
		fmt.Println(v.Rule, v.Class, v.Cause, v.RetryAfter)
	}
	// Output: order-66 temporary overload 1h0m0s
}

// One Limiter for all clients of a program keeps them to the limits together.
func ExampleNewLimiter() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 10}) // for hosts without a limit of their own
	err := limiter.SetLimit("mail.example.org", smtpretry.Limit{
		Rate:     smtpretry.PerSecond(14),
		Burst:    5,
		Quotas:   []smtpretry.Quota{{N: 50000, Per: 24 * time.Hour}},
		MaxConns: 5,
	})
	if err != nil {
		panic(err)
	}

	dialer, stop := exampleServer()
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Limiter: limiter, MaxConns: 5})
	if err != nil {
		panic(err)
	}
	defer client.Quit()
	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println("error:", err)
	// Output: error: <nil>
}

func ExampleLimiter_Explain() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 10})
	if err := limiter.SetLimit("mail.example.org", smtpretry.Limit{Rate: smtpretry.PerMinute(100), Burst: 5}); err != nil {
		panic(err)
	}
	fmt.Print(limiter.Explain("mail.example.org"))
	fmt.Print(limiter.Explain("mail.example.net"))
	// Output:
	// mail.example.org: a message may start now.
	// Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 5.0.
	// Rate 100/min: set by SetLimit.
	// Burst 5: set by SetLimit.
	// mail.example.net: a message may start now.
	// Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 3.0.
	// Rate 2/s: learned (nothing was refused so far, and it climbs).
	// Burst 3: learned (nothing was refused so far, and it climbs).
	// MaxConns 10: the limiter's default.
}
