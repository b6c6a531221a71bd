package letter_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/letter"
)

var now = time.Date(2026, 11, 27, 9, 30, 0, 0, time.FixedZone("", 3600))

func ptr(s string) *string { return &s }

// generated is a Message-ID that was made here.
var generated = regexp.MustCompile(`(?m)^Message-Id: <[A-Z0-9.]+@([a-z.]+)>`)

func TestNew(t *testing.T) {
	const whole = "Date: Fri, 1 Jan 2027 00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nFrom: me@example.org\r\n"
	for _, tt := range []struct {
		name, raw string
		o         letter.Options
		from      string
		to        []string
		want      string // "": raw
		utf8      bool
	}{
		{"nothing is changed", whole + "Subject: a\r\n\tfolded\r\nX-odd:no space \r\nTo: you@example.net\r\n\r\nHi.\r\n.\r\n \xff\r\n", letter.Options{FromHeader: true},
			"me@example.org", []string{"you@example.net"}, "", false},
		{"all fields are added", "Subject: hi\n\nHi.\n", letter.Options{To: []string{"you@example.net"}, User: "cron", Name: "Cron Daemon"},
			"cron@host.example", []string{"you@example.net"},
			"From: \"Cron Daemon\" <cron@host.example>\r\nDate: Fri, 27 Nov 2026 09:30:00 +0100\r\nMessage-Id: <ID@host.example>\r\nSubject: hi\r\n\r\nHi.\r\n", false},
		{"LF, no end", "Date: x\nMessage-ID: <1@x>\nFrom: me@example.org\nTo: you\n\na\r\nb\nc", letter.Options{FromHeader: true},
			"me@example.org", []string{"you@host.example"}, "Date: x\r\nMessage-ID: <1@x>\r\nFrom: me@example.org\r\nTo: you\r\n\r\na\r\nb\r\nc\r\n", false},
		{"recipients of all fields, Bcc goes", whole + "To: Ada <a@example.net>, b@example.net\r\nCc: c@example.net, A Group: d@example.net, e@example.net;\r\nBcc: f@example.net,\r\n a@EXAMPLE.net\r\nReturn-Path: <x@example.org>\r\n\r\nHi.\r\n", letter.Options{FromHeader: true, To: []string{"z@example.net"}},
			"me@example.org", []string{"z@example.net", "a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net", "f@example.net"},
			whole + "To: Ada <a@example.net>, b@example.net\r\nCc: c@example.net, A Group: d@example.net, e@example.net;\r\n\r\nHi.\r\n", false},
		{"resent", whole + "To: a@example.net\r\nResent-From: r@example.org\r\nResent-To: b@example.net\r\nResent-Bcc: c@example.net\r\n\r\n", letter.Options{FromHeader: true},
			"r@example.org", []string{"b@example.net", "c@example.net"}, whole + "To: a@example.net\r\nResent-From: r@example.org\r\nResent-To: b@example.net\r\n\r\n", false},
		{"sender", whole + "Sender: bot@example.org\r\n\r\n", letter.Options{To: []string{"a@example.net"}}, "bot@example.org", []string{"a@example.net"}, "", false},
		{"-f", whole + "\r\n", letter.Options{From: ptr("Bounces <b@example.org>"), To: []string{"a@example.net"}}, "b@example.org", []string{"a@example.net"}, "", false},
		{"null sender", "Date: x\r\nMessage-ID: <1@x>\r\n\r\n", letter.Options{From: ptr("<>"), To: []string{"a@example.net"}}, "", []string{"a@example.net"},
			"From: <MAILER-DAEMON@host.example>\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n", false},
		{"of a mailbox file", "From me Fri Nov 27\n" + whole + "\r\nFrom here\r\n", letter.Options{To: []string{"a@example.net"}}, "me@example.org", []string{"a@example.net"}, whole + "\r\nFrom here\r\n", false},
		{"UTF-8 in the header", whole + "Subject: hällo\r\n\r\n", letter.Options{To: []string{"a@example.net"}}, "me@example.org", []string{"a@example.net"}, "", true},
		{"8-bit body", whole + "\r\nh\xe4llo \xc3\xa4\r\n", letter.Options{To: []string{"a@example.net"}}, "me@example.org", []string{"a@example.net"}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Domain, tt.o.Now = "host.example", now
			l, err := letter.New([]byte(tt.raw), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				tt.want = tt.raw
			}
			body := generated.ReplaceAllString(string(l.Body), "Message-Id: <ID@$1>")
			if body != tt.want {
				t.Errorf("got\n%q, want\n%q", body, tt.want)
			}
			if l.From != tt.from || !slices.Equal(l.To, tt.to) || l.UTF8 != tt.utf8 {
				t.Errorf("from %q to %q, UTF8 %v; want %q, %q, %v", l.From, l.To, l.UTF8, tt.from, tt.to, tt.utf8)
			}
			if m := l.Message(); m.Size != int64(len(l.Body)) || (m.MailOptions != nil) != tt.utf8 || m.Validate() != nil {
				t.Errorf("the message is %+v: %v", m, m.Validate())
			}
		})
	}
}

func TestNewFaults(t *testing.T) {
	for _, tt := range []struct {
		name, raw, says string
		o               letter.Options
	}{
		{"no recipients", "Subject: hi\n\nHi.\n", "no recipients", letter.Options{FromHeader: true}},
		{"no header", "Hello there\n", "header", letter.Options{To: []string{"a@example.net"}}},
		{"bad recipient", "To: <<a>>\n\n", "To", letter.Options{FromHeader: true}},
		{"bad sender", "From: a b c\n\n", "From", letter.Options{To: []string{"a@example.net"}}},
		{"two senders", "\n", "not one address", letter.Options{From: ptr("a@example.net, b@example.net"), To: []string{"a@example.net"}}},
		{"octets", "Subject: h\xe4llo\n\n", "neither ASCII nor UTF-8", letter.Options{To: []string{"a@example.net"}}},
	} {
		tt.o.Domain = "host.example"
		if _, err := letter.New([]byte(tt.raw), tt.o); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		in   string
		dot  bool
		want string
	}{
		{"a\n.\nb\n", true, "a\n"}, {"a\r\n.\r\nb\n", true, "a\r\n"}, {"a\n.\nb\n", false, "a\n.\nb\n"},
		{"a\n..\n.b\n", true, "a\n..\n.b\n"}, {"a\n.", true, "a\n"}, {"a", true, "a"}, {"", true, ""},
	} {
		got, err := letter.Read(strings.NewReader(tt.in), tt.dot)
		if err != nil || string(got) != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
	if _, err := letter.Read(endless{}, false); !errors.Is(err, letter.ErrTooLarge) {
		t.Errorf("an endless message: %v, want ErrTooLarge", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAddresses(t *testing.T) {
	for in, want := range map[string][]string{
		"a@example.net":                      {"a@example.net"},
		"Ada <a@example.net>, b@example.net": {"a@example.net", "b@example.net"},
		"root":                               {"root@host.example"},
		"root, Ada <a@example.net>, <bob>":   {"root@host.example", "a@example.net", "bob@host.example"},
		`"x y"@example.net`:                  {`x y@example.net`},
		"undisclosed-recipients:;":           nil,
		"":                                   nil,
		"é@example.net":                      {"é@example.net"},
		"=?utf-8?q?=C3=84da?= <a@xn--4ca.example>": {"a@xn--4ca.example"},
	} {
		got, err := letter.Addresses(in, "host.example")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"a b", "<<a>>", "a@", "@b", "a@b@c", "a\r\nb"} {
		if got, err := letter.Addresses(in, "host.example"); err == nil {
			t.Errorf("%q is read as %q", in, got)
		}
	}
}

func FuzzNew(f *testing.F) {
	f.Add("From: a@b\nTo: c@d\nBcc: secret@e\n\nHi.\n", true)
	f.Add("Bcc : x@y\n continued\n\n", true)
	f.Fuzz(func(t *testing.T, raw string, header bool) {
		l, err := letter.New([]byte(raw), letter.Options{To: []string{"a@example.net"}, FromHeader: header, Domain: "host.example", User: "me", Now: now})
		if err != nil {
			return
		}
		if strings.Contains(strings.ReplaceAll(string(l.Body), "\r\n", ""), "\n") {
			t.Errorf("%q: a bare LF in %q", raw, l.Body)
		}
		head, _, _ := strings.Cut(string(l.Body), "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			if key, _, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(key), "bcc") {
				t.Errorf("%q: Bcc is sent in %q", raw, l.Body)
			}
		}
	})
}
