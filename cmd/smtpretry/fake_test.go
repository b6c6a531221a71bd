package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

var listening = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// fake runs the command on a free port until the test calls stop, which returns
// all that it printed.
func fake(t *testing.T, args ...string) (addr string, stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	go func() {
		var errs bytes.Buffer
		if code := run(ctx, ui.Plain(nil, w, &errs), append([]string{"smtpretry", "fake", "--addr", "127.0.0.1:0"}, args...)); code != 0 {
			t.Errorf("exit code %d: %s", code, &errs)
		}
		w.Close()
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if addr = listening.FindString(first); addr == "" {
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

// says checks that lines match patterns, in this order.
func says(t *testing.T, text string, patterns ...string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	for _, p := range patterns {
		found := false
		for len(lines) > 0 && !found {
			found = regexp.MustCompile(p).MatchString(lines[0])
			lines = lines[1:]
		}
		if !found {
			t.Errorf("no line, or none in that order, matches %q in\n%s", p, text)
			return
		}
	}
}

func TestFake(t *testing.T) {
	addr, stop := fake(t, "--scenario", "greylist")
	if got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", addr, "--policy", "once"); got.code != 75 {
		t.Errorf("exit code %d, %s%s", got.code, got.out, got.errs)
	}
	says(t, stop(), `^listening on 127\.0\.0\.1:\d+, scenario greylist; Ctrl-C ends it$`, `#1 +open +127\.0\.0\.1`, `#1 +server +220 `, `#1 +client +EHLO `,
		`#1 +server +250-PIPELINING`, `#1 +client +MAIL FROM:<me@example\.org>`, `#1 +client +RCPT TO:<you@example\.net>`, `#1 +refused +by the limit greylist`,
		`#1 +server +450 4\.2\.0 .*try again in 10 seconds`, `^1 connections, at most 1 at once`, `^0 messages accepted of 1 begun, for 0 recipients`, `^3 refused by the limit greylist`)
}

func TestFakeFile(t *testing.T) {
	addr, stop := fake(t, "--scenario", "testdata/friday.yaml", "--quiet")
	if got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", addr, "--policy", "once", "nobody@example.net"); got.code != 1 ||
		!strings.Contains(got.out, "550 5.1.1 There is nobody of that name here") {
		t.Errorf("exit code %d, %s%s", got.code, got.out, got.errs)
	}
	if out := stop(); strings.Contains(out, "EHLO") || !strings.Contains(out, "1 connections") {
		t.Errorf("with --quiet it says %s", out)
	}
}

func TestFakeJSON(t *testing.T) {
	addr, stop := fake(t, "--json")
	if got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", addr); got.code != 0 {
		t.Errorf("exit code %d, %s%s", got.code, got.out, got.errs)
	}
	met := map[string]int{}
	for d := json.NewDecoder(strings.NewReader(stop())); d.More(); {
		var e struct {
			Event    string
			Text     string
			Accepted int
		}
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		met[e.Event]++
		if e.Event == "summary" && e.Accepted != 1 {
			t.Errorf("%d accepted, want 1", e.Accepted)
		}
	}
	if met["listening"] != 1 || met["message"] != 1 || met["client"] < 5 || met["server"] < 5 || met["summary"] != 1 {
		t.Errorf("the events are %v", met)
	}
}

func TestFakeCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	addr, stop := fake(t, "--scenario", "auth", "--cert", file)
	got := call(t.Context(), env{envPassword: "secret"}, strings.NewReader(note), "send", "--server", "smtp+starttls://user@"+addr, "--ca", file)
	if got.code != 0 {
		t.Errorf("exit code %d, %s%s", got.code, got.out, got.errs)
	}
	if out := stop(); strings.Contains(out, "c2VjcmV0") || strings.Contains(out, "AHVzZXIAc2VjcmV0") {
		t.Errorf("the password is shown: %s", out)
	}
	pem, err := os.ReadFile(file)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
		t.Errorf("no certificate in %q: %v", pem, err)
	}
}

// The built program ends cleanly when it is interrupted.
func TestFakeInterrupted(t *testing.T) {
	cmd := exec.Command(binary(t), "fake", "--addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if first, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(first, "listening on ") {
		_ = cmd.Process.Kill()
		t.Fatalf("%q, %v", first, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		_ = cmd.Process.Kill()
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil || !bytes.Contains(rest, []byte("0 messages accepted of 0 begun")) {
		t.Errorf("it ends with %v after %q", err, rest)
	}
}

func TestFakeFlags(t *testing.T) {
	_, taken := listen(t, testserver.Config{})
	bad := write(t, "bad.yaml", "limits:\n  rat: 5/s\n")
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--list"}, 0, "greylist        defers each new sender"},
		{[]string{"--list", "--json"}, 0, `{"about":"accepts everything","name":"ok"}`},
		{[]string{"--scenario", "sunshine"}, 64, `"sunshine"`},
		{[]string{"--scenario", "no-such.yaml"}, 66, "no-such.yaml"},
		{[]string{"--scenario", bad}, 65, "rat"},
		{[]string{"greylist"}, 64, "greylist"},
		{[]string{"--addr", taken}, 69, taken},
		{[]string{"--addr", "127.0.0.1:0", "--cert", "cert.pem"}, 64, "no TLS"},
		{[]string{"--addr", "127.0.0.1:0", "--scenario", "auth", "--cert", filepath.Join(t.TempDir(), "no", "such", "dir")}, 73, "no"},
	} {
		got := call(t.Context(), nil, nil, append([]string{"fake"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.out+got.errs, tt.says) {
			t.Errorf("%q: exit code %d, said %q; want %d and %q", tt.args, got.code, got.out+got.errs, tt.code, tt.says)
		}
	}
}
