package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
)

// raw is no client: it copies octets that were made before to the socket, and
// reads replies. It shows what the server and the system can take.
var raw = peer{"raw TCP", func(j job) (sender, error) {
	var group strings.Builder
	fmt.Fprintf(&group, "MAIL FROM:<%s>\r\n", from)
	for _, to := range j.to {
		fmt.Fprintf(&group, "RCPT TO:<%s>\r\n", to)
	}
	group.WriteString("DATA\r\n")
	body := append(bytes.Clone(j.body), ".\r\n"...) // no line begins with a dot
	return dialAll(j, func() (link, error) {
		conn, err := net.Dial("tcp", j.addr)
		if err != nil {
			return link{}, err
		}
		r := bufio.NewReader(conn)
		say := func(what []byte, replies ...string) error {
			if _, err := conn.Write(what); err != nil {
				return err
			}
			for _, want := range replies {
				if err := expect(r, want); err != nil {
					return err
				}
			}
			return nil
		}
		if err := say(nil, "220"); err != nil {
			return link{}, err
		}
		if err := say([]byte("EHLO localhost\r\n"), "250"); err != nil {
			return link{}, err
		}
		replies := append(strings.Fields(strings.Repeat("250 ", 1+len(j.to))), "354")
		return link{
			send: func() error {
				if err := say([]byte(group.String()), replies...); err != nil {
					return err
				}
				return say(body, "250")
			},
			close: conn.Close,
		}, nil
	})
}}

// expect reads one reply.
func expect(r *bufio.Reader, code string) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, code) {
			return fmt.Errorf("the server said %q, want %s", line, code)
		}
		if len(line) > 3 && line[3] != '-' {
			return nil
		}
	}
}
