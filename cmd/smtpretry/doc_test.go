package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

var update = flag.Bool("update", false, "write the outputs into docs/command.md")

const (
	commandDoc = "../../docs/command.md"
	explainSVG = "../../docs/explain.svg"
	docAddr    = "127.0.0.1:2525" // stands for the fake server's in the documentation
)

// console is a part of the documentation that shows a session.
var console = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// TestCommandDoc holds docs/command.md against what the command prints; go test
// -update writes it.
func TestCommandDoc(t *testing.T) {
	doc, err := os.ReadFile(commandDoc)
	if err != nil {
		t.Fatal(err)
	}
	badrcpt, _ := testserver.Lookup("badrcpt")
	_, addr := listen(t, badrcpt)
	dir := t.TempDir()
	for _, name := range []string{"exim.log", "letter.eml"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := console.ReplaceAllFunc(doc, func(part []byte) []byte {
		var b bytes.Buffer
		b.WriteString("```console\n")
		status := ""
		for _, line := range strings.Split(string(part), "\n") {
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			var out string
			if command == "smtpretry fake --scenario greylist" {
				out = greylisted(t)
			} else {
				out, status = shell(t, dir, strings.ReplaceAll(command, docAddr, addr), status)
			}
			b.WriteString(line + "\n" + strings.ReplaceAll(out, addr, docAddr))
			if !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
				b.WriteByte('\n')
			}
		}
		b.WriteString("```")
		return b.Bytes()
	})
	svg := filepath.Join(dir, "explain.svg")
	call(t.Context(), nil, nil, "explain", "--svg", svg, "testdata/exim.log")
	drawn, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	friday, err := os.ReadFile("testdata/friday.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want = regexp.MustCompile("(?ms)^```yaml\n.*?```$").ReplaceAll(want, []byte("```yaml\n"+string(friday)+"```"))
	for name, content := range map[string][]byte{commandDoc: want, explainSVG: drawn} {
		if *update {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s is not what the command prints; run go test -run TestCommandDoc -update here", name)
		}
	}
}

// shell runs a line and returns what it prints. $? is that of the line before.
func shell(t *testing.T, dir, line, status string) (out, newStatus string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", "set -o pipefail; (exit ${STATUS:-0}); "+line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "STATUS="+status, "PATH="+filepath.Dir(binary(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), strings.TrimPrefix(cmd.ProcessState.String(), "exit status ")
}

var (
	clock      = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}`)
	clientPort = regexp.MustCompile(`(?m)(open +127\.0\.0\.1):\d+`)
	helloName  = regexp.MustCompile(`EHLO .*`)
	size       = regexp.MustCompile(`SIZE=\d+`) // which the made Message-ID changes
)

// greylisted plays what the documentation shows of fake, with times and names that
// stay the same.
func greylisted(t *testing.T) string {
	t.Helper()
	addr, stop := fake(t, "--scenario", "greylist")
	call(t.Context(), nil, strings.NewReader("From: me@example.org\n\nHi.\n"), "send", "--server", addr, "--policy", "once", "you@example.net")
	out := strings.ReplaceAll(stop(), addr, docAddr)
	out = clock.ReplaceAllString(out, "09:30:00.000")
	out = clientPort.ReplaceAllString(out, "$1:51234")
	out = size.ReplaceAllString(out, "SIZE=123")
	return helloName.ReplaceAllString(out, "EHLO me.example.org")
}
