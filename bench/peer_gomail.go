package main

import (
	"context"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
)

// goMail is a kept connection of go-mail, which composes each message, too, so
// it is given the least of that: one text part without encoding.
var goMail = peer{"go-mail", func(j job) (sender, error) {
	host, port, err := net.SplitHostPort(j.addr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	return dialAll(j, func() (link, error) {
		c, err := mail.NewClient(host, mail.WithPort(number), mail.WithTLSPolicy(mail.NoTLS), mail.WithHELO("localhost"),
			mail.WithTimeout(10*time.Minute)) // also how long it may rest
		if err != nil {
			return link{}, err
		}
		m := mail.NewMsg(mail.WithEncoding(mail.NoEncoding))
		if err := m.From(from); err != nil {
			return link{}, err
		}
		if err := m.To(j.to...); err != nil {
			return link{}, err
		}
		m.SetBodyWriter(mail.TypeTextPlain, func(w io.Writer) (int64, error) {
			n, err := w.Write(j.body)
			return int64(n), err
		})
		if err := c.DialWithContext(context.Background()); err != nil {
			return link{}, err
		}
		return link{send: func() error { return c.Send(m) }, close: c.Close}, nil
	})
}}
