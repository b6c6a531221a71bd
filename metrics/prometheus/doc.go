// Package prometheus counts mail that goes out through smtpretry, for Prometheus:
//
//	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
//	mail := prometheus.New(prometheus.Options{Limiter: limiter})
//	registry.MustRegister(mail)
//	client, err := smtpretry.New(smtpretry.Config{Limiter: limiter, Trace: mail.Trace(), …})
//
// The metrics are those of [metrics.All], under the names of Prometheus:
// smtpretry_attempts_total and the others. A dashboard and alert rules for them are in
// the folder metrics of the repository, and docs/watching.md there explains both.
package prometheus
