// Package exampletest checks what the example programs print.
package exampletest

import (
	"regexp"
	"strings"
	"testing"
)

// Lines reports an error unless out has lines that match the patterns, in
// that order; other lines may stand between them.
func Lines(t *testing.T, out string, patterns ...string) {
	t.Helper()
	lines := strings.Split(out, "\n")
	for _, p := range patterns {
		re, found := regexp.MustCompile(p), false
		for len(lines) > 0 && !found {
			found = re.MatchString(lines[0])
			lines = lines[1:]
		}
		if !found {
			t.Errorf("no line, or none in this order, matches %q in:\n%s", p, out)
			return
		}
	}
}
