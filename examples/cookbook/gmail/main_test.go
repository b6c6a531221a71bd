package main

import (
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestGmail(t *testing.T) {
	t.Setenv("GMAIL_USER", "me@gmail.com")
	t.Setenv("GMAIL_APP_PASSWORD", "abcd efgh ijkl mnop")
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{
			Name: "smtp.gmail.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
			Users: map[string]string{"me@gmail.com": "abcd efgh ijkl mnop"},
			Script: testserver.Script{
				testserver.On(testserver.Hello, testserver.Reply("421 4.7.0 Try again later, closing connection. (EHLO)").ThenClose()),
			},
		})
		if err := run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := srv.Messages(); len(m) != 1 || !m[0].TLS || m[0].User != "me@gmail.com" {
			t.Errorf("the server holds %+v", m)
		}
	})
}
