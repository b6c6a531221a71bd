package main

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestGmailOAuth(t *testing.T) {
	t.Setenv("GMAIL_USER", "me@example.com")
	t.Setenv("GOOGLE_REFRESH_TOKEN", "1//0example")
	for _, tc := range []struct {
		token string
		want  error
	}{{"ya29.good", nil}, {"ya29.revoked", smtpretry.ErrRefused}} {
		stand.Tokens(t, tc.token)
		synctest.Test(t, func(t *testing.T) {
			srv := stand.In(t, server, testserver.Config{
				Name: "smtp.gmail.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
				Mechanisms: []string{"XOAUTH2"}, Users: map[string]string{"me@example.com": "ya29.good"},
			})
			if err := run(t.Context()); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if m := srv.Messages(); tc.want == nil && (len(m) != 1 || !m[0].TLS || m[0].User != "me@example.com") {
				t.Errorf("the server holds %+v", m)
			}
		})
	}
}
