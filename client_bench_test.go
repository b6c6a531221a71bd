package smtpretry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// BenchmarkSend is what a message costs on the client's side, on one connection
// that is kept: the server is a parrot that costs nothing.
func BenchmarkSend(b *testing.B) {
	for _, rcpts := range []int{1, 10, 100} {
		to := make([]string, rcpts)
		for i := range to {
			to[i] = fmt.Sprintf("recipient-%d@example.net", i)
		}
		b.Run(fmt.Sprintf("go-smtp/rcpts=%d", rcpts), func(b *testing.B) {
			c := smtp.NewClient(newParrot())
			if err := c.Hello("localhost"); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.SendMail("me@example.org", to, strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, offered := range []string{"", "250-PIPELINING\r\n"} {
			b.Run(fmt.Sprintf("smtpretry/rcpts=%d/pipelining=%v", rcpts, offered != ""), func(b *testing.B) {
				c := parrotClient(b, offered)
				m := &smtpretry.Message{From: "me@example.org", To: to, Body: body(text)}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Send(b.Context(), m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSendBody is the upload of 10 MiB.
func BenchmarkSendBody(b *testing.B) {
	big := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10<<20/72)
	b.Run("go-smtp", func(b *testing.B) {
		c := smtp.NewClient(newParrot())
		b.SetBytes(int64(len(big)))
		b.ReportAllocs()
		for b.Loop() {
			if err := c.SendMail("me@example.org", []string{"a@example.net"}, strings.NewReader(big)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("smtpretry", func(b *testing.B) {
		c := parrotClient(b, "250-PIPELINING\r\n")
		m := note("a@example.net")
		m.Body = body(big)
		b.SetBytes(int64(len(big)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Send(b.Context(), m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func parrotClient(tb testing.TB, offered string) *smtpretry.Client {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("127.0.0.1", smtpretry.Limit{}); err != nil {
		tb.Fatal(err)
	}
	c, err := smtpretry.New(smtpretry.Config{Limiter: limiter, Dialer: &smtpretry.Dialer{Addr: "127.0.0.1:25",
		NetDial: func(context.Context, string, string) (net.Conn, error) {
			p := newParrot()
			p.offered = offered
			return p, nil
		}}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// A parrot is the client's end of a connection to a server that takes
// everything, at once and without allocating.
type parrot struct {
	said    []byte // and not read
	line    []byte // the beginning of one
	tail    [5]byte
	offered string
	body    bool
}

func newParrot() *parrot { return &parrot{said: []byte("220 mx\r\n")} }

func (p *parrot) Read(b []byte) (int, error) {
	if len(p.said) == 0 {
		return 0, io.ErrNoProgress // it would wait for ever
	}
	n := copy(b, p.said)
	p.said = p.said[:copy(p.said, p.said[n:])]
	return n, nil
}

func (p *parrot) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		if p.body {
			rest = p.upload(rest)
			continue
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			p.line = append(p.line, rest...)
			break
		}
		p.line = append(p.line, rest[:i+1]...)
		rest = rest[i+1:]
		switch {
		case bytes.HasPrefix(p.line, []byte("EHLO")):
			p.said = append(append(append(p.said, "250-mx\r\n"...), p.offered...), "250 SIZE\r\n"...)
		case bytes.HasPrefix(p.line, []byte("DATA")):
			p.said = append(p.said, "354 Go ahead\r\n"...)
			p.body = true
		default:
			p.said = append(p.said, "250 2.0.0 Ok\r\n"...)
		}
		p.line = p.line[:0]
	}
	return len(b), nil
}

// upload takes a part of a body and returns what is behind its end.
func (p *parrot) upload(b []byte) []byte {
	const end = "\r\n.\r\n"
	for i := range min(len(b), len(end)) { // it may begin in what came before
		copy(p.tail[:], p.tail[1:])
		if p.tail[len(end)-1] = b[i]; string(p.tail[:]) == end {
			return p.finish(b[i+1:])
		}
	}
	if i := bytes.Index(b, []byte(end)); i >= 0 {
		return p.finish(b[i+len(end):])
	}
	copy(p.tail[:], b[max(len(b)-len(end), 0):])
	return nil
}

func (p *parrot) finish(rest []byte) []byte {
	p.body, p.tail = false, [5]byte{}
	p.said = append(p.said, "250 2.0.0 Ok: queued as 1234567890\r\n"...)
	return rest
}

func (p *parrot) Close() error                     { return nil }
func (p *parrot) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (p *parrot) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (p *parrot) SetDeadline(time.Time) error      { return nil }
func (p *parrot) SetReadDeadline(time.Time) error  { return nil }
func (p *parrot) SetWriteDeadline(time.Time) error { return nil }
