package main

import (
	"fmt"
	"io"

	"github.com/emersion/go-smtp"
)

// write sends a message by hand.
func write(c transport, text string, to ...string) error {
	if err := c.Mail(me, nil); err != nil {
		return err
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt, nil); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	resp, err := w.CloseWithResponse()
	if err != nil {
		return err
	}
	fmt.Println(resp.StatusText)
	return nil
}

// byHand uses every command there is.
func byHand(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	show("Hello", c.Hello("me.example.org"))
	show("Hello again", c.Hello("me.example.org"))
	show("Noop", c.Noop())
	show("message", write(c, letter, "a@example.net"))
	show("message", write(c, letter, "b@example.net", "c@example.net"))
	show("Verify", c.Verify("a@example.net")) // 252, where go-smtp wants 250
	show("Mail", c.Mail(me, nil))
	show("Rcpt", c.Rcpt("a@example.net", nil))
	show("Reset", c.Reset())
	show("Hello", c.Hello("other.example.org"))
	show("message", write(c, letter, "d@example.net"))
	show("SendMail", c.SendMail(me, []string{"e@example.net"}, newLetter()))
	show("message", write(c, letter, "f@example.net"))
	show("Quit", c.Quit())
	return nil
}

// outOfOrder does what the server or go-smtp refuse.
func outOfOrder(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	show("Noop", c.Noop())
	show("Hello", c.Hello("late.example.org"))
	show("Rcpt", c.Rcpt("a@example.net", nil))
	_, err = c.Data()
	show("Data", err)
	show("Mail", c.Mail(me, nil))
	show("Mail", c.Mail(me, nil))
	_, err = c.Data()
	show("Data", err)
	show("line break", c.Rcpt("a@example.net>\r\nRSET", nil))
	show("Verify", c.Verify("a\nb"))
	show("Reset", c.Reset())
	show("message", write(c, letter, "a@example.net"))
	w, err := c.Data()
	show("Data", err)
	fmt.Println(w == nil)
	show("Quit", c.Quit())
	return nil
}

// refusedByHand goes on when a recipient or the message is refused.
func refusedByHand(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	show("first", c.Mail("bad@example.org", nil))
	show("second", c.Mail(me, nil))
	for _, to := range []string{"perm@example.net", "a@example.net", "temp@example.net", "b@example.net"} {
		show(to, c.Rcpt(to, nil))
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, letter); err != nil {
		return err
	}
	show("Close", w.Close())
	show("Close again", w.Close())
	show("third", write(c, letter, "perm@example.net"))
	show("Reset", c.Reset())
	show("fourth", write(c, letter, "a@example.net")) // refused after the dot
	show("fifth", write(c, letter, "a@example.net"))
	show("Quit", c.Quit())
	return nil
}

// justQuit says hello and goodbye.
func justQuit(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	show("Quit", c.Quit())
	return nil
}

// noopTwice sees whether the server is there, and whether it still is.
func noopTwice(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	show("Noop", c.Noop())
	show("Noop", c.Noop())
	show("Quit", c.Quit())
	return nil
}

// unfinished leaves the body open.
func unfinished(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(me, nil); err != nil {
		return err
	}
	if err := c.Rcpt("a@example.net", nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprint(w, letter)
	show("Quit", c.Quit())
	return nil
}

// afterClose uses a client that was closed.
func afterClose(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	show("Noop", c.Noop())
	show("Close", c.Close())
	show("Noop", c.Noop())
	show("Close", c.Close())
	return nil
}

// optional asks for all that can be asked for with a message.
func optional(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	sender, priority := "me+x@example.org", 3
	show("REQUIRETLS", c.Mail(me, &smtp.MailOptions{RequireTLS: true}))
	show("bad RET", c.Mail(me, &smtp.MailOptions{Return: "SOME"}))
	show("bad ENVID", c.Mail(me, &smtp.MailOptions{EnvelopeID: "a\tb"}))
	show("Mail", c.Mail(me, &smtp.MailOptions{
		Body: smtp.Body8BitMIME, Size: 12345, UTF8: true,
		Return: smtp.DSNReturnHeaders, EnvelopeID: "id+1=x", Auth: &sender,
	}))
	for _, rcpt := range []struct {
		to   string
		opts *smtp.RcptOptions
	}{
		{"a@example.net", &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyDelayed, smtp.DSNNotifyFailure},
			OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: "a+b@example.net"}},
		{"b@example.net", &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever},
			OriginalRecipientType: smtp.DSNAddressTypeUTF8, OriginalRecipient: "jürgen@example.net"}},
		{"c@example.net", &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever, smtp.DSNNotifyFailure}}},
		{"d@example.net", &smtp.RcptOptions{MTPriority: &priority}},
		{"e@example.net", &smtp.RcptOptions{DeliverBy: &smtp.DeliverByOptions{Time: 90e9, Mode: smtp.DeliverByNotify, Trace: true}}},
	} {
		show(rcpt.to, c.Rcpt(rcpt.to, rcpt.opts))
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprint(w, letter)
	show("Close", w.Close())
	show("Quit", c.Quit())
	return nil
}
