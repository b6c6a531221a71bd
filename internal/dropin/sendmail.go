package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-smtp"
)

const (
	me     = "me@example.org"
	letter = "From: me@example.org\r\nSubject: hello\r\n\r\nHello there.\r\n"
)

// newsletter sends several messages over one connection.
func newsletter(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, to := range [][]string{{"a@example.net"}, {"b@example.net", "c@example.net"}, {"d@example.net"}} {
		if err := c.SendMail(me, to, strings.NewReader(letter)); err != nil {
			return err
		}
		fmt.Println("sent to", to)
	}
	return c.Quit()
}

// oneLetter sends one and does not say goodbye.
func oneLetter(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello("me.example.org"); err != nil {
		return err
	}
	return c.SendMail("", []string{"a@example.net"}, strings.NewReader(letter))
}

// international has addresses for SMTPUTF8.
func international(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	tell("recipient", c.SendMail(me, []string{"a@example.net", "jürgen@example.net"}, strings.NewReader(letter)))
	tell("sender", c.SendMail("zoë@example.org", []string{"a@example.net"}, strings.NewReader(letter)))
	return c.Quit()
}

// sendAndQuit sends one message and says what became of it, and of the goodbye.
func sendAndQuit(addr string, to []string, r io.Reader) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	tell("SendMail", c.SendMail(me, to, r))
	tell("Quit", c.Quit())
	return nil
}

func sendToOne(addr string) error {
	return sendAndQuit(addr, []string{"a@example.net"}, strings.NewReader(letter))
}

func sendToThree(addr string) error {
	return sendAndQuit(addr, []string{"a@example.net", "b@example.net", "c@example.net"}, strings.NewReader(letter))
}

func sendTwiceToOne(addr string) error {
	return sendAndQuit(addr, []string{"a@example.net", "a@example.net"}, strings.NewReader(letter))
}

func sendToNobody(addr string) error {
	return sendAndQuit(addr, nil, strings.NewReader(letter))
}

func sendToBadAddress(addr string) error {
	return sendAndQuit(addr, []string{"a@example.net> NOTIFY=NEVER"}, strings.NewReader(letter))
}

func sendTooMuch(addr string) error {
	return sendAndQuit(addr, []string{"a@example.net"}, strings.NewReader(letter+strings.Repeat("More.\r\n", 20)))
}

func sendBareCR(addr string) error {
	return sendAndQuit(addr, []string{"a@example.net"}, strings.NewReader(letter+"left\rright\r\n"))
}

var errBroken = errors.New("the disk is broken")

// sendBroken has a message whose reader fails in the middle.
func sendBroken(addr string) error {
	broken, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, letter)
		w.CloseWithError(errBroken)
	}()
	return sendAndQuit(addr, []string{"a@example.net"}, broken)
}

// goOn sends to one after the other, whatever became of the one before.
func goOn(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, to := range []string{"a@example.net", "b@example.net", "c@example.net"} {
		err := c.SendMail(me, []string{to}, strings.NewReader(letter))
		tell(to, err)
		if err != nil {
			tell("Reset", c.Reset())
		}
	}
	return c.Quit()
}

// printError prints the error itself.
func printError(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	err = c.SendMail(me, []string{"a@example.net"}, strings.NewReader(letter))
	fmt.Println(err)
	var reply *smtp.SMTPError
	fmt.Println(errors.As(err, &reply))
	return nil
}

// A mailer is what programs ask of a client that they can put a stub for.
type mailer interface {
	SendMail(from string, to []string, r io.Reader) error
}

// A transport is what others ask.
type transport interface {
	Mail(from string, opts *smtp.MailOptions) error
	Rcpt(to string, opts *smtp.RcptOptions) error
	Data() (*smtp.DataCommand, error)
}

var (
	_ mailer    = (*client)(nil)
	_ transport = (*client)(nil)
	_ io.Closer = (*client)(nil)
)
