//go:build wrap || dialer

package main

import (
	"time"

	"github.com/smtpretry/smtpretry"
)

// config says what go-smtp says in EHLO, and tries again soon, since somebody
// waits for the programs.
func config(d smtpretry.Dialer) smtpretry.Config {
	d.LocalName = "localhost"
	d.NoPipelining = true // with it the octets are the same until a command is refused
	return smtpretry.Config{Dialer: &d, Policy: smtpretry.Policy{
		Backoff: smtpretry.Backoff{Initial: 10 * time.Millisecond, Max: 10 * time.Millisecond},
	}}
}

var sendMail, sendMailTLS = smtpretry.SendMail, smtpretry.SendMailTLS
