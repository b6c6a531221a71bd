package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const letter = "From: Me <me@example.org>\nTo: You <you@example.net>, two@example.net\nCc: three@example.com\nSubject: hello\n\nHello there.\n"

// A sent is one run of the command.
type sent struct {
	code      int
	out, errs string
}

func send(ctx context.Context, env map[string]string, stdin string, args ...string) sent {
	var out, errs bytes.Buffer
	code := run(ctx, args, func(name string) string { return env[name] }, strings.NewReader(stdin), &out, &errs)
	return sent{code, out.String(), errs.String()}
}

// listen serves cfg over TCP. It returns the server and its host:port.
func listen(t *testing.T, cfg testserver.Config) (*testserver.Server, string) {
	t.Helper()
	srv, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv, srv.Addr()
}

func TestSendFile(t *testing.T) {
	srv, addr := listen(t, testserver.Config{})
	eml := filepath.Join("..", "quickstart", "welcome.eml")
	r := send(t.Context(), nil, "", "-server", addr, eml)
	if r.code != exitOK || r.errs != "" {
		t.Errorf("exit code %d, said %q; want 0 and nothing", r.code, r.errs)
	}
	exampletest.Lines(t, r.out, `127\.0\.0\.1 +dot +accepted +2\.0\.0 Ok: queued as`, `^accepted  ada@example\.net$`)

	mail, err := os.ReadFile(eml)
	if err != nil {
		t.Fatal(err)
	}
	held := srv.Messages()
	if len(held) != 1 || held[0].From != "news@library.example.org" ||
		!bytes.Equal(held[0].Body, bytes.ReplaceAll(mail, []byte("\n"), []byte("\r\n"))) {
		t.Errorf("the server holds %+v, want the file's message", held)
	}
}

func TestSendEnvelope(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		from string
		to   []string
	}{
		{"of the header", nil, "me@example.org", []string{"you@example.net", "two@example.net", "three@example.com"}},
		{"of flags", []string{"-from", "bounces@example.org", "-to", "a@example.net", "-to", "b@example.net"},
			"bounces@example.org", []string{"a@example.net", "b@example.net"}},
		{"null sender", []string{"-from", "<>", "-to", "a@example.net"}, "", []string{"a@example.net"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, addr := listen(t, testserver.Config{})
			r := send(t.Context(), map[string]string{"SMTP_URL": "smtp+plain://" + addr}, letter, tt.args...)
			if r.code != exitOK {
				t.Fatalf("exit code %d: %s", r.code, r.errs)
			}
			held := srv.Messages()
			if len(held) != 1 || held[0].From != tt.from || !slices.Equal(held[0].Addrs(), tt.to) {
				t.Errorf("the server holds %+v, want one from %q to %q", held, tt.from, tt.to)
			}
		})
	}
}

func TestSendSecurely(t *testing.T) {
	for _, tt := range []struct {
		scheme string
		mode   testserver.TLSMode
		login  string
	}{
		{"smtp+starttls", testserver.StartTLS, "plain"},
		{"smtp+starttls", testserver.StartTLS, "login"},
		{"smtps", testserver.ImplicitTLS, "plain"},
	} {
		t.Run(tt.scheme+" "+tt.login, func(t *testing.T) {
			srv, addr := listen(t, testserver.Config{
				TLS: tt.mode, RequireTLS: true,
				Users: map[string]string{"me": "s3/cret"}, RequireAuth: true, Mechanisms: []string{strings.ToUpper(tt.login)},
			})
			ca := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(ca, srv.CertPEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			url := func(user string) []string {
				return []string{"-server", tt.scheme + "://" + user + "@" + addr, "-ca", ca, "-auth", tt.login}
			}

			for _, r := range []sent{
				send(t.Context(), nil, letter, url("me:s3%2Fcret")...),
				send(t.Context(), map[string]string{"SMTP_PASSWORD": "s3/cret"}, letter, url("me")...),
			} {
				if r.code != exitOK {
					t.Errorf("exit code %d: %s", r.code, r.errs)
				}
			}
			held := srv.Messages()
			if len(held) != 2 || !held[0].TLS || held[0].User != "me" || held[1].User != "me" {
				t.Errorf("the server holds %+v, want two over TLS from the user me", held)
			}

			r := send(t.Context(), nil, letter, url("me:wrong")...)
			if r.code != exitFailed || !strings.Contains(r.errs, "535") {
				t.Errorf("with a wrong password: exit code %d, said %q; want 1 and the 535", r.code, r.errs)
			}
			untrusted := url("me:s3%2Fcret")
			untrusted = append(untrusted[:2], untrusted[4:]...)
			if r := send(t.Context(), nil, letter, untrusted...); r.code != exitFailed || !strings.Contains(r.errs, "certificate") {
				t.Errorf("without -ca: exit code %d, said %q; want 1 and a word about the certificate", r.code, r.errs)
			}
		})
	}
}

func TestSendExitCodes(t *testing.T) {
	rcpt := func(to, reply string) testserver.Rule {
		return testserver.On(testserver.Rcpt, testserver.Reply(reply)).To(to).Always()
	}
	busy := "450 4.2.1 Mailbox temporarily unavailable"
	unknown := "550 5.1.1 User unknown"
	for _, tt := range []struct {
		name   string
		script testserver.Script
		code   int
		says   string
	}{
		{"all deferred", testserver.Script{rcpt("@example.net", busy), rcpt("@example.com", busy)}, exitTemporary, "3 deferred"},
		{"some deferred", testserver.Script{rcpt("two@", busy)}, exitFailed, "2 accepted, 1 deferred"},
		{"all rejected", testserver.Script{rcpt("@example.net", unknown), rcpt("@example.com", unknown)}, exitFailed, "3 rejected"},
		{"some rejected", testserver.Script{rcpt("two@", unknown)}, exitFailed, "2 accepted, 1 rejected"},
		{"some rejected, none accepted", testserver.Script{rcpt("@example.net", unknown), rcpt("@example.com", busy)}, exitFailed, "1 deferred, 2 rejected"},
		{"in doubt", testserver.Script{testserver.On(testserver.Dot, testserver.Close())}, exitFailed, "3 in-doubt"},
		{"refused", testserver.Script{testserver.On(testserver.Greeting, testserver.Reply("554 5.3.2 No mail service here"))}, exitFailed, "3 deferred"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := listen(t, testserver.Config{Script: tt.script})
			r := send(t.Context(), nil, letter, "-server", addr, "-for", "20ms")
			if r.code != tt.code || !strings.Contains(r.errs, "("+tt.says+")") {
				t.Errorf("exit code %d, said %q; want %d and %q", r.code, r.errs, tt.code, tt.says)
			}
		})
	}

	t.Run("interrupted", func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		_, addr := listen(t, testserver.Config{Hook: func(at testserver.At) *testserver.Action {
			if at.Stage == testserver.Mail {
				interrupt()
				return testserver.Stall()
			}
			return nil
		}})
		if r := send(ctx, nil, letter, "-server", addr); r.code != exitTemporary {
			t.Errorf("exit code %d, said %q; want %d", r.code, r.errs, exitTemporary)
		}
	})
}

func TestSendUsage(t *testing.T) {
	srv, addr := listen(t, testserver.Config{})
	to := func(args ...string) []string { return append([]string{"-server", "smtp://" + addr}, args...) }
	for _, tt := range []struct {
		name, stdin string
		args        []string
		says        string
	}{
		{"no server", letter, nil, "SMTP_URL"},
		{"no such scheme", letter, []string{"-server", "http://me:s3cret@" + addr}, "smtps"},
		{"no host", letter, []string{"-server", "smtp://me:s3cret@"}, "no host"},
		{"path", letter, []string{"-server", "smtp://me:s3cret@" + addr + "/inbox"}, "behind"},
		{"unreadable URL", letter, []string{"-server", "smtp://me:s3cret%zz@" + addr}, "cannot be read"},
		{"no password", letter, []string{"-server", "smtp://me@" + addr}, "SMTP_PASSWORD"},
		{"no such login", letter, []string{"-server", "smtp://me:s3cret@" + addr, "-auth", "gssapi"}, "plain or login"},
		{"no such flag", letter, to("-speed", "9"), "-speed"},
		{"no time", letter, to("-for", "0s"), "-for"},
		{"two messages", letter, to("a.eml", "b.eml"), "more than one"},
		{"no such file", "", to("no-such.eml"), "no-such.eml"},
		{"no such certificate", letter, to("-ca", "no-such.pem"), "no-such.pem"},
		{"no certificate", letter, to("-ca", "main.go"), "PEM"},
		{"no header", "\x00\n", to(), "header"},
		{"no sender", "To: you@example.net\n\nHello.\n", to(), "-from"},
		{"two senders", "From: a@example.org, b@example.org\nTo: you@example.net\n\nHello.\n", to(), "-from"},
		{"no recipients", "From: me@example.org\n\nHello.\n", to(), "no recipients"},
		{"blind recipients", "Bcc: hidden@example.net\n" + letter, to(), "Bcc"},
		{"bad address", letter, to("-to", "you@example.net> BODY=8BITMIME"), "angle bracket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := send(t.Context(), nil, tt.stdin, tt.args...)
			if r.code != exitUsage || !strings.Contains(r.errs, tt.says) {
				t.Errorf("exit code %d, said %q; want 64 and %q", r.code, r.errs, tt.says)
			}
			if strings.Contains(r.out+r.errs, "s3cret") {
				t.Errorf("the password is told: %q", r.out+r.errs)
			}
		})
	}
	if st := srv.Stats(); st.Mails != 0 {
		t.Errorf("the server has seen %d messages begin, want none", st.Mails)
	}
}

func TestSendHelp(t *testing.T) {
	r := send(t.Context(), map[string]string{"SMTP_URL": "smtp://me:s3cret@mail.example.org"}, "", "--help")
	if r.code != exitOK {
		t.Errorf("exit code %d, want 0", r.code)
	}
	exampletest.Lines(t, r.errs, `^Usage: send`, `^  smtps://`, `^Exit status`, `^  -server URL`, `^  -to address`)
	if strings.Contains(r.errs, "s3cret") {
		t.Error("help tells the password of SMTP_URL")
	}
}
