package smtpretry_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/memnet"
)

// flood answers verb with line again and again, ten million times at most, and
// everything else as a correct server does. seen is told now and then how many
// octets are out.
func flood(verb, line string, seen func(octets int)) hostile {
	block := strings.Repeat(line, 1+4000/len(line))
	return func(conn net.Conn) {
		polite(func(said string) string {
			if got, _, _ := strings.Cut(said, " "); got != verb {
				return ""
			}
			out := 0
			for n := 0; out < 10_000_000; n++ {
				if _, err := conn.Write([]byte(block)); err != nil {
					break
				}
				if out += len(block); n%8 == 0 {
					seen(out)
				}
			}
			return "250 done\r\n"
		})(conn)
	}
}

// floods are replies that do not end, by what they answer to.
var floods = []struct{ name, verb, line string }{
	{"greeting, many lines", "", "220-x\r\n"},
	{"greeting, one line", "", "2"},
	{"EHLO, many lines", "EHLO", "250-x\r\n"},
	{"EHLO, long lines", "EHLO", "250-" + strings.Repeat("x", 1900) + "\r\n"},
	{"EHLO, one line", "EHLO", "2"},
	{"AUTH, many lines", "AUTH", "334-eA==\r\n"},
	{"AUTH, one line", "AUTH", "3"},
	{"MAIL, many lines", "MAIL", "250-x\r\n"},
	{"MAIL, line ends", "MAIL", "\r\n"},
	{"RCPT, many lines", "RCPT", "550-x\r\n"},
	{"DATA, many lines", "DATA", "354-x\r\n"},
	{"dot, many lines", ".", "250-x\r\n"},
	{"dot, lines", ".", "250-" + strings.Repeat("x", 250) + "\r\n"},
	{"dot, long lines", ".", "550-" + strings.Repeat("x", 1900) + "\r\n"},
	{"dot, one line", ".", "5"},
	{"dot, NULs", ".", "\x00"},
}

// wrappedHostile makes a Client around a go-smtp client of a hostile server.
func wrappedHostile(t *testing.T, serve hostile) *smtpretry.Client {
	t.Helper()
	near, far := memnet.Pipe()
	go func() {
		defer far.Close()
		serve(far)
	}()
	c, err := smtpretry.Wrap(smtp.NewClient(near), smtpretry.Config{Host: "mx.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); far.Close() })
	return c
}

// TestFloods: of a reply that does not end little is read, on a wrapped
// client, too, and by hand.
func TestFloods(t *testing.T) {
	for _, flooded := range floods {
		for _, way := range []string{"Send", "LMTP", "by hand", "wrapped", "wrapped, by hand"} {
			t.Run(flooded.name+"/"+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					verb := flooded.verb
					var out atomic.Int64
					if way == "LMTP" && verb == "EHLO" {
						verb = "LHLO"
					}
					serve := flood(verb, flooded.line, func(n int) { out.Store(max(out.Load(), int64(n))) })
					var c *smtpretry.Client
					if strings.HasPrefix(way, "wrapped") {
						c = wrappedHostile(t, serve)
					} else {
						c = hostileClient(t, serve, func(cfg *smtpretry.Config) {
							with(mechanisms["PLAIN"]())(cfg)
							cfg.Dialer.LMTP = way == "LMTP"
						})
					}
					if flooded.verb == "AUTH" && c.Auth(mechanisms["PLAIN"]()) == nil {
						t.Error("AUTH: no error")
					}
					start := time.Now()
					var err error
					if strings.HasSuffix(way, "by hand") {
						err = byHand(c, "a@example.net")
					} else {
						_, err = c.Send(t.Context(), note("a@example.net"))
					}
					if err == nil && (flooded.verb != "AUTH" || !strings.HasPrefix(way, "wrapped")) {
						t.Error("no error")
					}
					c.Close()
					synctest.Wait()
					most := out.Load()
					if most < 100 && verb != "AUTH" {
						t.Errorf("only %d octets were sent", most)
					}
					// What the network holds in its buffers counts as sent.
					if most > 64<<10+memnet.DefaultBuffer+10_000 {
						t.Errorf("%d octets were taken", most)
					}
					took(t, start, 0, 20*time.Minute)
				})
			})
		}
	}
}

// TestAfterFlood: by hand, too, nothing more is done on a connection on which
// the rest of a reply is still to come.
func TestAfterFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := 0
		c := hostileClient(t, polite(func(line string) string {
			if line == "" {
				conns++
			}
			if line == "NOOP" && conns == 1 {
				return strings.Repeat("250-x\r\n", 30_000) + "250 done\r\n"
			}
			return ""
		}), nil)
		if err := c.Noop(); err == nil {
			t.Error("no error")
		}
		if err := c.Noop(); err != nil || conns != 2 {
			t.Errorf("%v, over %d connections", err, conns)
		}
	})
}

// TestShortLinesWrapped: a body of many short lines is not held against the
// reply to it.
func TestShortLinesWrapped(t *testing.T) {
	for _, way := range []string{"Send", "by hand"} {
		synctest.Test(t, func(t *testing.T) {
			c := wrappedHostile(t, polite(func(string) string { return "" }))
			content := strings.Repeat("\r\n", 100_000)
			for range 3 {
				var err error
				if way == "Send" {
					m := note("a@example.net")
					m.Body = body(content)
					_, err = c.Send(t.Context(), m)
				} else {
					err = byHandBody(c, content)
				}
				if err != nil {
					t.Errorf("%s: %v", way, err)
				}
			}
		})
	}
}

func byHandBody(c *smtpretry.Client, content string) error {
	if err := c.Mail("me@example.org", nil); err != nil {
		return err
	}
	if err := c.Rcpt("a@example.net", nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(content)); err != nil {
		return err
	}
	return w.Close()
}

// TestManyRecipients: long refusals for each of many recipients are not taken
// for a reply without an end.
func TestManyRecipients(t *testing.T) {
	refusal := strings.Repeat("550-5.1.1 "+strings.Repeat("x", 100)+"\r\n", 50) + "550 5.1.1 No\r\n"
	var to []string
	for i := range 300 {
		to = append(to, strings.Repeat("a", 1+i/26)+string(rune('a'+i%26))+"@example.net")
	}
	for _, way := range []string{"Send", "wrapped"} {
		synctest.Test(t, func(t *testing.T) {
			serve := polite(func(line string) string {
				if strings.HasPrefix(line, "RCPT") && !strings.Contains(line, "<ab@") {
					return refusal
				}
				return ""
			})
			c := hostileClient(t, serve, nil)
			if way == "wrapped" {
				c = wrappedHostile(t, serve)
			}
			res, err := c.Send(t.Context(), note(to...))
			if res.String() != "1 accepted, 299 rejected" {
				t.Errorf("%s: %v", way, err)
			}
		})
	}
}
