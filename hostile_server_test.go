package smtpretry_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/memnet"
)

// A hostile server says things that package testserver has no words for. It is
// called for each connection, which it need not close.
type hostile func(conn net.Conn)

// hostileClient makes a Client of a hostile server at 127.0.0.1:25, within a
// bubble. At the end of the test it is closed, and no socket of it may be left
// open.
func hostileClient(t *testing.T, serve hostile, change func(*smtpretry.Config)) *smtpretry.Client {
	t.Helper()
	s := new(sockets)
	cfg := smtpretry.Config{
		Policy: smtpretry.Policy{MaxAttempts: 1},
		Dialer: &smtpretry.Dialer{Addr: "127.0.0.1:25", NetDial: func(context.Context, string, string) (net.Conn, error) {
			near, far := memnet.Pipe()
			go func() {
				defer far.Close()
				serve(far)
			}()
			return s.count(near), nil
		}},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := smtpretry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if s.open != 0 {
			t.Errorf("%d sockets were never closed", s.open)
		}
	})
	return c
}

// polite answers each line with what reply says to it, which goes out as it
// is; "" is the answer of a correct server. It reads bodies.
func polite(reply func(line string) string) hostile {
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		line := ""
		for {
			words := reply(line)
			if words == "" {
				words = usual(line)
			}
			body := strings.HasPrefix(line, "DATA") && strings.HasPrefix(words, "354")
			if _, err := conn.Write([]byte(words)); err != nil {
				return
			}
			for {
				next, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line = strings.TrimRight(next, "\r\n"); !body || line == "." {
					break
				}
			}
		}
	}
}

// usual is what a correct server with AUTH answers; the line "" stands for the
// connection itself.
func usual(line string) string {
	verb, _, _ := strings.Cut(line, " ")
	switch verb {
	case "":
		return "220 mx.example ESMTP\r\n"
	case "EHLO", "LHLO":
		return "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN\r\n"
	case "AUTH":
		return "235 2.7.0 Welcome\r\n"
	case "DATA":
		return "354 Go on\r\n"
	case "QUIT":
		return "221 2.0.0 Bye\r\n"
	}
	return "250 2.0.0 Ok\r\n"
}
