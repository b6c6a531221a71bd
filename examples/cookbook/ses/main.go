// Ses sends through Amazon SES at the rate that the account has.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

// Of your account: aws sesv2 get-account --query SendQuota.
const (
	maxSendRate   = 14
	max24HourSend = 50_000
)

const host = "email-smtp.eu-west-1.amazonaws.com"

var server = &smtpretry.Dialer{Addr: host + ":587"}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil { // the recipients
		log.Fatal(err)
	}
}

func run(ctx context.Context, to []string) error {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	err := limiter.SetLimit(host, smtpretry.Limit{
		Recipients:      smtpretry.PerSecond(maxSendRate), // SES counts recipients
		RecipientQuotas: []smtpretry.Quota{{N: max24HourSend, Per: 24 * time.Hour}},
		PerMessage:      50,
	})
	if err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("SES_SMTP_USER"), os.Getenv("SES_SMTP_PASSWORD")), nil
		},
		Limiter:  limiter,
		MaxConns: 5,
		Policy:   smtpretry.Policy{MaxElapsed: 24 * time.Hour},
	})
	if err != nil {
		return err
	}
	defer client.Quit()

	errs := make([]error, len(to))
	var all sync.WaitGroup
	for i, address := range to {
		all.Go(func() {
			text := "From: shop@example.com\r\nTo: " + address + "\r\nSubject: Your order\r\n\r\nThank you.\r\n"
			_, errs[i] = client.Send(ctx, &smtpretry.Message{
				From: "shop@example.com",
				To:   []string{address},
				Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
			})
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
