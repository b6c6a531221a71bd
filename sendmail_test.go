package smtpretry_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// pipe hides everything but Read.
func pipe(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }

// TestSendMail: the body survives a second try, however it comes, and the
// second try sends all of it: go-smtp's would send an empty message.
func TestSendMail(t *testing.T) {
	huge := strings.Repeat(strings.Repeat("z", 98)+"\r\n", 20_000) // 2 MB: does not stay in memory
	notNow := testserver.Reply("451 4.3.0 Not now")
	const small = 64 << 10 // a MaxSpool
	tests := []struct {
		name  string
		body  string
		r     func(s string) io.Reader
		spool int64
		fault testserver.Stage
		want  error // nil: delivered
	}{
		{"seekable", bigText, func(s string) io.Reader { return strings.NewReader(s) }, 0, testserver.Dot, nil},
		{"seekable, beyond MaxSpool", bigText, func(s string) io.Reader { return strings.NewReader(s) }, -1, testserver.Dot, nil},
		{"seekable, not from its start", bigText, func(s string) io.Reader {
			r := strings.NewReader("skipped" + s)
			_, _ = io.CopyN(io.Discard, r, 7)
			return r
		}, 0, testserver.Dot, nil},
		{"pipe, in memory", bigText, pipe, 0, testserver.Dot, nil},
		{"pipe, in a file", huge, pipe, 0, testserver.Dot, nil},
		{"pipe, as long as MaxSpool", bigText, pipe, int64(len(bigText)) + 1, testserver.Dot, nil},
		{"pipe, too long", bigText, pipe, small, testserver.Dot, smtpretry.ErrNotReplayable},
		{"pipe, too long for the file", huge, pipe, int64(len(huge)) - 1, testserver.Dot, smtpretry.ErrNotReplayable},
		{"pipe, too long, but not read yet", bigText, pipe, small, testserver.Rcpt, nil},
		{"pipe, nothing kept", bigText, pipe, -1, testserver.Dot, smtpretry.ErrNotReplayable},
		{"pipe, nothing kept, but not read yet", bigText, pipe, -1, testserver.Mail, nil},
		{"short pipe, nothing kept", text, pipe, -1, testserver.Dot, nil},
		{"bytes.Buffer", bigText, func(s string) io.Reader { return bytes.NewBufferString(s) }, 0, testserver.Dot, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			bubble(t, testserver.Config{Script: testserver.Script{testserver.On(test.fault, notNow)}}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxSpool = test.spool })
				err := c.SendMail("me@example.org", []string{"a@example.net"}, test.r(test.body))
				if test.want == nil {
					if err != nil {
						t.Error(err)
					}
					holds(t, srv, test.body, "a@example.net")
					return
				}
				wantOneReason(t, err, test.want)
				if reply := replyIn(err); reply == nil || reply.Code != 451 {
					t.Errorf("%v does not hold the 451", err)
				}
				holds(t, srv, test.body)
			})
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestSendMailBadInput: nothing is read and nothing goes on the wire.
func TestSendMailBadInput(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		r := bytes.NewBufferString(text)
		for field, err := range map[string]error{
			"r":               c.SendMail("me@example.org", []string{"a@example.net"}, nil),
			"Message.From":    c.SendMail("me@example.org>", []string{"a@example.net"}, r),
			"Message.To":      c.SendMail("me@example.org", nil, r),
			"Message.To[0]":   c.SendMail("me@example.org", []string{"a b@example.net"}, r),
			"Message.Body":    c.SendMail("me@example.org", []string{"a@example.net"}, pipe("a\rb")),
			"r: a broken one": c.SendMail("me@example.org", []string{"a@example.net"}, io.MultiReader(pipe(text), brokenReader{})),
		} {
			field, _, _ = strings.Cut(field, ":")
			var bad *smtpretry.FieldError
			if !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("got %v, want a *FieldError for %s", err, field)
			}
		}
		if r.Len() != len(text) {
			t.Error("the body was read")
		}
		if said := srv.Transcript(); strings.Contains(said, "MAIL") {
			t.Errorf("something was sent:\n%s", said)
		}
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

// TestSendMailTooLarge: a size that is known is compared before the upload.
func TestSendMailTooLarge(t *testing.T) {
	for name, r := range map[string]io.Reader{"seekable": strings.NewReader(bigText), "pipe": pipe(bigText)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{MaxSize: 100_000}, func(t *testing.T, srv *testserver.Server) {
				err := client(t, srv, nil).SendMail("me@example.org", []string{"a@example.net"}, r)
				wantOneReason(t, err, smtpretry.ErrRejected)
				if strings.Contains(srv.Transcript(), "MAIL") {
					t.Error("it was sent")
				}
			})
		})
	}
}

// TestPackageSendMail runs over TCP on loopback.
func TestPackageSendMail(t *testing.T) {
	srv, err := testserver.Listen(testserver.Config{Users: map[string]string{"me": "right"}, RequireAuth: true}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	auth := sasl.NewPlainClient("", "me", "right")
	if err := smtpretry.SendMail(srv.Addr(), auth, "me@example.org", []string{"a@example.net"}, pipe(text)); err != nil {
		t.Fatal(err)
	}
	holds(t, srv, text, "a@example.net")
	if said := srv.Transcript(); !strings.Contains(said, "QUIT") {
		t.Errorf("no QUIT:\n%s", said)
	}
	err = smtpretry.SendMail(srv.Addr(), sasl.NewPlainClient("", "me", "wrong"), "me@example.org", []string{"a@example.net"}, pipe(text))
	wantOneReason(t, err, smtpretry.ErrRefused)
	if err := smtpretry.SendMail("no port", nil, "me@example.org", []string{"a@example.net"}, pipe(text)); err == nil {
		t.Error("no error for an address without a port")
	}
	if err := smtpretry.SendMailTLS(srv.Addr(), nil, "me@example.org", []string{"a@example.net"}, pipe(text)); err == nil {
		t.Error("no error where TLS is wanted and there is none")
	}
}
