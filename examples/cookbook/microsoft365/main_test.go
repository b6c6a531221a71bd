package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestMicrosoft365: 100 messages take three minutes, and nothing is refused.
func TestMicrosoft365(t *testing.T) {
	t.Setenv("MAILBOX", "billing@example.com")
	stand.Tokens(t, "eyJ0")
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{
			Name: "smtp.office365.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
			Mechanisms: []string{"XOAUTH2"}, Users: map[string]string{"billing@example.com": "eyJ0"},
			Limits: testserver.Limits{MaxConns: 3, Quota: testserver.Quota{N: 30, Per: time.Minute}},
		})
		var to []string
		for i := range 100 {
			to = append(to, fmt.Sprintf("customer%d@example.net", i))
		}
		start := time.Now()
		if err := run(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		st := srv.Stats()
		if st.Accepted != 100 || st.Violations > 0 || st.MostOpen > 3 {
			t.Errorf("%d accepted, %d refused, %d connections at once", st.Accepted, st.Violations, st.MostOpen)
		}
		if took := time.Since(start); took < 3*time.Minute || took > 4*time.Minute {
			t.Errorf("took %v, want three minutes", took)
		}
	})
}
