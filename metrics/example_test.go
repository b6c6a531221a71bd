package metrics_test

import (
	"context"
	"fmt"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/metrics"
)

// A system that has no module of its own is told by a function: here a log of numbers,
// as a StatsD client would send them.
func ExampleRecorder() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("mail.example.org", smtpretry.Limit{Rate: smtpretry.PerSecond(14), Burst: 14}); err != nil {
		panic(err)
	}
	recorder := metrics.New(metrics.Options{Limiter: limiter})
	tell := func(_ context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
		if m == metrics.Attempts || m == metrics.LimiterRate {
			fmt.Println(m.Name, l.Of(m), v)
		}
	}
	trace := recorder.Trace(tell) // for Config.Trace

	// What a client does:
	now := time.Now()
	trace.Attempted(smtpretry.Attempt{Number: 1, Host: "mail.example.org", Start: now, End: now.Add(time.Second),
		Verdict: smtpretry.Verdict{Class: smtpretry.Temporary, Cause: smtpretry.CauseGreylist, Stage: smtpretry.StageRcpt, Code: 450, Rule: "greylist"}})

	recorder.Read(context.Background(), tell) // now and then
	// Output:
	// smtpretry.attempts [mail.example.org rcpt temporary greylist] 1
	// smtpretry.limiter.messages [mail.example.org set] 14
}
