package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestNewsletter: it is ended after five seconds and started again. Everybody gets the
// issue once, never more than ten in a second, over both.
func TestNewsletter(t *testing.T) {
	t.Setenv("SMTP_USER", "news")
	t.Setenv("SMTP_PASSWORD", "secret")
	dir := t.TempDir()
	var list []byte
	for i := range 100 {
		list = fmt.Appendf(list, "reader%d@example.net\n", i)
	}
	list = append(list, "gone@example.net\nnot an address\n"...)
	if err := os.WriteFile(filepath.Join(dir, "addresses.txt"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{
			Name: host, TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
			Users:  map[string]string{"news": "secret"},
			Limits: testserver.Limits{Rate: testserver.Rate{N: 10}},
			Script: testserver.Script{
				testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("gone@"),
				testserver.On(testserver.Rcpt, testserver.Reply("452 4.2.2 Mailbox full")).To("reader3@"),
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(5*time.Second, cancel).Stop() // as ^C would
		if err := run(ctx, dir); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want the end of the context", err)
		}
		if n := len(srv.Messages()); n < 40 || n > 51 {
			t.Errorf("%d sent in five seconds, want 50", n)
		}
		if err := run(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int)
		for _, m := range srv.Messages() {
			got[m.Addrs()[0]]++
		}
		for i := range 100 {
			if a := fmt.Sprintf("reader%d@example.net", i); got[a] != 1 {
				t.Errorf("%s got it %d times", a, got[a])
			}
		}
		if st := srv.Stats(); st.Violations > 0 {
			t.Errorf("%d refused for the rate", st.Violations)
		}
		mails := srv.Stats().Mails
		if err := run(t.Context(), dir); err != nil || srv.Stats().Mails != mails {
			t.Errorf("a third start: %v, %d more sent", err, srv.Stats().Mails-mails)
		}
	})
}
