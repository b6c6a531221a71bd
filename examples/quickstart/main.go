// Quickstart sends a real message to a server that is not ready for it: the
// server first says 421, then asks for a wait (greylisting, 450), then accepts.
//
//	go run ./examples/quickstart
package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/show"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

//go:embed welcome.eml
var mail []byte

func main() {
	srv, err := testserver.Listen(unready(), "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("A message to a server that is busy at first. This takes about 15 seconds.")
	err = run(context.Background(), os.Stdout, &smtpretry.Dialer{Addr: srv.Addr()})
	srv.Close()
	if err != nil {
		log.Fatal(err)
	}
}

// run is all there is to sending with retries.
func run(ctx context.Context, w io.Writer, server *smtpretry.Dialer) error {
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Policy: smtpretry.Policy{
			MaxElapsed: time.Minute,                                 // give up after that
			Backoff:    smtpretry.Backoff{Initial: 2 * time.Second}, // then 4 s, 8 s, …
		},
		Trace: show.Trace(w), // prints a line for each attempt
	})
	if err != nil {
		return err
	}
	defer client.Close()

	result, err := client.Send(ctx, &smtpretry.Message{
		From: "news@library.example.org",
		To:   []string{"ada@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(mail)), nil },
		Size: int64(len(mail)),
	})
	if err != nil {
		return err
	}
	show.Timeline(w, result)
	return nil
}

// unready is the server's part.
func unready() testserver.Config {
	return testserver.Config{
		Script: testserver.Script{
			testserver.On(testserver.Greeting, testserver.Reply("421 4.3.2 Service busy, try again later").ThenClose()),
		},
		Limits: testserver.Limits{Greylist: 10 * time.Second}, // 450: try again in 10 seconds
	}
}
