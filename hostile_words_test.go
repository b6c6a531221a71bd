package smtpretry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// ugly are words that a log must not show as they are: they end a line, move
// the cursor, turn the direction of writing, or never end.
var ugly = map[string]string{
	"CR":          "a\rlevel=ERROR msg=forged",
	"LF":          "a\n451 4.3.0 level=ERROR msg=forged",
	"ESC":         "\x1b[2J\x1b]0;owned\x07",
	"NUL":         "a\x00b\x7f\x08",
	"C1":          "\u009b31m\u0085forged",
	"separators":  "a\u2028forged\u2029forged",
	"bidi":        "\u202egnp.exe\u2066\u200f",
	"tags":        "a\U000e0041\ufeff\u00ad",
	"no UTF-8":    "\xff\xfe\x9b2J\xc0\x8a",
	"many lines":  strings.Repeat("go away\n451-4.3.0 ", 200) + "\n451 4.3.0 done",
	"a long line": strings.Repeat("x\u202e", 400),
}

// fitForLog checks that s is one bounded line of what can be printed.
func fitForLog(t *testing.T, what, s string) {
	t.Helper()
	if len(s) > 6000 {
		t.Errorf("%s has %d octets", what, len(s))
		s = s[:6000]
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s holds what cannot be printed, at %d: %q", what, i, s)
	}
}

// TestUglyReplies: whatever the server says, and where, a log gets a line that
// the server has no hand in, of bounded length.
func TestUglyReplies(t *testing.T) {
	stages := []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.Mail, testserver.Rcpt, testserver.Data, testserver.Dot}
	for name, words := range ugly {
		for _, stage := range stages {
			t.Run(name+"/"+string(stage), func(t *testing.T) {
				first, rest, more := strings.Cut(words, "\n")
				reply := "451 4.3.0 " + first
				if more {
					reply = "451-4.3.0 " + first + "\n" + rest
				}
				cfg := testserver.Config{Script: testserver.Script{
					testserver.On(stage, testserver.Reply(reply)),
					testserver.On(stage, testserver.Raw(first+"\r\n")), // no reply at all
					testserver.On(testserver.Dot, testserver.Reply(strings.ReplaceAll(reply, "451", "250"))),
				}}
				bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
					var log bytes.Buffer
					c := client(t, srv, func(cfg *smtpretry.Config) {
						cfg.Policy.MaxAttempts = 1
						cfg.Logger = slog.New(&plainHandler{&log})
					})
					for range 3 {
						res, err := c.Send(t.Context(), note("a@example.net"))
						if err != nil {
							fitForLog(t, "the error", err.Error())
						}
						for _, a := range res.Attempts {
							fitForLog(t, "Verdict.Text", a.Verdict.Text)
							fitForLog(t, "Verdict.String", a.Verdict.String())
						}
						fitForLog(t, "Queued", res.Queued)
						time.Sleep(2 * time.Minute) // the host is paused
					}
					for line := range strings.Lines(log.String()) {
						if !strings.HasPrefix(line, "smtp ") {
							t.Errorf("a line of its own: %q", line)
						}
						fitForLog(t, "the log line", strings.TrimSuffix(line, "\n"))
					}
				})
			})
		}
	}
}

// TestUglyInput: what came with a message, and is refused, is shown escaped.
func TestUglyInput(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		for name, words := range ugly {
			bad := words + " @example.net"
			_, err := c.Send(t.Context(), note(bad))
			wantField(t, err, "Message.To[0]")
			fitForLog(t, name+" in To", err.Error())

			m := note("a@example.net")
			m.From = bad
			_, err = c.Send(t.Context(), m)
			wantField(t, err, "Message.From")
			fitForLog(t, name+" in From", err.Error())

			m = note("a@example.net")
			m.MailOptions = &smtp.MailOptions{EnvelopeID: words + "\n"}
			_, err = c.Send(t.Context(), m)
			wantField(t, err, "Message.MailOptions.EnvelopeID")
			fitForLog(t, name+" in EnvelopeID", err.Error())
		}

		// This address may be sent to, but its name in an error must not
		// turn the line around.
		m := note("a\u202e@example.net")
		m.RcptOptions = func(string) *smtp.RcptOptions { return &smtp.RcptOptions{Notify: []smtp.DSNNotify{"\u202e"}} }
		_, err := c.Send(t.Context(), m)
		fitForLog(t, "RcptOptions", err.Error())

		m = note("a@example.net")
		m.Body = body("x")
		m.Size = 2
		_, err = c.Send(t.Context(), m)
		fitForLog(t, "the body's error", err.Error())
	})
	for name, words := range ugly {
		for _, cfg := range []smtpretry.Config{
			{Host: words, Dialer: &smtpretry.Dialer{Addr: "mx.example:25"}},
			{Dialer: &smtpretry.Dialer{Addr: words + ":25"}},
			{Dialer: &smtpretry.Dialer{Addr: words}},
		} {
			_, err := smtpretry.New(cfg)
			if err == nil {
				t.Errorf("%s as the name of a host is taken", name)
				continue
			}
			fitForLog(t, name+" in the configuration", err.Error())
		}
	}
}
