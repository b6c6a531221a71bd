package main

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestFleet: two of them send at once, together no faster than the limit.
func TestFleet(t *testing.T) {
	url := os.Getenv("REDIS_URL")
	if url == "" {
		var stop func() error
		var err error
		if url, stop, err = startRedis(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		defer func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}()
	}
	srv := stand.In(t, server, testserver.Config{
		Name: "smtp.example.com", TLS: testserver.StartTLS, RequireTLS: true,
	})
	start := time.Now()
	var both sync.WaitGroup
	for p := range 2 {
		both.Go(func() {
			var to []string
			for i := range 15 {
				to = append(to, fmt.Sprintf("reader%d-%d@example.net", p, i))
			}
			if err := run(t.Context(), url, to); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if st := srv.Stats(); st.Accepted != 30 {
		t.Errorf("%d accepted, want 30", st.Accepted)
	}
	// 29 after the first, at 20 a second.
	if took := time.Since(start); took < 29*time.Second/20 {
		t.Errorf("took %v, faster than the limit", took)
	}
}
