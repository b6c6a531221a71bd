package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

func newLetter() io.Reader { return strings.NewReader(letter) }

// texts are messages that are not easy to carry.
var texts = []string{
	"",
	"\r\n",
	".",
	".\r\n",
	"..\r\n.a\r\n\r\n.",
	"lines\nthat end\nin LF\n.\n",
	"no end of line",
	"long " + strings.Repeat("x", 5000) + "\r\n",
	"8 bit: \xe4\xf6\xfc, UTF-8: äöü, NUL: \x00\r\n",
	strings.Repeat("y", 32<<10-1) + "\r\n.\r\n", // CRLF where a buffer ends
}

// bodies sends each text once by SendMail and once by hand.
func bodies(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, text := range texts {
		tell(fmt.Sprint("SendMail ", i), c.SendMail(me, []string{"a@example.net"}, strings.NewReader(text)))
		show(fmt.Sprint("by hand ", i), write(c, text, "a@example.net"))
	}
	show("bare CR by hand", write(c, letter+"left\rright\r\n", "a@example.net"))
	return c.Quit()
}

// large sends 10 MiB, from a file as it were, from a pipe and by hand in small
// pieces.
func large(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	text := bytes.Repeat([]byte(strings.Repeat("0123456789", 7)+"\r\n.."), 10<<20/74)
	tell("file", c.SendMail(me, []string{"a@example.net"}, bytes.NewReader(text)))
	tell("pipe", c.SendMail(me, []string{"a@example.net"}, io.MultiReader(bytes.NewReader(text))))
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
	for rest := text; len(rest) > 0; {
		n := min(len(rest), 1001)
		if _, err := w.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	show("by hand", w.Close())
	return c.Quit()
}
