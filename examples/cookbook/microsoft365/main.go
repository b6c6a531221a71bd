// Microsoft365 sends a batch through smtp.office365.com as an application, within
// what Microsoft allows a mailbox: 30 messages a minute, 10,000 recipients a day,
// 3 connections.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/cookbook/xoauth2"
)

var server = &smtpretry.Dialer{Addr: "smtp.office365.com:587"}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil { // the recipients
		log.Fatal(err)
	}
}

func run(ctx context.Context, to []string) error {
	// The application has the permission SMTP.SendAsApp and access to the mailbox.
	app := clientcredentials.Config{
		ClientID:     os.Getenv("AZURE_CLIENT_ID"),
		ClientSecret: os.Getenv("AZURE_CLIENT_SECRET"),
		TokenURL:     "https://login.microsoftonline.com/" + os.Getenv("AZURE_TENANT_ID") + "/oauth2/v2.0/token",
		Scopes:       []string{"https://outlook.office365.com/.default"},
	}
	mailbox := os.Getenv("MAILBOX")
	limiter := smtpretry.NewLimiter(smtpretry.Limit{}) // knows Microsoft's limits
	fmt.Print(limiter.Explain("smtp.office365.com"))

	client, err := smtpretry.New(smtpretry.Config{
		Dialer:   server,
		Auth:     xoauth2.Auth(mailbox, app.TokenSource(ctx)),
		Limiter:  limiter,
		MaxConns: 3,
		Policy:   smtpretry.Policy{MaxElapsed: 24 * time.Hour}, // it may wait for its turn
	})
	if err != nil {
		return err
	}
	defer client.Quit()

	errs := make([]error, len(to))
	var all sync.WaitGroup
	for i, address := range to {
		all.Go(func() {
			text := "From: " + mailbox + "\r\nTo: " + address + "\r\nSubject: Invoice\r\n\r\nYour invoice.\r\n"
			_, errs[i] = client.Send(ctx, &smtpretry.Message{
				From: mailbox,
				To:   []string{address},
				Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
			})
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
