package queuepage_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
	"github.com/smtpretry/smtpretry/queue/queuepage"
	"github.com/smtpretry/smtpretry/statuspage"
)

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to, Body: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: hello\r\n\r\nHello.\r\n")), nil
	}}
}

func domain(_, to string) string { return to[strings.LastIndex(to, "@")+1:] }

// TestOf: the page sees what the queue has, and changes it.
func TestOf(t *testing.T) {
	srv, err := testserver.Listen(testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted, try again in 300 seconds")).To("@grey.example").Always(),
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("nobody@good.example").Always(),
	}}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	q, err := queue.Open(t.Context(), queue.Config{Database: filepath.Join(t.TempDir(), "queue.db"), Route: domain,
		Client: func(host string) (*smtpretry.Client, error) {
			return smtpretry.New(smtpretry.Config{Host: host, Dialer: &smtpretry.Dialer{Addr: srv.Addr(), LocalName: "client.example.org"}})
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ids := map[string]int64{}
	for name, to := range map[string][]string{"grey": {"a@grey.example"}, "grey2": {"b@grey.example"}, "half": {"a@good.example", "nobody@good.example"}} {
		got, err := q.Enqueue(t.Context(), note(to...), queue.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = got.ID
	}
	page := queuepage.Of(q)
	ctx := t.Context()
	show := func(name string) statuspage.QueueMessage {
		t.Helper()
		m, ok, err := page.Show(ctx, ids[name])
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
		return m
	}
	until := func(name, state string, tries int) statuspage.QueueMessage {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			m := show(name)
			if m.State == state && m.Attempts >= tries {
				return m
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", name, m)
			}
		}
	}

	grey := until("grey", "waiting", 1)
	until("grey2", "waiting", 1)
	if grey.Cause != "greylist" || grey.Host != "grey.example" || grey.From != "me@example.org" || !strings.Contains(grey.Reply, "Greylisted") ||
		grey.Size == 0 || grey.Created.IsZero() || grey.GiveUp.IsZero() || time.Until(grey.Next) < time.Minute || len(grey.History) != 1 {
		t.Errorf("%+v", grey)
	}
	if r := grey.Recipients[0]; r.Address != "a@grey.example" || r.State != "deferred" || r.Reply != "450 4.2.0 Greylisted, try again in 300 seconds" || r.Advice == "" || r.Next.IsZero() {
		t.Errorf("%+v", r)
	}
	half := until("half", "failed", 1)
	if half.Recipients[0].State != "accepted" || half.Recipients[1].State != "failed" || half.Finished.IsZero() {
		t.Errorf("%+v", half)
	}
	if _, ok, err := page.Show(ctx, 4711); ok || err != nil {
		t.Errorf("what is not there: %v, %v", ok, err)
	}

	counts, err := page.Count(ctx)
	if err != nil || len(counts) != 1 || counts[0].N != 2 || counts[0].Host != "grey.example" || counts[0].State != "waiting" || counts[0].Cause != "greylist" || counts[0].Octets == 0 {
		t.Errorf("%+v, %v", counts, err)
	}
	list := func(f statuspage.QueueFilter) int {
		t.Helper()
		found, err := page.List(ctx, f)
		if err != nil {
			t.Error(err)
		}
		return len(found)
	}
	for n, f := range []statuspage.QueueFilter{
		{States: []string{"sending"}}, {To: "b@grey"}, {Host: "grey.example", Cause: "greylist"}, {States: []string{"waiting", "failed"}},
	} {
		if got := list(f); got != n {
			t.Errorf("%+v finds %d", f, got)
		}
	}
	if got := list(statuspage.QueueFilter{Limit: 1}); got != 1 {
		t.Errorf("with a limit of 1 it finds %d", got)
	}
	for name, err := range map[string]error{
		"list":  second(page.List(ctx, statuspage.QueueFilter{States: []string{"lost"}})),
		"retry": second(page.Retry(ctx, statuspage.QueueFilter{States: []string{"lost"}})),
		"drop":  second(page.Drop(ctx, statuspage.QueueFilter{States: []string{"lost"}})),
		"over":  second(page.Drop(ctx, statuspage.QueueFilter{States: []string{"failed"}})),
	} {
		if err == nil {
			t.Errorf("%s takes a state that it must not", name)
		}
	}

	if err := page.Hold(ctx, "grey.example", time.Now().Add(time.Hour), "ask them"); err != nil {
		t.Fatal(err)
	}
	holds, err := page.Holds(ctx)
	if err != nil || len(holds) != 1 || holds[0].Host != "grey.example" || holds[0].Reason != "ask them" || time.Until(holds[0].Until) < 59*time.Minute || holds[0].Created.IsZero() {
		t.Errorf("%+v, %v", holds, err)
	}
	if counts, _ := page.Count(ctx); !counts[0].Held {
		t.Error("the count does not say that it is held")
	}
	if was, err := page.Release(ctx, "grey.example"); !was || err != nil {
		t.Errorf("%v, %v", was, err)
	}

	if n, err := page.Retry(ctx, statuspage.QueueFilter{IDs: []int64{ids["grey"]}}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	until("grey", "waiting", 2)
	if n, err := page.Drop(ctx, statuspage.QueueFilter{Host: "grey.example", Limit: 1}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if list(statuspage.QueueFilter{}) != 1 || list(statuspage.QueueFilter{States: []string{"dropped"}}) != 1 {
		t.Error("the wrong number was dropped")
	}
}

func second[T any](_ T, err error) error { return err }

func ExampleOf() {
	dir, err := os.MkdirTemp("", "queue-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	q, err := queue.Open(context.Background(), queue.Config{Database: filepath.Join(dir, "queue.db")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	page := &statuspage.Handler{Queue: queuepage.Of(q)}

	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/queue", nil))
	fmt.Println(w.Code, strings.Contains(w.Body.String(), "The queue is empty."))
	// Output: 200 true
}
