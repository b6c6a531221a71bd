package main

import (
	"bytes"

	"github.com/emersion/go-smtp"
)

// goSMTP is the client that smtpretry wraps, by itself.
var goSMTP = peer{"go-smtp", func(j job) (sender, error) {
	return dialAll(j, func() (link, error) {
		c, err := smtp.Dial(j.addr)
		if err != nil {
			return link{}, err
		}
		if err := c.Hello("localhost"); err != nil {
			return link{}, err
		}
		return link{
			send:  func() error { return c.SendMail(from, j.to, bytes.NewReader(j.body)) },
			close: c.Quit,
		}, nil
	})
}}
