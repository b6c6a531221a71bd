package statuspage_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/statuspage"
)

// get asks a handler for a page, which must be there.
func get(t *testing.T, h http.Handler, target string) string {
	t.Helper()
	w := do(h, http.MethodGet, target, nil, "")
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d\n%s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

// getJSON reads the same for programs.
func getJSON[T any](t *testing.T, h http.Handler, target string) (v T) {
	t.Helper()
	w := do(h, http.MethodGet, target, http.Header{"Accept": {"application/json"}}, "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("GET %s: %d, %s\n%s", target, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("GET %s: %v\n%s", target, err, w.Body)
	}
	return v
}

func do(h http.Handler, method, target string, header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for key, values := range header {
		r.Header[key] = values
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// What programs read of the pages.
type (
	hostsData struct {
		Hosts, Fit, Page, Pages, Waiting, Retrying, Open, Refused int
		PerSecond                                                 float64 `json:"per_second"`
		Conditions                                                []struct {
			Condition string
			Hosts     int
		}
		List []hostData
	}
	hostData struct {
		Host, Condition, Binding, Why, Advice            string
		Until                                            time.Time
		Waiting, Retrying, Open, Idle, Accepted, Refused int
		PerSecond                                        float64 `json:"per_second"`
		LimitPerSecond                                   float64 `json:"limit_per_second"`
		Limits                                           []struct{ Field, Value, From, Source string }
		LastReply                                        *replyData `json:"last_reply"`
		Replies                                          []replyData
		BinSeconds                                       int `json:"bin_seconds"`
		Bins                                             []struct{ Accepted, Refused, Limit float64 }
	}
	replyData struct {
		Outcome, Text, Cause, Scope, Stage, Advice, Enhanced string
		Code, N                                              int
	}
)

// tell feeds the page with an attempt that ends now.
func tell(page *statuspage.Handler, host string, v smtpretry.Verdict) {
	a := smtpretry.Attempt{Host: host, Start: time.Now(), End: time.Now(), Stage: smtpretry.StageDot, Verdict: v}
	if v.Rule == "" {
		a.Queued = "2.0.0 Ok: queued"
	} else {
		a.Stage = v.Stage
	}
	page.Trace().Attempted(a)
}

// refusal is what a reply means.
func refusal(code int, text string, at smtpretry.Stage) smtpretry.Verdict {
	return smtpretry.Classify(&smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}, at)
}

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to, Body: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: hello\r\n\r\nHello.\r\n")), nil
	}}
}

// A queue in memory, which notes what it is asked to do.
type queue struct {
	mu       sync.Mutex
	messages []statuspage.QueueMessage
	holds    []statuspage.QueueHold
	asked    []string
	filters  []statuspage.QueueFilter
	err      error
}

func (q *queue) fits(f *statuspage.QueueFilter, m *statuspage.QueueMessage) bool {
	states := f.States
	if len(states) == 0 {
		states = []string{"waiting", "sending"}
	}
	return (f.IDs == nil || slices.Contains(f.IDs, m.ID)) && (f.Host == "" || f.Host == m.Host) && (f.Cause == "" || f.Cause == cmp.Or(m.Cause, "-")) &&
		(f.From == "" || f.From == m.From) && (f.To == "" || strings.Contains(m.Recipients[0].Address, f.To)) &&
		slices.Contains(states, m.State) && m.ID > f.After
}

func (q *queue) List(_ context.Context, f statuspage.QueueFilter) (list []statuspage.QueueMessage, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if q.fits(&f, &m) && len(list) < f.Limit {
			m.History = nil
			list = append(list, m)
		}
	}
	return list, q.err
}

func (q *queue) Show(_ context.Context, id int64) (statuspage.QueueMessage, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.ID == id {
			return m, true, q.err
		}
	}
	return statuspage.QueueMessage{}, false, q.err
}

func (q *queue) Count(context.Context) (list []statuspage.QueueCount, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.State != "waiting" && m.State != "sending" {
			continue
		}
		i := slices.IndexFunc(list, func(c statuspage.QueueCount) bool {
			return c.Host == m.Host && c.State == m.State && c.Cause == m.Cause
		})
		if i < 0 {
			i = len(list)
			list = append(list, statuspage.QueueCount{Host: m.Host, State: m.State, Cause: m.Cause, Oldest: m.Created, Next: m.Next, Refused: m.Reply})
		}
		list[i].N++
		list[i].Octets += m.Size
	}
	return list, q.err
}

func (q *queue) Holds(context.Context) ([]statuspage.QueueHold, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.holds), q.err
}

func (q *queue) Hold(_ context.Context, host string, until time.Time, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = append(q.asked, "hold "+host)
	q.holds = append(q.holds, statuspage.QueueHold{Host: host, Until: until, Reason: reason, Created: time.Now()})
	return q.err
}

func (q *queue) Release(_ context.Context, host string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = append(q.asked, "release "+host)
	before := len(q.holds)
	q.holds = slices.DeleteFunc(q.holds, func(h statuspage.QueueHold) bool { return h.Host == host })
	return len(q.holds) < before, q.err
}

func (q *queue) Retry(_ context.Context, f statuspage.QueueFilter) (int, error) {
	return q.change("retry", f, func(m *statuspage.QueueMessage) { m.Next = time.Now() })
}

func (q *queue) Drop(_ context.Context, f statuspage.QueueFilter) (int, error) {
	return q.change("drop", f, func(m *statuspage.QueueMessage) { m.State = "dropped" })
}

func (q *queue) change(what string, f statuspage.QueueFilter, do func(*statuspage.QueueMessage)) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked, q.filters = append(q.asked, what), append(q.filters, f)
	for i := range q.messages {
		if q.fits(&f, &q.messages[i]) && (f.Limit == 0 || n < f.Limit) {
			do(&q.messages[i])
			n++
		}
	}
	return n, q.err
}

// fill puts messages for a host into the queue.
func (q *queue) fill(n int, host, cause, reply string) {
	now := time.Now()
	for range n {
		id := int64(len(q.messages) + 1)
		q.messages = append(q.messages, statuspage.QueueMessage{
			ID: id, Host: host, State: "waiting", From: "news@example.org", Size: 1000, Attempts: 1, Cause: cause, Reply: reply,
			Created: now.Add(-time.Hour), Next: now.Add(10 * time.Minute), GiveUp: now.Add(24 * time.Hour),
			Recipients: []statuspage.QueueRecipient{{Address: "to@" + host, State: "deferred", Next: now.Add(10 * time.Minute), Reply: reply, Advice: "Wait."}},
			History:    []statuspage.QueueEvent{{Time: now, Took: time.Second, Addr: "192.0.2.1:25", Stage: "rcpt", Code: 450, Cause: cause, Text: reply}},
		})
	}
}
