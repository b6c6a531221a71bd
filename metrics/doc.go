// Package metrics says what is counted of mail that goes out through smtpretry,
// whoever counts it: [All] lists it, a [Recorder] turns what a [smtpretry.Trace] is
// told, and what a limiter and a queue know, into numbers.
//
// Most programs use one of the modules on top of it,
// github.com/smtpretry/smtpretry/metrics/prometheus or …/metrics/otel. With another
// system, give [Recorder.Trace] a function that adds to its counters:
//
//	r := metrics.New(metrics.Options{Limiter: limiter})
//	cfg.Trace = r.Trace(func(ctx context.Context, m *metrics.Metric, v float64, l metrics.Labels) { … })
//
// The number of series is bounded: hosts beyond a number that can be set are counted
// as one, "other", and every other label has a closed set of values.
package metrics
