package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// serve runs the program on a free port until the test calls stop, which
// returns all that it printed.
func serve(t *testing.T, args ...string) (addr string, stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	go func() {
		var errs bytes.Buffer
		if code := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w, &errs); code != 0 {
			t.Errorf("exit code %d: %s", code, &errs)
		}
		w.Close()
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr, _, ok := strings.Cut(strings.TrimPrefix(first, "listening on "), ",")
	if !ok {
		t.Fatalf("the first line is %q", first)
	}
	var rest bytes.Buffer
	read := make(chan error)
	go func() {
		_, err := io.Copy(&rest, lines)
		read <- err
	}()
	return addr, func() string {
		t.Helper()
		cancel()
		if err := <-read; err != nil {
			t.Error(err)
		}
		return first + rest.String()
	}
}

func TestFakeserver(t *testing.T) {
	addr, stop := serve(t, "-scenario", "greylist")
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader("Subject: hi\r\n\r\nHi.\r\n"))
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) || reply.Code != 450 {
		t.Errorf("got %v, want a 450", err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	exampletest.Lines(t, stop(),
		`^listening on 127\.0\.0\.1:\d+, scenario greylist`,
		`#1 +open +127\.0\.0\.1`,
		`#1 +server +220 `,
		`#1 +client +EHLO `,
		`#1 +server +250-PIPELINING`,
		`#1 +client +MAIL FROM:<me@example\.org>`,
		`#1 +client +RCPT TO:<you@example\.net>`,
		`#1 +refused +by the limit greylist`,
		`#1 +server +450 4\.2\.0 .*try again in 10 seconds`,
		`^1 connections, at most 1 at once`,
		`^0 messages accepted of 1 begun, for 0 recipients`,
		`^1 refused by the limit greylist`,
	)
}

func TestFakeserverTakesMail(t *testing.T) {
	addr, stop := serve(t)
	err := smtpretry.SendMail(addr, nil, "me@example.org", []string{"a@example.net", "b@example.net"}, strings.NewReader("Subject: hi\r\n\r\nHi.\r\n"))
	if err != nil {
		t.Error(err)
	}
	exampletest.Lines(t, stop(),
		`#1 +message +\S+ from <me@example\.org> to <a@example\.net>, <b@example\.net>, 20 octets`,
		`^1 messages accepted of 1 begun, for 2 recipients`)
}

func TestFakeserverCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	_, stop := serve(t, "-scenario", "auth", "-cert", file)
	stop()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		t.Errorf("no certificate in %q", pem)
	}
}

func TestFakeserverFlags(t *testing.T) {
	taken, err := testserver.Listen(testserver.Config{}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-list"}, 0, "greylist"},
		{[]string{"-help"}, 0, "-scenario"},
		{[]string{"-scenario", "sunshine"}, 64, `"sunshine"`},
		{[]string{"greylist"}, 64, "greylist"},
		{[]string{"-speed", "9"}, 64, "-speed"},
		{[]string{"-addr", taken.Addr()}, 1, taken.Addr()},
		{[]string{"-addr", "127.0.0.1:0", "-scenario", "auth", "-cert", filepath.Join(t.TempDir(), "no", "such", "dir")}, 1, "no"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), tt.args, &out, &out); code != tt.code || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%q: exit code %d, said %q; want %d and %q", tt.args, code, &out, tt.code, tt.says)
		}
	}
}
