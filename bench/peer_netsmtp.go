package main

import "net/smtp"

// netSMTP is the standard library's client, over kept connections.
var netSMTP = peer{"net/smtp", func(j job) (sender, error) {
	return dialAll(j, func() (link, error) {
		c, err := smtp.Dial(j.addr)
		if err != nil {
			return link{}, err
		}
		if err := c.Hello("localhost"); err != nil {
			return link{}, err
		}
		return link{send: func() error { return netSend(c, j) }, close: c.Quit}, nil
	})
}}

func netSend(c *smtp.Client, j job) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, to := range j.to {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(j.body); err != nil {
		return err
	}
	return w.Close()
}
