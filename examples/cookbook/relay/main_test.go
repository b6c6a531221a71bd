package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestRelay: nothing waits for a limit, over as many connections as are allowed.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := stand.In(t, server, testserver.Config{Name: "localhost"})
		start := time.Now()
		if err := run(t.Context(), 500); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v, want no wait", took)
		}
		if st := srv.Stats(); st.Accepted != 500 || st.MostOpen != 10 {
			t.Errorf("%d accepted over %d connections", st.Accepted, st.MostOpen)
		}
	})
}
