// Gmail sends through smtp.gmail.com with an app password.
package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

const letter = `From: me@gmail.com
To: you@example.net
Subject: Hello

Hello.
`

var server = &smtpretry.Dialer{Addr: "smtp.gmail.com:587"} // STARTTLS, required

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// What Google publishes for Workspace holds by itself: 2,000 messages a day.
	// A personal account has less.
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	err := limiter.SetLimit("smtp.gmail.com", smtpretry.Limit{
		Quotas:     []smtpretry.Quota{{N: 500, Per: 24 * time.Hour}},
		PerMessage: 100,
	})
	if err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("GMAIL_USER"), os.Getenv("GMAIL_APP_PASSWORD")), nil
		},
		Limiter: limiter,
		Logger:  slog.Default(),
	})
	if err != nil {
		return err
	}
	defer client.Quit()

	_, err = client.Send(ctx, &smtpretry.Message{
		From: os.Getenv("GMAIL_USER"),
		To:   []string{"you@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(letter)), nil },
	})
	return err
}
