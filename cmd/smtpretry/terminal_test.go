//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/stage"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// onTerminal runs the built program on a terminal of its own, types in, and
// returns what is then on it and the exit code.
func onTerminal(t *testing.T, env []string, typed string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "NO_COLOR=") }), env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := tty.Read(buf)
		out.Write(buf[:n])
		if typed != "" && strings.Contains(out.String(), "Password of ") {
			if _, err := io.WriteString(tty, typed+"\n"); err != nil {
				t.Fatal(err)
			}
			typed = ""
		}
		if err != nil {
			if err != io.EOF && !errors.Is(err, syscall.EIO) { // how Linux says that it ended
				t.Error(err)
			}
			break
		}
	}
	_ = cmd.Wait()
	return out.String(), cmd.ProcessState.ExitCode()
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestColours(t *testing.T) {
	for _, tt := range []struct {
		env     []string
		args    []string
		painted bool
	}{
		{[]string{"TERM=xterm"}, []string{"explain", "550 5.1.1 User unknown"}, true},
		{[]string{"TERM=xterm"}, []string{"explain", "testdata/exim.log"}, true},
		{[]string{"TERM=xterm"}, []string{"fake", "--list"}, true},
		{[]string{"TERM=xterm", "NO_COLOR=1"}, []string{"explain", "550 5.1.1 User unknown"}, false},
		{[]string{"TERM=xterm", "NO_COLOR=1"}, []string{"explain", "testdata/exim.log"}, false},
		{[]string{"TERM=dumb"}, []string{"explain", "550 5.1.1 User unknown"}, false},
		{[]string{"TERM=xterm"}, []string{"explain", "--json", "550 5.1.1 User unknown"}, false},
	} {
		out, _ := onTerminal(t, tt.env, "", tt.args...)
		if escapes.MatchString(out) != tt.painted {
			t.Errorf("%q %q: painted %v, want %v\n%q", tt.env, tt.args, !tt.painted, tt.painted, out)
		}
	}
}

// On a terminal the password is asked for and not shown, and a bar shows how far
// it is with many files.
func TestSendOnTerminal(t *testing.T) {
	srv, addr := listen(t, testserver.Config{RequireAuth: true, Users: map[string]string{"me": "s3cret"}})
	args := []string{"send", "--server", "smtp://me@" + addr, "--rate", "unlimited"}
	for _, name := range []string{"a.eml", "b.eml", "c.eml"} {
		args = append(args, write(t, name, note))
	}
	out, code := onTerminal(t, []string{"TERM=xterm"}, "s3cret", args...)
	if code != 0 || len(srv.Messages()) != 3 || !strings.Contains(out, "Password of me at 127.0.0.1: ") || strings.Contains(out, "s3cret") {
		t.Errorf("exit code %d, %d messages:\n%s", code, len(srv.Messages()), out)
	}
	if !strings.Contains(out, "(3/3") && !strings.Contains(out, "(2/3") {
		t.Errorf("no bar is shown:\n%q", out)
	}
	plain := escapes.ReplaceAllString(out, "")
	if n := strings.Count(plain, "accepted  you@example.net"); n != 3 || !strings.Contains(plain, filepath.Base("a.eml")+": accepted") {
		t.Errorf("%d outcomes are shown:\n%s", n, plain)
	}
}

// check asks for it in the same way, and logs in with it.
func TestCheckOnTerminal(t *testing.T) {
	srv, addr := listen(t, testserver.Config{Name: "localhost", TLS: testserver.StartTLS, Users: map[string]string{"me": "open sesame"}})
	out, code := onTerminal(t, []string{"TERM=xterm", envPassword + "="}, "open sesame", "check", "smtp://me@"+addr, "--ca", write(t, "ca.pem", string(srv.CertPEM())),
		"--no-dnsbl", "--resolver", stage.NewDNS(t, "").Addr, "--timeout", "20s")
	if code != 0 || !strings.Contains(out, "Password of me at 127.0.0.1: ") || !strings.Contains(out, "logged in as me with PLAIN") || strings.Contains(out, "sesame") {
		t.Errorf("exit code %d, it shows\n%s", code, out)
	}
	if !strings.Contains(out, "\x1b[32mok\x1b[") {
		t.Errorf("no colours on a terminal: %q", out)
	}
}

// Who gives none does not make the program faulty.
func TestNoPasswordOnTerminal(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"send", write(t, "a.eml", note), "--server"}} {
		for _, typed := range []string{"\r", "\x03", "\x04"} {
			out, code := onTerminal(t, []string{"TERM=xterm", envPassword + "="}, typed, append(args, "smtp://me@127.0.0.1:1")...)
			if code != ui.Usage || !strings.Contains(out, "no password was given") {
				t.Errorf("%s, %q typed: exit code %d, it shows\n%s", args[0], typed, code, out)
			}
		}
	}
}
