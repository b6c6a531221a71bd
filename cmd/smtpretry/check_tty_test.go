//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/stage"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// The built program asks for the password on a terminal, shows nothing of it,
// and logs in with it.
func TestCheckPrompt(t *testing.T) {
	s, err := testserver.Listen(testserver.Config{Name: "localhost", TLS: testserver.StartTLS, Users: map[string]string{"me": "open sesame"}}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary(t), "check", "smtp://me@"+s.Addr(), "--ca", ca, "--no-dnsbl",
		"--resolver", stage.NewDNS(t, "").Addr, "--timeout", "20s")
	cmd.Env = append(os.Environ(), envPassword+"=", "NO_COLOR=", "TERM=xterm")
	person, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	defer func() { _ = cmd.Process.Kill() }()
	in := bufio.NewReader(person)
	prompt, err := in.ReadString(':')
	if err != nil || !strings.Contains(prompt, "Password of me at 127.0.0.1") {
		t.Fatalf("%q, %v", prompt, err)
	}
	awaitNoEcho(t, person)
	fmt.Fprint(person, "open sesame\n")
	rest, _ := io.ReadAll(in) // ends with an error when the program does
	err = cmd.Wait()
	out := string(rest)
	if err != nil || !strings.Contains(out, "logged in as me with PLAIN") || strings.Contains(out, "sesame") {
		t.Errorf("%v, it shows\n%s", err, out)
	}
	if !strings.Contains(out, "\x1b[32mok\x1b[") {
		t.Errorf("no colours on a terminal: %q", out)
	}
}

// awaitNoEcho waits until the program has turned the terminal's echo off.
func awaitNoEcho(t *testing.T, person *os.File) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		state, err := unix.IoctlGetTermios(int(person.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
	}
	t.Fatal("the terminal still echoes")
}
