module github.com/smtpretry/smtpretry/bench

go 1.25.0

require (
	github.com/emersion/go-smtp v0.25.1
	github.com/smtpretry/smtpretry v0.0.0
	github.com/wneessen/go-mail v0.8.1
	golang.org/x/perf v0.0.0-20260312031701-16a31bc5fbd0
	gonum.org/v1/plot v0.17.0
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/image v0.37.0 // indirect
	golang.org/x/text v0.40.0 // indirect
)

tool golang.org/x/perf/cmd/benchstat
