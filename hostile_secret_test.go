package smtpretry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

const (
	canarySecret = "Canary-Secret w0rd/7"
	canaryBody   = "Canary-Body-Line 0123456789"
)

// mechanisms make a fresh client of each kind that knows canarySecret.
var mechanisms = map[string]func() sasl.Client{
	"PLAIN": func() sasl.Client { return sasl.NewPlainClient("", "me@example.org", canarySecret) },
	"LOGIN": func() sasl.Client { return sasl.NewLoginClient("me@example.org", canarySecret) },
	"OAUTHBEARER": func() sasl.Client {
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "me@example.org", Token: canarySecret})
	},
	"XOAUTH2": func() sasl.Client {
		return mechanism{name: "XOAUTH2",
			start: func() ([]byte, error) { return []byte("user=me\x01auth=Bearer " + canarySecret + "\x01\x01"), nil },
			next:  func([]byte) ([]byte, error) { return []byte{}, nil }}
	},
	"CRAM-MD5": func() sasl.Client { // shows a digest only; here it is the secret itself
		return mechanism{name: "CRAM-MD5", next: func([]byte) ([]byte, error) { return []byte("me " + canarySecret), nil }}
	},
	"SCRAM-SHA-256": func() sasl.Client {
		return mechanism{name: "SCRAM-SHA-256",
			start: func() ([]byte, error) { return []byte("n,,n=me,r=" + canarySecret), nil },
			next:  func([]byte) ([]byte, error) { return []byte("c=biws,p=" + canarySecret), nil }}
	},
}

// echoes are what servers make of a line of AUTH that they refuse.
var echoes = map[string]func(line string) string{
	"plain refusal": func(string) string { return "535 5.7.8 No\r\n" },
	"temporary":     func(string) string { return "454 4.7.0 Later\r\n" },
	"the line":      func(l string) string { return "500 5.5.1 Command unrecognized: \"" + l + "\"\r\n" },
	"no space":      func(l string) string { return "535 <" + l + ">\r\n" },
	"on two lines":  func(l string) string { return "535-5.7.8 Not\r\n535 5.7.8 " + l + "\r\n" },
	"cut off":       func(l string) string { return "500 5.5.1 " + l[:len(l)*3/4] + "...\r\n" },
	"the end of it": func(l string) string { return "500 5.5.1 ..." + l[len(l)/3:] + "\r\n" },
	"decoded": func(l string) string {
		return "535 5.7.8 Bad: " + strings.ReplaceAll(decoded(l), "\x00", " ") + "!\r\n"
	},
	"the secret": func(l string) string {
		if strings.Contains(decoded(l), canarySecret) {
			return "535 5.7.8 '" + canarySecret + "' is wrong\r\n"
		}
		return "535 5.7.8 No\r\n" // it has not been sent yet
	},
	"no reply":    func(l string) string { return l + " is wrong\r\n" },
	"code only":   func(l string) string { return "5" + l + "\r\n" },
	"a challenge": func(l string) string { return "334 " + coded(`{"status":"`+decodedText(l)+`"}`) + "\r\n" },
	"hangs up":    func(string) string { return "\r\n" },
}

func coded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func decoded(line string) string {
	words := strings.Fields(line)
	b, _ := base64.StdEncoding.DecodeString(words[len(words)-1])
	return string(b)
}

func decodedText(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, decoded(line))
}

// A leak looks for what must not be told in all that is.
type leak struct {
	t     *testing.T
	words []string
	log   bytes.Buffer
	told  []string
}

// forbid adds s, in the forms in which it could come out.
func (l *leak) forbid(s string) {
	quoted := strconv.Quote(s)
	l.words = append(l.words, s, coded(s), hex.EncodeToString([]byte(s)), quoted[1:len(quoted)-1], strconv.QuoteToASCII(s))
}

// forbidParts forbids every part of s that is long enough to be of use.
func (l *leak) forbidParts(s string) {
	const part = 12
	for i := range max(len(s)-part+1, 0) {
		l.words = append(l.words, s[i:i+part])
	}
}

func (l *leak) tell(v any) {
	b, _ := json.Marshal(v)
	l.told = append(l.told, fmt.Sprintf("%v\n%+v\n%#v\n", v, v, v), string(b))
}

// error tells err and all that it wraps.
func (l *leak) error(err error) {
	if err == nil {
		return
	}
	l.tell(err)
	l.told = append(l.told, err.Error())
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		l.error(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range e.Unwrap() {
			l.error(e)
		}
	}
}

func (l *leak) check() {
	l.t.Helper()
	said := strings.Join(l.told, "\n") + l.log.String()
	for _, word := range l.words {
		if i := strings.Index(said, word); i >= 0 {
			l.t.Errorf("%q is told: %q", word, said[max(0, i-60):min(len(said), i+len(word)+60)])
			return
		}
	}
}

// watch makes c tell l all it can.
func (l *leak) watch(cfg *smtpretry.Config) {
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	cfg.Logger = slog.New(manyHandlers{
		slog.NewTextHandler(&l.log, debug), slog.NewJSONHandler(&l.log, debug), &plainHandler{&l.log}})
	cfg.Trace = &smtpretry.Trace{
		Attempted: func(a smtpretry.Attempt) { l.tell(a); l.error(a.Err) },
		Waiting:   func(w smtpretry.Wait) { l.tell(w) },
	}
	cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{})
}

type manyHandlers []slog.Handler

func (m manyHandlers) Enabled(context.Context, slog.Level) bool { return true }
func (m manyHandlers) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m manyHandlers) WithGroup(string) slog.Handler            { return m }

func (m manyHandlers) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	for _, h := range m {
		errs = append(errs, h.Handle(ctx, r))
	}
	return errors.Join(errs...)
}

// TestSecretsStayUntold: with no mechanism and no server, whatever it repeats
// of what it was sent, does a secret come into logs, traces, errors or
// results.
func TestSecretsStayUntold(t *testing.T) {
	for mech, fresh := range mechanisms {
		for name, echo := range echoes {
			for _, later := range []bool{false, true} { // echoed after a question
				t.Run(fmt.Sprintf("%s/%s/%v", mech, name, later), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						l := &leak{t: t}
						l.forbid(canarySecret)
						within := false
						c := hostileClient(t, polite(func(line string) string {
							first := strings.HasPrefix(line, "AUTH ")
							if line == "" || line == "*" || !first && !within {
								within = false
								return ""
							}
							l.forbidParts(strings.TrimPrefix(strings.TrimPrefix(line, "AUTH "+mech), " "))
							l.forbidParts(decoded(line))
							within = true
							if first && later {
								return "334 " + coded("Password:") + "\r\n"
							}
							return echo(line)
						}), func(cfg *smtpretry.Config) {
							l.watch(cfg)
							cfg.Policy.MaxAttempts = 2
							cfg.Auth = func(context.Context) (sasl.Client, error) { return fresh(), nil }
						})
						for range 2 { // the second meets the hold
							res, err := c.Send(t.Context(), note("a@example.net"))
							if err == nil {
								t.Error("no error")
							}
							l.tell(res)
							l.error(err)
							time.Sleep(time.Minute)
						}
						l.error(c.Auth(fresh())) // by hand, on a connection of its own
						l.check()
						if l.log.Len() == 0 {
							t.Error("nothing was told")
						}
					})
				})
			}
		}
	}
}

// TestBodiesStayUntold: what fails at any stage tells nothing of the body, nor
// of the secret that was accepted.
func TestBodiesStayUntold(t *testing.T) {
	for _, verb := range []string{"", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", ".", "RSET", "none"} {
		for _, reply := range []string{"451 4.3.0 Later\r\n", "550 5.7.1 No\r\n", "421 4.3.2 Bye\r\n", "299 Hm\r\n", "garbage\r\n"} {
			synctest.Test(t, func(t *testing.T) {
				l := &leak{t: t}
				l.forbid(canarySecret)
				l.forbidParts(canaryBody)
				l.forbid(canaryBody)
				c := hostileClient(t, polite(func(line string) string {
					if got, _, _ := strings.Cut(line, " "); got == verb {
						return reply
					}
					return ""
				}), func(cfg *smtpretry.Config) {
					l.watch(cfg)
					cfg.Policy.MaxAttempts = 2
					cfg.Auth = func(context.Context) (sasl.Client, error) { return mechanisms["PLAIN"](), nil }
				})
				for _, content := range []string{canaryBody, canaryBody + "\r" + canaryBody, strings.Repeat(canaryBody+"\r\n", 3000) + "\r."} {
					for _, size := range []int64{0, 5, 1_000_001} {
						m := note("a@example.net", "b@example.net")
						m.Body, m.Size = body(content), size
						res, err := c.Send(t.Context(), m)
						l.tell(res)
						l.error(err)
						l.error(c.SendMail(m.From, m.To, strings.NewReader(content)))
						l.error(second(c.Try(t.Context(), m)))
						time.Sleep(time.Hour)
					}
				}
				l.check()
			})
		}
	}
}
