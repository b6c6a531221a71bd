package metrics_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/metrics"
)

// A system that has no module of its own is told by a function: here a log of numbers,
// as a StatsD client would send them.
func ExampleRecorder_Trace() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("mail.example.org", smtpretry.Limit{Rate: smtpretry.PerSecond(14), Burst: 14}); err != nil {
		panic(err)
	}
	recorder := metrics.New(metrics.Options{Limiter: limiter})
	var tell metrics.Sink = func(_ context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
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

// What a queue holds is read with the limiter's state. That of smtpretry's module
// queue is turned into Depths by the function that metrics.Queue shows.
func ExampleRecorder_Read() {
	var outbox metrics.Queue = func(context.Context) ([]metrics.Depth, error) {
		return []metrics.Depth{
			{Host: "mail.example.org", State: "waiting", Cause: "greylist", N: 3},
			{Host: "mail.example.org", State: "sending", N: 1},
		}, nil
	}
	recorder := metrics.New(metrics.Options{Queue: outbox})
	var lines []string
	recorder.Read(context.Background(), func(_ context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
		lines = append(lines, fmt.Sprintln(m.Name, l.Of(m), v))
	})
	slices.Sort(lines) // they come in any order
	fmt.Print(strings.Join(lines, ""))
	// Output:
	// smtpretry.queue.messages [mail.example.org sending none] 1
	// smtpretry.queue.messages [mail.example.org waiting greylist] 3
	// smtpretry.queue.up [] 1
}

// Where each metric is declared beforehand, All tells how.
func ExampleAll() {
	kinds := map[metrics.Kind]string{metrics.Counter: "counter", metrics.UpDown: "up-down counter", metrics.Histogram: "histogram", metrics.Gauge: "gauge"}
	for _, m := range metrics.All() {
		if m.Unit != "" {
			fmt.Println(m.Name, "is a", kinds[m.Kind], "in", m.Unit)
		}
	}
	// Output:
	// smtpretry.attempt.duration is a histogram in s
	// smtpretry.message.duration is a histogram in s
	// smtpretry.wait.duration is a histogram in s
	// smtpretry.limiter.messages is a gauge in {message}/s
	// smtpretry.limiter.cool_down is a gauge in s
	// smtpretry.queue.oldest_age is a gauge in s
}

// A metric with two labels has two values.
func ExampleLabels_Of() {
	l := metrics.Labels{"mail.example.org", "rate"}
	m := metrics.Waiting
	for i, value := range l.Of(m) {
		fmt.Printf("%s=%s\n", m.Labels[i], value)
	}
	// Output:
	// host=mail.example.org
	// reason=rate
}
