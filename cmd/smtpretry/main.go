// Command smtpretry explains what mail servers say, checks what is between a
// program and a mail server, sends mail, and plays a mail server.
//
//	smtpretry explain "421 4.7.0 Too many connections from your IP"
//	smtpretry check smtps://me@smtp.example.com --from me@example.com
//	smtpretry send --server smtps://me@smtp.example.com letter.eml
//	smtpretry fake --scenario greylist
//
// See smtpretry help, and docs/command.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second interrupt ends it at once
	code := run(ctx, ui.New(), os.Args)
	stop()
	os.Exit(code)
}
