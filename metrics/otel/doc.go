// Package otel counts and traces mail that goes out through smtpretry, with
// OpenTelemetry:
//
//	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
//	mail, err := otel.New(otel.Options{Limiter: limiter})
//	client, err := smtpretry.New(smtpretry.Config{Limiter: limiter, Trace: mail.Trace(), …})
//
// The metrics are those of [metrics.All]. An exporter for Prometheus gives them the
// same names and labels as the module …/metrics/prometheus does, so that the same
// dashboard and alert rules fit.
//
// Each call of Send or Try is a span below that of its context, with a span for each
// attempt and each wait in it:
//
//	smtp send               smtpretry.recipients, .recipients.accepted, …
//	├─ smtp attempt         smtpretry.stage, .class, .cause, .reply.code, .rule, …
//	├─ smtp wait            smtpretry.wait.reason
//	└─ smtp attempt         network.peer.address, …
//
// What the server refused is an event of the attempt, one for each reason. Nothing in
// them tells who writes to whom, unless Options.Texts is set.
package otel
