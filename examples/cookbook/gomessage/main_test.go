package main

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-message/mail"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestGoMessage: the message arrives over implicit TLS and reads as it was written.
func TestGoMessage(t *testing.T) {
	t.Setenv("SMTP_USER", "me")
	t.Setenv("SMTP_PASSWORD", "secret")
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{
			Name: "smtp.example.com", TLS: testserver.ImplicitTLS, RequireAuth: true,
			Users: map[string]string{"me": "secret"},
		})
		if err := run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := srv.Messages()
		if len(got) != 1 || !got[0].TLS {
			t.Fatalf("the server holds %+v", got)
		}
		r, err := mail.CreateReader(bytes.NewReader(got[0].Body))
		if err != nil {
			t.Fatal(err)
		}
		if subject, err := r.Header.Subject(); err != nil || subject != "Grüße" {
			t.Errorf("the subject is %q, %v", subject, err)
		}
		if id, err := r.Header.MessageID(); err != nil || id == "" {
			t.Errorf("the message id is %q, %v", id, err)
		}
	})
}
