// Gomessage makes a message with go-message and sends it with smtpretry.
package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"os"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

var server = &smtpretry.Dialer{Addr: "smtp.example.com:465"} // TLS from the first octet

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	text, err := write()
	if err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("SMTP_USER"), os.Getenv("SMTP_PASSWORD")), nil
		},
	})
	if err != nil {
		return err
	}
	defer client.Quit()

	_, err = client.Send(ctx, &smtpretry.Message{
		From: "me@example.com",
		To:   []string{"you@example.net"},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
		Size: int64(len(text)),
	})
	return err
}

// write writes a message with a Date and a Message-ID, which stay the same however
// often it is tried: so a receiver can tell that it has it.
func write() ([]byte, error) {
	var h mail.Header
	h.SetDate(time.Now())
	h.SetAddressList("From", []*mail.Address{{Name: "Me", Address: "me@example.com"}})
	h.SetAddressList("To", []*mail.Address{{Address: "you@example.net"}})
	h.SetSubject("Grüße") // encoded as RFC 2047 says
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if err := h.GenerateMessageIDWithHostname("example.com"); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	w, err := mail.CreateSingleInlineWriter(&text, h)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, "Schöne Grüße!\r\n"); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
