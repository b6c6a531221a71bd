package smtpretry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

// TestDrip: a reply of which an octet comes now and then has as much time as
// any other reply, and no more.
func TestDrip(t *testing.T) {
	for _, verb := range []string{"", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."} {
		t.Run("to "+verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				serve := func(conn net.Conn) {
					polite(func(line string) string {
						if got, _, _ := strings.Cut(line, " "); got != verb {
							return ""
						}
						for _, c := range usual(line)[:3] + "-" + strings.Repeat("x", 1000) {
							if _, err := conn.Write([]byte(string(c))); err != nil {
								break
							}
							time.Sleep(100 * time.Second)
						}
						return usual(line)
					})(conn)
				}
				c := hostileClient(t, serve, with(mechanisms["PLAIN"]()))
				start := time.Now()
				if _, err := c.Send(t.Context(), note("a@example.net")); err == nil {
					t.Error("no error")
				}
				want := c.CommandTimeout
				if verb == "." {
					want = c.SubmissionTimeout
				}
				took(t, start, want, want)
				time.Sleep(time.Hour) // the server notices
			})
		})
	}
}

// sips reads an octet a second of a body, after the first n.
func sips(n int) hostile {
	return func(conn net.Conn) {
		r := bufio.NewReaderSize(conn, 16)
		fmt.Fprint(conn, usual(""))
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(conn, usual(strings.TrimSpace(line)))
			if strings.HasPrefix(line, "DATA") {
				break
			}
		}
		_, err := io.CopyN(io.Discard, r, int64(n))
		for err == nil {
			time.Sleep(time.Second)
			_, err = conn.Read(make([]byte, 1))
		}
	}
}

// TestSips: a server that takes the body an octet at a time is not one that
// makes progress; and a context ends it at once.
func TestSips(t *testing.T) {
	for _, n := range []int{0, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			m := note("a@example.net")
			m.Body = body(bigText)
			start := time.Now()
			res, err := hostileClient(t, sips(n), nil).Send(t.Context(), m)
			wantOneReason(t, err, smtpretry.ErrExhausted)
			wantStates(t, res, deferred)
			took(t, start, 3*time.Minute, 4*time.Minute)

			start = time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = hostileClient(t, sips(n), nil).Send(ctx, m)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			took(t, start, time.Minute, time.Minute)
			time.Sleep(24 * time.Hour) // the server gets to the end of what it was sent
		})
	}
}

// Test421ForEver: whatever is answered with 421, and however often the server
// takes a part before it does, attempts and connections are few.
func Test421ForEver(t *testing.T) {
	for _, verb := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		for _, wait := range []string{"", ", try again in 1 second", ", try again in 99 days"} {
			synctest.Test(t, func(t *testing.T) {
				conns := 0
				serve := polite(func(line string) string {
					if line == "" {
						conns++
					}
					if got, _, _ := strings.Cut(line, " "); got == verb {
						return "421 4.7.0 Too many connections" + wait + "\r\n"
					}
					return ""
				})
				c := hostileClient(t, serve, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 0 })
				start := time.Now()
				res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
				wantOneReason(t, err, smtpretry.ErrExhausted)
				wantStates(t, res, deferred, deferred)
				if conns > 12 || len(res.Attempts) != conns {
					t.Errorf("%q: %d connections for %d attempts", verb, conns, len(res.Attempts))
				}
				took(t, start, 0, 16*time.Minute)
			})
		}
	}
}
