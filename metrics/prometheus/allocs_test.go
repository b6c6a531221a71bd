//go:build !race

package prometheus_test

import (
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/metrics/prometheus"
)

// TestNoAllocations: to count a message makes none.
func TestNoAllocations(t *testing.T) {
	trace := prometheus.New(prometheus.Options{}).Trace()
	res := &smtpretry.Result{Recipients: []smtpretry.Recipient{{State: smtpretry.Accepted}}}
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		trace.Waiting(smtpretry.Wait{Host: "mail.example.org", For: "rate", Start: now})
		trace.Waited(smtpretry.Wait{Host: "mail.example.org", For: "rate", Start: now, End: now})
		trace.Attempted(smtpretry.Attempt{Number: 2, Host: "mail.example.org", Stage: smtpretry.StageDot, Recipients: res.Recipients})
		trace.Finished(smtpretry.Finish{Host: "mail.example.org", Result: res})
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
