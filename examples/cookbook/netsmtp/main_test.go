package main

import (
	"testing"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestNetSMTP sends over loopback, where AUTH needs no encryption.
func TestNetSMTP(t *testing.T) {
	t.Setenv("SMTP_USER", "me")
	t.Setenv("SMTP_PASSWORD", "secret")
	srv, err := testserver.Listen(testserver.Config{Users: map[string]string{"me": "secret"}, RequireAuth: true}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	addr = srv.Addr()
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if m := srv.Messages(); len(m) != 1 || m[0].User != "me" {
		t.Errorf("the server holds %+v", m)
	}
}
