package smtpretry_test

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A keyLog keeps, for each message, its level and the keys it came with.
type keyLog struct {
	slog.Handler
	mu   sync.Mutex
	keys map[string][]string
}

func (l *keyLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *keyLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := []string{r.Level.String()}
	r.Attrs(func(a slog.Attr) bool { keys = append(keys, a.Key); return true })
	if len(keys) > len(l.keys[r.Message]) { // some are there only if there is something to tell
		l.keys[r.Message] = keys
	}
	return nil
}

// TestWatchingDoc holds the log records in docs/watching.md against those that are
// written: programs search for them.
func TestWatchingDoc(t *testing.T) {
	log := &keyLog{keys: map[string][]string{}}
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Not now")).Times(1),
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@").Always(),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Logger = slog.New(log) })
		for _, to := range []string{"a@example.net", "nobody@example.net"} {
			_, _ = c.Send(t.Context(), note(to))
		}
	})

	doc, err := os.ReadFile("docs/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(doc), "<!-- log records -->")
	part, _, _ = strings.Cut(part, "<!-- end -->")
	told := map[string][]string{}
	for line := range strings.Lines(part) {
		if row := strings.Split(line, " | "); len(row) == 3 && strings.HasPrefix(line, "| `") {
			told[strings.Trim(row[0], "| `")] = append([]string{row[1]}, regexp.MustCompile(`[a-z]+`).FindAllString(row[2], -1)...)
		}
	}
	for message, keys := range log.keys {
		if !slices.Equal(told[message], keys) {
			t.Errorf("%q is told of as %q, and is %q", message, told[message], keys)
		}
	}
	if len(told) != len(log.keys) {
		t.Errorf("%d records are told of, %d were written", len(told), len(log.keys))
	}
}
