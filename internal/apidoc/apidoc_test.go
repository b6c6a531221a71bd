package apidoc_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/smtpretry/smtpretry/internal/apidoc"
)

// TestGaps finds what is missing in a package, and only that.
func TestGaps(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mail.go": `// Package mail is told of.
package mail

// A Box is shown by New.
type Box struct{}

// New makes a Box.
func New() *Box { return nil }

// Open is shown by an Example of its own.
func (*Box) Open() {}

// Empty is shown nowhere.
func (*Box) Empty() {}

// Data is known from elsewhere.
func (*Box) Data() {}

// String implements fmt.Stringer.
func (*Box) String() string { return "" }

type Untold struct{}

// A Flag is shown by one of its constants.
type Flag int

// The flags.
const (
	Seen Flag = iota
	Lost
)

// Unshown is called by no Example.
func Unshown() {}
`,
		"export_test.go": "package mail\n\nfunc Hidden() {}\n",
		"example_test.go": `package mail_test

import "example.org/mail"

func ExampleBox_Open() {
	mail.New().Open()
	_ = mail.Seen
	// Output:
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	undocumented, unshown, err := apidoc.Gaps(dir, func(recv, name string) bool { return recv == "Box" && name == "Data" })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(unshown)
	if !slices.Equal(undocumented, []string{"Untold"}) || !slices.Equal(unshown, []string{"Box.Empty", "Unshown", "Untold"}) {
		t.Errorf("undocumented %q, unshown %q", undocumented, unshown)
	}
}
