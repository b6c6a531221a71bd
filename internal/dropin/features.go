package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// features asks what the server can do.
func features(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, ext := range []string{"SIZE", "8bitmime", "DSN", "STARTTLS", "LIMITS", "X-UNHEARD-OF"} {
		ok, param := c.Extension(ext)
		fmt.Printf("%s: %v %q\n", ext, ok, param)
	}
	for _, mech := range []string{"PLAIN", "login", "CRAM-MD5"} {
		fmt.Println(mech, c.SupportsAuth(mech))
	}
	fmt.Println(c.MaxMessageSize())
	_, ok := c.TLSConnectionState()
	fmt.Println("TLS", ok)
	show("message", write(c, letter, "a@example.net"))
	return c.Quit()
}

// debugged has all that goes over the line printed.
func debugged(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	var said strings.Builder
	c.DebugWriter = &said
	tell("SendMail", c.SendMail(me, []string{"a@example.net"}, newLetter()))
	show("message", write(c, letter, "b@example.net"))
	show("refused", write(c, letter, "perm@example.net"))
	show("Reset", c.Reset())
	c.DebugWriter = nil
	show("not printed", c.Noop())
	c.DebugWriter = &said
	tell("SendMail", c.SendMail(me, []string{"a@example.net"}, newLetter()))
	show("Quit", c.Quit())
	fmt.Print(said.String())
	return nil
}

// impatient waits for replies for a moment only.
func impatient(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(c.CommandTimeout, c.SubmissionTimeout)
	show("Noop", c.Noop())
	c.CommandTimeout, c.SubmissionTimeout = time.Second, 1200*time.Millisecond
	err = write(c, letter, "a@example.net")
	fmt.Println("timeout:", errors.Is(err, os.ErrDeadlineExceeded))
	return nil
}

// impatientSending is the same with SendMail.
func impatientSending(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.CommandTimeout, c.SubmissionTimeout = time.Second, 1200*time.Millisecond
	tell("SendMail", c.SendMail(me, []string{"a@example.net"}, newLetter()))
	return nil
}

// local delivers over LMTP, where each recipient has a reply.
func local(addr string) error {
	c, err := dialLMTP(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 2 {
		if err := c.Mail(me, nil); err != nil {
			return err
		}
		for _, to := range []string{"a@example.net", "temp@example.net", "b@example.net"} {
			show(to, c.Rcpt(to, nil))
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, letter); err != nil {
			return err
		}
		_, err = w.CloseWithResponse()
		show("CloseWithResponse", err)
		each, err := w.CloseWithLMTPResponse()
		show("CloseWithLMTPResponse", err)
		for _, to := range []string{"a@example.net", "temp@example.net", "b@example.net"} {
			if resp := each[to]; resp != nil {
				fmt.Println(to, resp.StatusText)
			}
		}
	}
	tell("SendMail", c.SendMail(me, []string{"a@example.net", "b@example.net"}, newLetter()))
	return c.Quit()
}

// localRefused has a recipient refused after the dot.
func localRefused(addr string) error {
	c, err := dialLMTP(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	tell("SendMail", c.SendMail(me, []string{"a@example.net", "perm@example.net"}, newLetter()))
	return c.Quit()
}
