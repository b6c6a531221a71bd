// Gomail makes a message with go-mail and sends it with smtpretry.
package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"os"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/wneessen/go-mail"

	"github.com/smtpretry/smtpretry"
)

var server = &smtpretry.Dialer{Addr: "smtp.example.com:587"}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	client, err := smtpretry.New(smtpretry.Config{ // in place of mail.NewClient
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("SMTP_USER"), os.Getenv("SMTP_PASSWORD")), nil
		},
	})
	if err != nil {
		return err
	}
	defer client.Quit()

	m := mail.NewMsg()
	if err := m.From("Shop <shop@example.com>"); err != nil {
		return err
	}
	if err := m.To("you@example.net"); err != nil {
		return err
	}
	if err := m.Bcc("archive@example.com"); err != nil {
		return err
	}
	m.Subject("Your order")
	m.SetBodyString(mail.TypeTextPlain, "Thank you for your order.")
	m.AddAlternativeString(mail.TypeTextHTML, "<p>Thank you for your order.</p>")
	if err := m.AttachReader("order.csv", bytes.NewReader([]byte("item,number\nbook,1\n"))); err != nil {
		return err
	}

	_, err = send(ctx, client, m) // in place of client.DialAndSendWithContext
	return err
}

// send gives a message to the client. It is written out once, since each try must
// send the same octets and go-mail chooses new boundaries each time.
func send(ctx context.Context, client *smtpretry.Client, m *mail.Msg) (*smtpretry.Result, error) {
	from, err := m.GetSender(false)
	if err != nil {
		return nil, err
	}
	to, err := m.GetRecipients() // To, Cc and Bcc
	if err != nil {
		return nil, err
	}
	for i, address := range to {
		to[i] = strings.Trim(address, "<>") // go-mail gives them in brackets
	}
	var text bytes.Buffer
	if _, err := m.WriteTo(&text); err != nil {
		return nil, err
	}
	return client.Send(ctx, &smtpretry.Message{
		From: strings.Trim(from, "<>"),
		To:   to,
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil },
		Size: int64(text.Len()), // too large is found out before the upload
	})
}
