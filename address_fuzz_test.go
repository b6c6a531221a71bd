package smtpretry_test

import (
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// What may stand behind the path, to the end of the line: parameters that were
// asked for, in xtext, or in the unitext of RFC 6533 for ORCPT.
var (
	mailParams = regexp.MustCompile(`^( BODY=8BITMIME)?( SIZE=[0-9]+)?( SMTPUTF8)?( RET=(FULL|HDRS))?( ENVID=` + xtext + `)?( AUTH=` + xtext + `)?$`)
	rcptParams = regexp.MustCompile(`^( NOTIFY=[A-Z,]+)?( ORCPT=(RFC822;` + xtext + `|UTF-8;[^\x00- +=\x7f-\x{9f}]+))?( RRVS=[-0-9:TZ+]+)?( BY=-?[0-9]+;[NR]T?)?( MT-PRIORITY=-?[0-9])?$`)
)

const xtext = `([!-*,-<>-~]|\+[0-9A-F]{2})*`

// recorded passes on what it reads, and keeps it.
type recorded struct {
	net.Conn
	to *strings.Builder
}

func (r recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.to.Write(p[:n])
	return n, err
}

// FuzzAddress: what passes the checks makes one MAIL, and one RCPT for each
// recipient, with the addresses as they are and nothing besides what was asked
// for.
func FuzzAddress(f *testing.F) {
	f.Add("me@example.org", "you@example.net", "also@example.net", "id", "me@example.org", "you@example.net", uint16(0))
	f.Add("", "jürgen@example.net", "\"a b\"@example.net", "a+b=c", "", "jürgen@example.net", uint16(0xffff))
	f.Add("a@x> SIZE=1 AUTH=<", "a>\r\nRCPT TO:<b", "<c>", "id\r\nDATA", "\r\n.\r\n", "a\u0085b", uint16(0x1ff))
	f.Add("a\x00b", "\u202ea@b", "a\u00a0b\u2028", "\x7f", "\xff", "\xff\u2028", uint16(0x3f))
	f.Add("@a,@b:c@d", "a;b=c+d@e", "a@b,c@d", " ", " x=y", "+2B", uint16(0x155))
	f.Fuzz(func(t *testing.T, from, to, other, id, auth, original string, flags uint16) {
		has := func(bit int) bool { return flags>>bit&1 == 1 }
		m := note(to, other)
		m.From = from
		mail := smtp.MailOptions{EnvelopeID: id, UTF8: has(0)}
		rcpt := smtp.RcptOptions{OriginalRecipient: original, OriginalRecipientType: smtp.DSNAddressTypeRFC822}
		if has(1) {
			mail.Return = smtp.DSNReturnHeaders
		}
		if has(2) {
			mail.Auth = &auth
		}
		if has(3) {
			rcpt.OriginalRecipientType = smtp.DSNAddressTypeUTF8
		}
		if has(4) {
			rcpt.Notify = []smtp.DSNNotify{smtp.DSNNotify(id)}
		}
		if has(5) {
			rcpt.DeliverBy = &smtp.DeliverByOptions{Time: time.Duration(flags) * time.Second, Mode: smtp.DeliverByMode(auth), Trace: true}
		}
		if has(6) {
			rcpt.RequireRecipientValidSince = time.Unix(int64(flags)<<22, 0)
		}
		if has(7) {
			priority := int(flags >> 8)
			rcpt.MTPriority = &priority
		}
		if has(8) {
			mail.Return = smtp.DSNReturn(id)
		}
		m.MailOptions = &mail
		m.RcptOptions = func(string) *smtp.RcptOptions { return &rcpt }

		synctest.Test(t, func(t *testing.T) {
			var said strings.Builder
			serve := polite(func(line string) string {
				if strings.HasPrefix(line, "EHLO") {
					return "250-mx.example\r\n250-SIZE\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-AUTH PLAIN\r\n" +
						"250-DELIVERBY\r\n250-MT-PRIORITY\r\n250 RRVS\r\n"
				}
				return ""
			})
			c := hostileClient(t, func(conn net.Conn) { serve(recorded{conn, &said}) }, nil)
			_, err := c.Send(t.Context(), m)
			c.Close()
			synctest.Wait()
			var field *smtpretry.FieldError
			if errors.As(err, &field) {
				if said.Len() != 0 {
					t.Fatalf("%v, but %q was said", err, said.String())
				}
				fitForLog(t, "the error", err.Error())
				return
			}
			if err != nil {
				t.Fatalf("neither refused nor sent: %v", err)
			}
			commands, body, _ := strings.Cut(said.String(), "DATA\r\n")
			if want := text + ".\r\n"; body != want {
				t.Fatalf("after DATA came %q", body)
			}
			lines := strings.Split(commands, "\r\n")
			rcpts := []string{to}
			if other != to && !sameButCase(to, other) {
				rcpts = append(rcpts, other)
			}
			if len(lines) != 3+len(rcpts) || !strings.HasPrefix(lines[0], "EHLO ") {
				t.Fatalf("said %q", commands)
			}
			if strings.ContainsAny(commands, "\x00") || slices.ContainsFunc(lines, func(l string) bool { return strings.ContainsAny(l, "\r\n") }) {
				t.Fatalf("said %q", commands)
			}
			rest, ok := strings.CutPrefix(lines[1], "MAIL FROM:<"+from+">")
			if !ok || !mailParams.MatchString(rest) {
				t.Errorf("said %q for %q", lines[1], from)
			}
			for i, to := range rcpts {
				rest, ok := strings.CutPrefix(lines[2+i], "RCPT TO:<"+to+">")
				if !ok || !rcptParams.MatchString(rest) {
					t.Errorf("said %q for %q", lines[2+i], to)
				}
				if strings.ContainsAny(to, "<> \r\n\t\x00") || strings.ContainsAny(from, "<> \r\n\t\x00") {
					t.Errorf("%q and %q were let through", from, to)
				}
			}
		})
	})
}

// sameButCase says whether two addresses differ in the case of their domain
// only, so that one RCPT is sent for both.
func sameButCase(a, b string) bool {
	key := func(addr string) string {
		i := strings.LastIndexByte(addr, '@')
		return addr[:i+1] + strings.ToLower(addr[i+1:])
	}
	return key(a) == key(b)
}
