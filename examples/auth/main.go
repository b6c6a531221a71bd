// Auth sends over STARTTLS with a login whose password has been changed. The
// server is asked once with the old one, not once for each message, and
// sending goes on by itself as soon as the new one is there.
//
//	go run ./examples/auth
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/show"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func main() {
	srv, err := testserver.Listen(strict(), "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), os.Stdout, srv)
	srv.Close()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, srv *testserver.Server) error {
	password := "spring" // stands for a file, a secret store, a token's source

	client, err := smtpretry.New(smtpretry.Config{
		Dialer: &smtpretry.Dialer{
			Addr:      srv.Addr(),
			TLS:       smtpretry.TLSStartTLS, // the default, except on loopback
			TLSConfig: srv.TLSConfig(),       // trusts the server's own certificate; nil for one that a known authority signed
			NetDial:   srv.Dial,              // only here: the test's server is in memory
		},
		// Auth is asked for each new connection, so it may answer
		// differently each time.
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", "newsletter", password), nil
		},
		Trace: show.Trace(w),
	})
	if err != nil {
		return err
	}
	defer client.Close()

	for n := 1; n <= 4; n++ {
		if n == 4 {
			password = "autumn"
			fmt.Fprintln(w, "  the password has been changed here too")
		}
		_, err := client.Send(ctx, letter(n))
		switch {
		case err == nil:
			fmt.Fprintf(w, "letter %d: sent\n", n)
		case errors.Is(err, smtpretry.ErrRefused):
			// Nothing is wrong with the letter: keep it and send it later.
			fmt.Fprintf(w, "letter %d: not sent, the account was refused\n", n)
		default:
			return err
		}
		fmt.Fprintf(w, "  the server has seen %d failed logins\n", srv.Stats().Refused[testserver.ByAuth])
	}
	return nil
}

func letter(n int) *smtpretry.Message {
	text := fmt.Sprintf("Subject: letter %d\r\n\r\nThis is letter %d.\r\n", n, n)
	return &smtpretry.Message{
		From: "newsletter@example.org",
		To:   []string{"you@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}
}

// strict is the server's part.
func strict() testserver.Config {
	return testserver.Config{
		TLS: testserver.StartTLS, RequireTLS: true,
		Users: map[string]string{"newsletter": "autumn"}, RequireAuth: true,
	}
}
