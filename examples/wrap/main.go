// Wrap shows a program that sends mail through go-smtp, before and after three
// of its lines were changed. The server, like many, takes only a few messages
// on one connection and is out of order for a moment.
//
//	go run ./examples/wrap
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry" // changed line 1
	"github.com/smtpretry/smtpretry/examples/internal/show"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// before is the program as it was. Any reply that is not a success ends it.
func before(w io.Writer, dial func(context.Context) (*smtp.Client, error)) error {
	c, err := dial(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 1; n <= 5; n++ {
		if err := c.SendMail("me@example.org", []string{"you@example.net"}, letter(n)); err != nil {
			return fmt.Errorf("letter %d: %w", n, err)
		}
		fmt.Fprintln(w, "sent letter", n)
	}
	return c.Quit()
}

// after is the same program, wrapped: Dial lets it connect again, and Trace,
// which prints a line for each attempt, could be left out.
func after(w io.Writer, dial func(context.Context) (*smtp.Client, error)) error {
	plain, err := dial(context.Background()) // changed line 2
	if err != nil {
		return err
	}
	c, err := smtpretry.Wrap(plain, smtpretry.Config{Host: "mx.example.test", Dial: dial, Trace: show.Trace(w)}) // changed line 3
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 1; n <= 5; n++ {
		if err := c.SendMail("me@example.org", []string{"you@example.net"}, letter(n)); err != nil {
			return fmt.Errorf("letter %d: %w", n, err)
		}
		fmt.Fprintln(w, "sent letter", n)
	}
	return c.Quit()
}

func letter(n int) io.Reader {
	return strings.NewReader(fmt.Sprintf("Subject: letter %d\r\n\r\nThis is letter %d.\r\n", n, n))
}

func main() {
	if err := compare(os.Stdout, testserver.Listen); err != nil {
		log.Fatal(err)
	}
}

// compare runs both, each against a server of its own.
func compare(w io.Writer, listen func(testserver.Config, string) (*testserver.Server, error)) error {
	for _, program := range []struct {
		name string
		run  func(io.Writer, func(context.Context) (*smtp.Client, error)) error
	}{{"before", before}, {"after", after}} {
		srv, err := listen(difficult(), "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n--- %s\n", program.name)
		err = program.run(w, func(ctx context.Context) (*smtp.Client, error) {
			conn, err := srv.Dial(ctx, "tcp", srv.Addr())
			if err != nil {
				return nil, err
			}
			return smtp.NewClient(conn), nil
		})
		srv.Close()
		if err != nil {
			fmt.Fprintln(w, "failed:", err)
		}
		fmt.Fprintf(w, "%d of 5 letters arrived\n", len(srv.Messages()))
	}
	return nil
}

// difficult is the server's part.
func difficult() testserver.Config {
	return testserver.Config{
		Limits: testserver.Limits{PerConn: 2}, // 421 to the third message on a connection
		Script: testserver.Script{
			testserver.On(testserver.Dot, testserver.Reply("451 4.3.0 Error: queue file write error")).Skip(3),
		},
	}
}
