package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// A called is one call of the program.
type called struct {
	code      int
	out, errs string
}

// env are the variables of a call.
type env map[string]string

func call(ctx context.Context, e env, in io.Reader, args ...string) called {
	var out, errs bytes.Buffer
	u := ui.Plain(in, &out, &errs)
	u.Getenv = func(name string) string { return e[name] }
	code := run(ctx, u, append([]string{"smtpretry"}, args...))
	return called{code, out.String(), errs.String()}
}

// built is the folder of the built program; the first test that needs it makes it.
var built string

var build = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "smtpretry-cmd-*"); err != nil {
		return "", err
	}
	name := filepath.Join(built, "smtpretry")
	if out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// binary returns the built program.
func binary(t *testing.T) string {
	t.Helper()
	name, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The built program's exit codes, help, and what a shell sees.
func TestBinary(t *testing.T) {
	for _, tt := range []struct {
		args []string
		in   string
		code int
		says string
	}{
		{[]string{"explain", "421 4.7.0 Too many connections"}, "", 75, "connection-limit"},
		{[]string{"explain", "550", "5.1.1", "User", "unknown"}, "", 1, "bad-recipient"},
		{[]string{"explain"}, "250 ok\n", 0, "success"},
		{[]string{"explain", "testdata/no-such.log"}, "", 66, "no-such.log"},
		{[]string{"explain"}, "hello\n", 65, "standard input"},
		{[]string{"explain", "--stage", "lunch", "421 x"}, "", 64, "lunch"},
		{[]string{"--version"}, "", 0, "smtpretry"},
		{[]string{"dance"}, "", 64, "dance"},
		{[]string{"explain", "--dance"}, "", 64, "--dance"},
		{nil, "", 0, "EXIT STATUS"},
	} {
		cmd := exec.Command(binary(t), tt.args...)
		cmd.Stdin = strings.NewReader(tt.in)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(string(out), tt.says) {
			t.Errorf("%q: exit code %d and\n%s\nwant %d and %q", tt.args, code, out, tt.code, tt.says)
		}
		if bytes.Contains(out, []byte("\x1b[")) {
			t.Errorf("%q: colours without a terminal: %q", tt.args, out)
		}
	}
}

// Every command's help has the sections of a manual page, and examples.
func TestHelp(t *testing.T) {
	root, _ := newRoot(ui.Plain(nil, nil, nil))
	for _, cmd := range append(root.Commands(), root) {
		if !cmd.IsAvailableCommand() && cmd != root || cmd.Name() == "completion" || cmd.Name() == "help" {
			continue
		}
		args := strings.Fields(cmd.CommandPath() + " --help")[1:]
		got := call(t.Context(), nil, nil, args...)
		if got.code != 0 || got.errs != "" {
			t.Errorf("%q: exit code %d, %s", args, got.code, got.errs)
		}
		for _, section := range []string{"NAME\n  " + cmd.CommandPath() + " - ", "\nSYNOPSIS\n", "\nDESCRIPTION\n", "\nOPTIONS\n", "\nEXIT STATUS\n  0   ", "\n  64  ", "\nEXAMPLES\n  smtpretry"} {
			if !strings.Contains(got.out, section) {
				t.Errorf("%q has no %q:\n%s", args, section, got.out)
			}
		}
	}
}
