module github.com/smtpretry/smtpretry/statuspage

go 1.26.0

require (
	github.com/emersion/go-smtp v0.25.1
	github.com/smtpretry/smtpretry v0.0.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6 // indirect
)
