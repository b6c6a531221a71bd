package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestWorker: the program is ended when the server has the message, and started once
// more: it is not sent again.
func TestWorker(t *testing.T) {
	t.Setenv("SMTP_USER", "app")
	t.Setenv("SMTP_PASSWORD", "secret")
	database := filepath.Join(t.TempDir(), "mail.db")
	start := func(most time.Duration) *testserver.Server {
		ctx, end := context.WithTimeout(t.Context(), most)
		defer end()
		srv := stand.In(t, server, testserver.Config{
			Name: "smtp.example.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
			Users: map[string]string{"app": "secret"},
			OnEvent: func(e testserver.Event) {
				if e.Kind == testserver.Accepted {
					end() // attempts that are under way go on
				}
			},
		})
		if err := run(ctx, database); err != nil {
			t.Fatal(err)
		}
		return srv
	}
	first := start(time.Minute)
	if m := first.Messages(); len(m) != 1 || !m[0].TLS || m[0].User != "app" {
		t.Errorf("the server holds %+v", m)
	}
	if again := start(2 * time.Second); len(again.Messages()) != 0 {
		t.Error("the same key was sent twice")
	}
}
