package smtpretry_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinks: the files and headings that the documentation points to are there.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	n := 0
	for _, page := range append(pages, "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md") {
		for _, m := range link.FindAllSubmatch(withoutCode(t, page), -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			n++
			file, heading, _ := strings.Cut(target, "#")
			at := page
			if file != "" {
				at = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(at); err != nil {
				t.Errorf("%s: %s is not there", page, target)
				continue
			}
			if heading != "" && !headings(t, at)[heading] {
				t.Errorf("%s: %s has no such heading", page, target)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d links", n)
	}
}

// headings returns the names by which a page's headings are linked to.
func headings(t *testing.T, page string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllSubmatch(withoutCode(t, page), -1) {
		name := strings.ToLower(string(m[1]))
		name = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(name, "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

// withoutCode reads a page and leaves out what is no prose.
func withoutCode(t *testing.T, page string) []byte {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAll(text, nil)
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllFunc(text, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("]("), nil) })
}
