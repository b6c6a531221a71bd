package smtpretry_test

import (
	"reflect"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/apidoc"
)

// TestDocumented: what is exported has a doc comment, and an Example shows it.
// The methods that go-smtp's client has too are documented there.
func TestDocumented(t *testing.T) {
	theirs := reflect.TypeFor[*smtp.Client]()
	for _, dir := range []string{".", "queue", "queue/queuepage"} {
		undocumented, unshown, err := apidoc.Gaps(dir, func(recv, name string) bool {
			_, ok := theirs.MethodByName(name)
			return recv == "Client" && ok
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range undocumented {
			t.Errorf("%s: %s has no doc comment", dir, name)
		}
		for _, name := range unshown {
			t.Errorf("%s: no Example shows %s", dir, name)
		}
	}
}
