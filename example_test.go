package smtpretry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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

// SendMailTLS encrypts from the first octet, and talks to nobody whose
// certificate does not prove the name.
func ExampleSendMailTLS() {
	srv, err := testserver.Listen(testserver.Config{TLS: testserver.ImplicitTLS, Cert: testserver.WrongNameCert}, "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	err = smtpretry.SendMailTLS(srv.Addr(), nil, "me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	var untrusted *tls.CertificateVerificationError
	fmt.Println(errors.Is(err, smtpretry.ErrRefused), errors.As(err, &untrusted), len(srv.Messages()))
	// Output: true true 0
}

// A server that is reached by LMTP on a connection that needs no encryption.
func ExampleDialer() {
	network := memnet.New()
	l, err := network.Listen("mail.example.org:24")
	if err != nil {
		panic(err)
	}
	srv := testserver.New(testserver.Config{LMTP: true})
	go srv.Serve(l)
	defer srv.Close()

	client, err := smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{
		Addr:      "mail.example.org:24",
		LMTP:      true,
		TLS:       smtpretry.TLSNone,
		LocalName: "app.example.org",
		NetDial:   network.DialContext, // for the example; left out, it is a net.Dialer's
	}})
	if err != nil {
		panic(err)
	}
	defer client.Quit()
	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println("error:", err)
	// Output: error: <nil>
}

// The commands of go-smtp's client go to one connection. They keep to the limits
// and are never repeated.
func ExampleClient_Mail() {
	dialer, stop := exampleServer()
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	if err := client.Mail("me@example.org", nil); err != nil {
		panic(err)
	}
	if err := client.Rcpt("you@example.net", nil); err != nil {
		panic(err)
	}
	w, err := client.Data()
	if err != nil {
		panic(err)
	}
	if _, err := io.WriteString(w, greeting); err != nil {
		panic(err)
	}
	fmt.Println("error:", w.Close())
	// Output: error: <nil>
}

// Faulty messages can be refused before they are stored.
func ExampleMessage_Validate() {
	m := &smtpretry.Message{
		From: "me@example.org",
		To:   []string{"you@example.net", "not an address"},
		Body: func() (io.ReadCloser, error) { return os.Open("letter.eml") },
	}
	var faulty *smtpretry.FieldError
	if errors.As(m.Validate(), &faulty) {
		fmt.Println(faulty.Field)
	}
	// Output: Message.To[1]
}

// The account of a message: who has it, and who is to be asked again.
func ExampleResult() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@"),
		testserver.On(testserver.Rcpt, testserver.Reply("452 4.2.2 Mailbox full")).To("full@"),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Policy: smtpretry.Policy{MaxAttempts: 1}})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	result, _ := client.Send(context.Background(), &smtpretry.Message{
		From: "me@example.org",
		To:   []string{"you@example.net", "nobody@example.net", "full@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
	})
	fmt.Println(result)
	again := slices.DeleteFunc(result.Recipients, func(r smtpretry.Recipient) bool { return r.State != smtpretry.Deferred })
	for _, r := range again {
		fmt.Println("again:", r.Address, "-", r.Verdict.Cause)
	}
	// Output:
	// 1 accepted, 1 deferred, 1 rejected
	// again: full@example.net - mailbox-full
}
