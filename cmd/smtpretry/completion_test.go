package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// What every shell's script asks for: the built program's own proposals.
func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string // among others
	}{
		{[]string{""}, []string{"explain", "send", "fake"}},
		{[]string{"explain", "--stage", ""}, []string{"greeting", "rcpt", "dot"}},
		{[]string{"explain", "--format", ""}, []string{"postfix", "exim", "json"}},
		{[]string{"explain", "--"}, []string{"--stage", "--svg", "--json"}},
		{[]string{"send", "--policy", ""}, []string{"default", "interactive", "queue", "once"}},
		{[]string{"send", "--auth", ""}, []string{"plain", "oauthbearer"}},
		{[]string{"send", ""}, []string{"eml"}}, // the ending of files
		{[]string{"fake", "--scenario", ""}, []string{"greylist", "badrcpt"}},
	} {
		out, err := exec.Command(binary(t), append([]string{"__complete"}, tt.args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.SplitSeq(string(out), "\n") {
			word, _, _ := strings.Cut(line, "\t")
			got = append(got, word)
		}
		for _, w := range tt.want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: the proposals are %q, want %q among them", tt.args, got, w)
			}
		}
	}
}

// Each shell that is here is given its script; bash, which always is, also
// completes a line.
func TestCompletionScripts(t *testing.T) {
	dir := t.TempDir()
	for shell, check := range map[string][]string{
		"bash":       {"bash", "-n"},
		"zsh":        {"zsh", "-n"},
		"fish":       {"fish", "--no-execute"},
		"powershell": {"pwsh", "-NoProfile", "-File"},
	} {
		script, err := exec.Command(binary(t), "completion", shell).Output()
		if err != nil || !strings.Contains(string(script), "__complete") {
			t.Fatalf("%s: %v, %.200s", shell, err, script)
		}
		name := filepath.Join(dir, "completion."+shell)
		if shell == "powershell" {
			name = filepath.Join(dir, "completion.ps1")
		}
		if err := os.WriteFile(name, script, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath(check[0]); err != nil {
			t.Logf("%s is not here; its script was made, but not read by it", shell)
			continue
		}
		if out, err := exec.Command(check[0], append(check[1:], name)...).CombinedOutput(); err != nil {
			t.Errorf("%s does not take its script: %v\n%s", shell, err, out)
		}
	}
	// What the package bash-completion has, for lines without = and :.
	complete := `_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${words[cword]} prev=${words[cword-1]}; }
source completion.bash
COMP_WORDS=(smtpretry explain --stage gr) COMP_CWORD=3 COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
__start_smtpretry; echo "${COMPREPLY[*]}"
COMP_WORDS=(smtpretry fake --scenario greyl) COMP_CWORD=3 COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE}
__start_smtpretry; echo "${COMPREPLY[*]}"
COMP_WORDS=(smtpretry expl) COMP_CWORD=1 COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE}
__start_smtpretry; echo "${COMPREPLY[*]}"`
	cmd := exec.Command("bash", "--norc", "-c", complete)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.Output() // it complains of compopt, which wants a line editor
	if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, []string{"greeting", "greylist", "explain"}) {
		t.Errorf("bash completes to %q: %v", out, err)
	}
}

func TestCompletionOfNoShell(t *testing.T) {
	if got := call(t.Context(), nil, nil, "completion", "tcsh"); got.code != ui.Usage || !strings.Contains(got.errs, `"tcsh"`) {
		t.Errorf("exit code %d, %q, want %d", got.code, got.errs, ui.Usage)
	}
	if got := call(t.Context(), nil, nil, "completion"); got.code != ui.OK || !strings.Contains(got.out, "powershell") {
		t.Errorf("exit code %d, %q, want the shells", got.code, got.out)
	}
}
