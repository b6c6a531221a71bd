package smtpretry_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestCookbook holds docs/cookbook.md against the programs it shows; make generate
// copies them. Each has a test.
func TestCookbook(t *testing.T) {
	page, err := os.ReadFile("docs/cookbook.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	block := regexp.MustCompile(`(?s)(<!-- code: (\S+) -->\n).*?(<!-- end -->)`)
	want := block.ReplaceAllFunc(page, func(b []byte) []byte {
		m := block.FindSubmatch(b)
		name := string(m[2])
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		shown[filepath.Dir(name)] = true
		return bytes.Join([][]byte{m[1], []byte("```go\n"), code, []byte("```\n"), m[3]}, nil)
	})
	compare(t, "docs/cookbook.md", want)

	folders, err := filepath.Glob("examples/cookbook/*/")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders {
		dir = filepath.Clean(dir)
		if filepath.Base(dir) == "internal" {
			continue
		}
		if !shown[dir] {
			t.Errorf("%s is not shown", dir)
		}
		main, _ := os.Stat(filepath.Join(dir, "main.go"))
		if _, err := os.Stat(filepath.Join(dir, "main_test.go")); main != nil && err != nil {
			t.Errorf("%s has no test", dir)
		}
	}
	if len(shown) < 14 {
		t.Errorf("only %d programs are shown", len(shown))
	}
}
