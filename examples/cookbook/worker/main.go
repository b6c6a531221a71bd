// Worker keeps mail in a durable queue and delivers it for days if it must.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/queue"
)

var server = &smtpretry.Dialer{Addr: "smtp.example.com:587"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, "mail.db")
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, database string) error {
	relay, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("SMTP_USER"), os.Getenv("SMTP_PASSWORD")), nil
		},
		MaxConns: 4,
	})
	if err != nil {
		return err
	}
	defer relay.Quit()
	q, err := queue.Open(ctx, queue.Config{
		Database:   database, // or "postgres://…", for several machines
		Relay:      relay,
		DelayAfter: 4 * time.Hour,
		OnDelayed:  func(n queue.Notice) { log.Printf("late: %d: %s", n.Entry.ID, n.Entry.Reply) },
		OnFailed: func(n queue.Notice) {
			for _, r := range n.Recipients {
				log.Printf("failed: %s: %v. %s", r.Address, r.Verdict, r.Verdict.Advice())
			}
		},
		Logger: slog.Default(),
	})
	if err != nil {
		return err
	}
	defer q.Close() // what is under way gets 10 s; the rest waits for the next start

	if err := welcome(ctx, q, 4711, "ada@example.net"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// welcome is what the application calls. When it returns nil the mail is on disk. The
// key makes it safe to call again when nobody knows whether it was called.
func welcome(ctx context.Context, q *queue.Queue, customer int, address string) error {
	text := "From: Shop <shop@example.com>\r\nTo: " + address + "\r\nSubject: Welcome\r\n\r\nWelcome.\r\n"
	_, err := q.Enqueue(ctx, &smtpretry.Message{
		From: "shop@example.com",
		To:   []string{address},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}, queue.Options{Key: fmt.Sprintf("welcome-%d", customer)})
	return err
}
