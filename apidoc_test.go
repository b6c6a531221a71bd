package smtpretry_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/apidoc"
)

// TestDocumented: what is exported has a doc comment, and an Example shows it.
// The methods that go-smtp's client has too are documented there; those that
// implement another module's interface, or that of the library, are where that is.
func TestDocumented(t *testing.T) {
	theirs := reflect.TypeFor[*smtp.Client]()
	elsewhere := []string{"Collector.Collect", "Collector.Describe", "Handler.ServeHTTP", "Store.Update"}
	for _, dir := range []string{".", "queue", "queue/queuepage", "statuspage", "metrics", "metrics/prometheus", "metrics/otel", "store/pgstore", "store/redisstore"} {
		undocumented, unshown, err := apidoc.Gaps(dir, func(recv, name string) bool {
			_, ok := theirs.MethodByName(name)
			return recv == "Client" && ok || slices.Contains(elsewhere, recv+"."+name)
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
