package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestSES: 14 a second are met, and of a throttling that comes all the same the
// message recovers.
func TestSES(t *testing.T) {
	t.Setenv("SES_SMTP_USER", "AKIAEXAMPLE")
	t.Setenv("SES_SMTP_PASSWORD", "secret")
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{
			Name: host, TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
			Users:  map[string]string{"AKIAEXAMPLE": "secret"},
			Limits: testserver.Limits{Recipients: testserver.Rate{N: maxSendRate}},
			Script: testserver.Script{
				testserver.On(testserver.Dot, testserver.Reply("454 Throttling failure: Maximum sending rate exceeded.")).Skip(50),
			},
		})
		var to []string
		for i := range 140 {
			to = append(to, fmt.Sprintf("customer%d@example.net", i))
		}
		start := time.Now()
		if err := run(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		if st := srv.Stats(); st.Accepted != 140 || st.Violations > 0 {
			t.Errorf("%d accepted, %d refused", st.Accepted, st.Violations)
		}
		if took := time.Since(start); took < 10*time.Second || took > 40*time.Second {
			t.Errorf("took %v, want ten seconds and what the throttling costs", took)
		}
	})
}
