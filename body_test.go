package smtpretry_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestBodies arrive as they were, but with CRLF at the end of lines.
func TestBodies(t *testing.T) {
	long := strings.Repeat(strings.Repeat("y", 996)+"\r\n", 200)
	tests := []struct{ name, body, want string }{
		{"CRLF", text, text},
		{"LF only", "Subject: x\n\nhello\n", "Subject: x\r\n\r\nhello\r\n"},
		{"no line end", "Subject: x\r\n\r\nhello", "Subject: x\r\n\r\nhello\r\n"},
		{"a dot alone", "a\r\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"dots", "..\r\n...\r\n.a\r\n", "..\r\n...\r\n.a\r\n"},
		{"a dot first", ".\r\n", ".\r\n"},
		{"LF and dots", "a\n.\nb\n", "a\r\n.\r\nb\r\n"},
		{"long", long, long},
		{"a dot at the border of chunks", long[:32<<10-2] + "\r\n.\r\nMAIL FROM:<x@example.org>\r\n", long[:32<<10-2] + "\r\n.\r\nMAIL FROM:<x@example.org>\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				m := note("a@example.net")
				m.Body, m.Size = body(test.body), int64(len(test.body))
				if _, err := c.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				holds(t, srv, test.want, "a@example.net")
			})
		})
	}
}

// failing reads s and then fails.
func failing(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(s), iotest.ErrReader(errBroken))), nil
	}
}

var errBroken = errors.New("the disk is broken")

// TestFaultyBody: nothing of it is accepted, no QUIT and no RSET ends it, and
// the next message goes out as ever.
func TestFaultyBody(t *testing.T) {
	tests := []struct {
		name  string
		body  func() (io.ReadCloser, error)
		size  int64
		field string
	}{
		{"cannot be opened", func() (io.ReadCloser, error) { return nil, errBroken }, 0, "Message.Body"},
		{"is nothing", func() (io.ReadCloser, error) { return nil, nil }, 0, "Message.Body"},
		{"fails at once", failing(""), 0, "Message.Body"},
		{"fails early", failing(text), 0, "Message.Body"},
		{"fails in the middle", failing(bigText), 0, "Message.Body"},
		{"is longer", body(text), int64(len(text)) - 1, "Message.Size"},
		{"is shorter", body(text), int64(len(text)) + 1, "Message.Size"},
		{"is longer, big", body(bigText), int64(len(bigText)) - 1, "Message.Size"},
		{"is shorter, big", body(bigText), int64(len(bigText)) + 1, "Message.Size"},
		{"is empty, with a size", body(""), 1, "Message.Size"},
		{"has a bare CR", body("a\rb\r\n"), 0, "Message.Body"},
		{"ends in a bare CR", body("a\r"), 0, "Message.Body"},
		{"has a bare CR far behind", body(bigText + "\r.\r\n"), 0, "Message.Body"},
		{"has CR CR LF", body("a\r\r\nb\r\n"), 0, "Message.Body"},
	}
	for _, mode := range []string{fresh, withoutDial} {
		for _, test := range tests {
			t.Run(mode+"/"+test.name, func(t *testing.T) {
				bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
					c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.RetryInDoubt = true })
					if mode == withoutDial {
						c = wrapped(t, srv)
					}
					m := note("a@example.net")
					m.Body, m.Size = test.body, test.size
					res, err := c.Send(t.Context(), m)
					var field *smtpretry.FieldError
					if !errors.As(err, &field) || field.Field != test.field {
						t.Errorf("got %v, want a *FieldError for %s", err, test.field)
					}
					if strings.Contains(test.name, "fails") && !errors.Is(err, errBroken) {
						t.Errorf("%v does not hold the reader's error", err)
					}
					wantOneReason(t, err)
					wantStates(t, res, deferred)
					if said := srv.Transcript(); strings.Contains(said, "QUIT") || strings.Contains(said, "RSET") {
						t.Errorf("more was said after a broken body:\n%s", said)
					}
					holds(t, srv, text)
					if mode == fresh {
						if _, err := c.Send(t.Context(), note("b@example.net")); err != nil {
							t.Error(err)
						}
						holds(t, srv, text, "b@example.net")
					}
				})
			})
		}
	}
}

// TestBodyIsClosed after each attempt.
func TestBodyIsClosed(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Reply("451 4.3.0 Not now")),
		testserver.On(testserver.Dot, testserver.Reply("451 4.3.0 Not now")),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		opened, closed := 0, 0
		m := note("a@example.net")
		m.Body = func() (io.ReadCloser, error) {
			opened++
			return closer{strings.NewReader(text), func() { closed++ }}, nil
		}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if opened != 3 || closed != 3 {
			t.Errorf("opened %d times, closed %d times, want 3 each", opened, closed)
		}
	})
}

type closer struct {
	io.Reader
	f func()
}

func (c closer) Close() error { c.f(); return nil }

// TestChangedBody: what is sent again must be what may have arrived.
func TestChangedBody(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Dot, testserver.Close().Keep())}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.RetryInDoubt = true })
			m, n := note("a@example.net"), 0
			m.Body = func() (io.ReadCloser, error) {
				n++
				return io.NopCloser(strings.NewReader(strings.Replace(text, "there", "there"[n-1:], 1))), nil
			}
			res, err := c.Send(t.Context(), m)
			var field *smtpretry.FieldError
			if !errors.As(err, &field) || field.Field != "Message.Body" {
				t.Errorf("got %v, want a *FieldError for Message.Body", err)
			}
			wantOneReason(t, err, smtpretry.ErrInDoubt)
			wantStates(t, res, inDoubt)
			holds(t, srv, text, "a@example.net")
		})
}

// TestEarlyRefusal: what a server says in the middle of the body counts, even
// if its closing is seen first.
func TestEarlyRefusal(t *testing.T) {
	no := testserver.Reply("552 5.3.4 Too big for us").AtByte(100_000)
	for name, do := range map[string]*testserver.Action{
		"and closes":        no.ThenClose(),
		"and stops reading": no.ThenStall(),
		"and reads on":      no,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Body, do)}}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				m := note("a@example.net")
				m.Body = body(bigText)
				res, err := c.Send(t.Context(), m)
				wantStates(t, res, rejected)
				wantOneReason(t, err, smtpretry.ErrRejected)
				if v := res.Recipients[0].Verdict; v.Code != 552 || v.Cause != smtpretry.CauseSize {
					t.Errorf("verdict %v, want the 552", v)
				}
				holds(t, srv, text)
			})
		})
	}
}

// TestBareCR compares the check with a plain one, on random bodies and at the
// borders of what is read at a time.
func TestBareCR(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	const chunk = smtpretry.BodyChunk
	check := func(b []byte) {
		t.Helper()
		got, err := smtpretry.ReadBody(b, rnd.IntN(3) == 0)
		bare := bytes.Contains(bytes.ReplaceAll(b, []byte("\r\n"), nil), []byte("\r"))
		// Taking CRLF out can bring a CR and an LF together, but never hides one.
		switch {
		case bare != (err != nil):
			t.Fatalf("seed %d: error %v for a body of %d octets with a bare CR: %v", seed, err, len(b), bare)
		case err == nil && !bytes.Equal(got, b):
			t.Fatalf("seed %d: read %d octets, want the %d of the body", seed, len(got), len(b))
		}
	}
	for at := chunk - 3; at <= chunk+3; at++ {
		for _, ins := range []string{"\r", "\r\n", "\n\r", "\r\r\n", "\r\n\r\n", "\r\n\r"} {
			for _, n := range []int{at, at + 1, 2*chunk - len(ins), 2 * chunk} {
				b := append(bytes.Repeat([]byte("x"), at), ins...)
				check(append(b, bytes.Repeat([]byte("x"), max(n-at, 0))...))
				check(b)
			}
		}
	}
	alphabet := []byte("\r\n\n.x")
	for range 2000 {
		b := make([]byte, rnd.IntN(12))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		check(b)
		check(append(bytes.Repeat([]byte("x"), chunk-rnd.IntN(8)), b...))
	}
}
