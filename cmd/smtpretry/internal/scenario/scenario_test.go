package scenario_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/scenario"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// dialogue sends lines and returns the last line of each reply; "EOF" where the
// server hangs up.
func dialogue(t *testing.T, cfg testserver.Config, lines ...string) (said []string) {
	t.Helper()
	srv := testserver.Start(t, cfg)
	conn, err := srv.Dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return talk(conn, lines)
}

func talk(conn net.Conn, lines []string) (said []string) {
	in := bufio.NewReader(conn)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	for _, line := range append([]string{""}, lines...) {
		if line != "" {
			fmt.Fprintf(conn, "%s\r\n", line)
		}
		for {
			reply, err := in.ReadString('\n')
			if err != nil {
				return append(said, "EOF")
			}
			if len(reply) > 3 && reply[3] == '-' {
				continue
			}
			said = append(said, strings.TrimSpace(reply))
			break
		}
	}
	return said
}

func TestParse(t *testing.T) {
	hello := []string{"EHLO x", "MAIL FROM:<a@example.org>", "RCPT TO:<full@example.net>", "RCPT TO:<b@example.net>"}
	for _, tt := range []struct {
		name, text string
		lines      []string
		want       []string
	}{
		{"empty", "", hello, []string{"220 ", "250 ", "250 ", "250 ", "250 "}},
		{"rule", "rules: [{at: rcpt, to: full@, reply: 452 4.2.2 Mailbox full}]", hello, []string{"220 ", "250 ", "250 ", "452 4.2.2 Mailbox full", "250 "}},
		{"JSON", `{"rules": [{"at": "rcpt", "to": "@example.net", "reply": "450 4.2.0 later"}]}`, hello, []string{"220 ", "250 ", "250 ", "450 ", "450 "}},
		{"from", "rules:\n- at: rcpt\n  from: '@example.org'\n  reply: |\n    550-5.7.1 not\n    550 5.7.1 you\n", hello, []string{"220 ", "250 ", "250 ", "550 5.7.1 you", "550 "}},
		{"from another", "rules: [{at: rcpt, from: x@, reply: 550 no}]", hello, []string{"220 ", "250 ", "250 ", "250 ", "250 "}},
		{"once", "rules: [{at: rcpt, reply: 450 x, times: 1}]", hello, []string{"220 ", "250 ", "250 ", "450 x", "250 "}},
		{"skip", "rules: [{at: rcpt, reply: 450 x, skip: 1}]", hello, []string{"220 ", "250 ", "250 ", "250 ", "450 x"}},
		{"for", "rules: [{at: rcpt, reply: 450 x, for: 1h}]", hello, []string{"220 ", "250 ", "250 ", "450 x", "450 x"}},
		{"close", "rules: [{at: mail, reply: 421 bye, then: close}]", hello, []string{"220 ", "250 ", "421 bye", "EOF"}},
		{"hang up", "rules: [{at: hello, do: close}]", hello, []string{"220 ", "EOF"}},
		{"reset", "rules: [{at: greeting, do: reset}]", hello, []string{"EOF"}},
		{"pass, slowly", "rules: [{at: mail, do: pass, wait: 10ms, drip: 1ms}]", hello[:2], []string{"220 ", "250 ", "250 2.1.0 Ok"}},
		{"limits", "limits: {per_message: 1}", hello, []string{"220 ", "250 ", "250 ", "250 ", "452 4.5.3"}},
		{"limit's reply", "limits: {greylist: 1m, replies: {greylist: '451 4.7.1 come back in {wait}'}}", hello, []string{"220 ", "250 ", "250 ", "451 4.7.1 come back in 60", "451 "}},
		{"quota", "limits: {quota: 1/h}", []string{"EHLO x", "MAIL FROM:<a@example.org>", "RSET", "MAIL FROM:<a@example.org>"}, []string{"220 ", "250 ", "250 ", "250 ", "451 4.7.1 Error: message quota exceeded"}},
		{"plain", "name: mx.example.com\nwithout: [EHLO]", []string{"EHLO x", "HELO x"}, []string{"220 mx.example.com ", "50", "250 "}},
		{"TLS", "tls: starttls\nrequire_tls: true", []string{"EHLO x", "MAIL FROM:<a@example.org>"}, []string{"220 ", "250 ", "530 5.7.0"}},
		{"AUTH", "users: {me: secret}\nrequire_auth: true\nmechanisms: [PLAIN]", []string{"EHLO x", "MAIL FROM:<a@example.org>", "AUTH PLAIN AG1lAHNlY3JldA==", "MAIL FROM:<a@example.org>"},
			[]string{"220 ", "250 ", "530 5.7.0", "235 ", "250 "}},
		{"LMTP", "lmtp: true", []string{"LHLO x"}, []string{"220 ", "250 "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := scenario.Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := dialogue(t, cfg, tt.lines...)
			ok := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				ok = ok && strings.HasPrefix(got[i]+" ", tt.want[i])
			}
			if !ok {
				t.Errorf("the server says %q, want %q", got, tt.want)
			}
		})
	}
}

// The file that docs/command.md shows does what it says.
func TestFriday(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "friday.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Limits.Greylist = 0
	srv := testserver.Start(t, cfg)
	for i, tt := range []struct{ lines, want []string }{
		{[]string{"EHLO x", "MAIL FROM:<a@example.org>", "RCPT TO:<full@example.net>", "RCPT TO:<nobody@example.net>", "RCPT TO:<b@example.net>", "DATA", "Subject: hi\r\n\r\nhi\r\n."},
			[]string{"220", "250", "250", "452", "550", "250", "354", "EOF"}},
		{[]string{"QUIT"}, []string{"220", "221"}},
		{nil, []string{"421"}},
		{nil, []string{"421"}},
	} {
		conn, err := srv.Dial(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		got := talk(conn, tt.lines)
		conn.Close()
		for j, w := range tt.want {
			if j >= len(got) || !strings.HasPrefix(got[j], w) {
				t.Errorf("connection %d: the server says %q, want %q", i+1, got, tt.want)
				break
			}
		}
	}
	if n := len(srv.Messages()); n != 1 {
		t.Errorf("%d messages were kept, want the one whose answer was lost", n)
	}
}

func TestParseFaults(t *testing.T) {
	for text, says := range map[string]string{
		"limits:\n  rat: 5/s":                                    "rat",
		"limits: {rate: fast}":                                   "5/s",
		"limits: {rate: 0/s}":                                    "5/s",
		"limits: {greylist: soon}":                               "duration",
		"limits: {replies: {greylist: soon}}":                    "code",
		"limits: {replies: {lunch: 450 x}}":                      "lunch",
		"rules: [{at: lunch, reply: 450 x}]":                     "lunch",
		"rules: [{at: rcpt}]":                                    "either",
		"rules: [{at: rcpt, reply: 450 x, do: close}]":           "either",
		"rules: [{at: rcpt, reply: later}]":                      "code",
		"rules: [{at: rcpt, do: dance}]":                         "dance",
		"rules: [{at: rcpt, reply: 450 x, then: dance}]":         "dance",
		"rules: [{at: rcpt, reply: 450 x, times: 1, for: 1s}]":   "one of them",
		"rules: [{at: rcpt, reply: 450 x, times: -1}]":           "negative",
		"rules: [{at: mail, reply: 450 x}, {at: x, reply: 1 x}]": "rule 2",
		"tls: sometimes":                                         "starttls",
		"tls: starttls\ncert: old":                               "expired",
		"require_tls: true":                                      "require_tls",
		"require_auth: true":                                     "require_auth",
		"- a":                                                    "",
	} {
		if _, err := scenario.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
	if _, err := scenario.Parse([]byte("name: x\nlimits:\n  rat: 5/s\n")); err == nil || !strings.Contains(err.Error(), "[3:") {
		t.Errorf("a fault in line 3: %v", err)
	}
}
