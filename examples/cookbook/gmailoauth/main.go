// Gmailoauth sends through smtp.gmail.com with OAuth and no password.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/endpoints"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/cookbook/xoauth2"
)

const letter = `From: me@example.com
To: you@example.net
Subject: Hello

Hello.
`

var server = &smtpretry.Dialer{Addr: "smtp.gmail.com:587"}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	app := oauth2.Config{
		ClientID:     os.Getenv("GOOGLE_CLIENT_ID"),
		ClientSecret: os.Getenv("GOOGLE_CLIENT_SECRET"),
		Endpoint:     endpoints.Google,
		Scopes:       []string{"https://mail.google.com/"},
	}
	// From the user's consent, which your program asked for once.
	tokens := app.TokenSource(ctx, &oauth2.Token{RefreshToken: os.Getenv("GOOGLE_REFRESH_TOKEN")})

	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth:   xoauth2.Auth(os.Getenv("GMAIL_USER"), tokens),
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
