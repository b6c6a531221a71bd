package main

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestGoMail: the message arrives as go-mail wrote it, at the second try, and the
// blind copy is in the envelope only.
func TestGoMail(t *testing.T) {
	t.Setenv("SMTP_USER", "shop")
	t.Setenv("SMTP_PASSWORD", "secret")
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{
			Name: "smtp.example.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
			Users: map[string]string{"shop": "secret"},
			Script: testserver.Script{
				testserver.On(testserver.Dot, testserver.Reply("451 4.3.0 Error: queue file write error")),
			},
		})
		if err := run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := srv.Messages()
		if len(got) != 1 || !got[0].TLS || got[0].From != "shop@example.com" {
			t.Fatalf("the server holds %+v", got)
		}
		if to := got[0].Addrs(); !slices.Equal(to, []string{"you@example.net", "archive@example.com"}) {
			t.Errorf("sent to %v", to)
		}
		if b := got[0].Body; !bytes.Contains(b, []byte("order.csv")) || bytes.Contains(b, []byte("archive@")) {
			t.Errorf("the message is\n%s", b)
		}
	})
}
