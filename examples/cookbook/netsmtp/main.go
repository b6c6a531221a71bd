// Netsmtp is a program written for net/smtp, with one call exchanged.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

var addr = "mail.example.com:587"

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	msg := []byte("From: me@example.com\r\n" +
		"To: you@example.net\r\n" +
		"Subject: Hello\r\n" +
		"\r\n" +
		"Hello.\r\n")

	// auth := smtp.PlainAuth("", user, password, "mail.example.com")
	// err := smtp.SendMail(addr, auth, "me@example.com", []string{"you@example.net"}, msg)
	auth := sasl.NewPlainClient("", os.Getenv("SMTP_USER"), os.Getenv("SMTP_PASSWORD"))
	return smtpretry.SendMail(addr, auth, "me@example.com", []string{"you@example.net"}, bytes.NewReader(msg))
}
