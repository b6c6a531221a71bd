package queue_test

import (
	"testing"

	"github.com/smtpretry/smtpretry/internal/apidoc"
)

// TestDocumented: what is exported has a doc comment, and an Example shows it.
func TestDocumented(t *testing.T) {
	undocumented, unshown, err := apidoc.Gaps(".", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range undocumented {
		t.Errorf("%s has no doc comment", name)
	}
	for _, name := range unshown {
		t.Errorf("no Example shows %s", name)
	}
}
