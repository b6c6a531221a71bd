package statuspage_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/statuspage"
)

// An outbox is a queue of the program's own, here in memory and for one goroutine:
// a real one locks.
type outbox struct {
	mails []statuspage.QueueMessage
	held  []statuspage.QueueHold
}

func (o *outbox) fitting(f *statuspage.QueueFilter) (list []*statuspage.QueueMessage) {
	for i := range o.mails {
		m := &o.mails[i]
		fits := (f.IDs == nil || slices.Contains(f.IDs, m.ID)) && (f.Host == "" || f.Host == m.Host) &&
			(f.Cause == "" || f.Cause == m.Cause || f.Cause == "-" && m.Cause == "") && (f.From == "" || f.From == m.From) &&
			(f.To == "" || f.To == m.Recipients[0].Address) && (f.States == nil || slices.Contains(f.States, m.State)) && m.ID > f.After
		if fits && (f.Limit == 0 || len(list) < f.Limit) {
			list = append(list, m)
		}
	}
	return list
}

func (o *outbox) Count(context.Context) (list []statuspage.QueueCount, err error) {
	for _, m := range o.mails {
		list = append(list, statuspage.QueueCount{Host: m.Host, State: m.State, Cause: m.Cause, N: 1, Octets: m.Size, Oldest: m.Created, Next: m.Next})
	}
	return list, nil
}

func (o *outbox) List(_ context.Context, f statuspage.QueueFilter) (list []statuspage.QueueMessage, err error) {
	for _, m := range o.fitting(&f) {
		list = append(list, *m)
	}
	return list, nil
}

func (o *outbox) Show(_ context.Context, id int64) (statuspage.QueueMessage, bool, error) {
	for _, m := range o.fitting(&statuspage.QueueFilter{IDs: []int64{id}}) {
		return *m, true, nil
	}
	return statuspage.QueueMessage{}, false, nil
}

func (o *outbox) Holds(context.Context) ([]statuspage.QueueHold, error) { return o.held, nil }

func (o *outbox) Hold(_ context.Context, host string, until time.Time, reason string) error {
	o.held = append(o.held, statuspage.QueueHold{Host: host, Until: until, Reason: reason, Created: time.Now()})
	return nil
}

func (o *outbox) Release(_ context.Context, host string) (bool, error) {
	n := len(o.held)
	o.held = slices.DeleteFunc(o.held, func(h statuspage.QueueHold) bool { return h.Host == host })
	return len(o.held) < n, nil
}

func (o *outbox) Retry(_ context.Context, f statuspage.QueueFilter) (int, error) {
	list := o.fitting(&f)
	for _, m := range list {
		m.Next = time.Now()
	}
	return len(list), nil
}

func (o *outbox) Drop(_ context.Context, f statuspage.QueueFilter) (int, error) {
	list := o.fitting(&f)
	for _, m := range list {
		m.State, m.Next = "dropped", time.Time{}
	}
	return len(list), nil
}

// A queue of the program's own on the page.
func ExampleQueue() {
	now := time.Now()
	page := &statuspage.Handler{Limiter: smtpretry.NewLimiter(smtpretry.Limit{}), Queue: &outbox{mails: []statuspage.QueueMessage{{
		ID: 1, Host: "mail.example.org", State: "waiting", From: "news@example.com", Size: 2048, Attempts: 1, Cause: "greylist",
		Reply: "450 4.2.0 Greylisted", Created: now.Add(-time.Minute), Next: now.Add(5 * time.Minute), GiveUp: now.Add(24 * time.Hour),
		Recipients: []statuspage.QueueRecipient{{Address: "you@example.net", State: "deferred", Reply: "450 4.2.0 Greylisted"}},
		History:    []statuspage.QueueEvent{{Time: now, Took: time.Second, Stage: "rcpt", Code: 450, Cause: "greylist", Text: "4.2.0 Greylisted"}},
	}}}}
	shown := httptest.NewRecorder()
	page.ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/queue", nil))
	for _, tab := range regexp.MustCompile(`>([a-z]+) <b>(\d+)</b>`).FindAllStringSubmatch(shown.Body.String(), -1) {
		fmt.Println(tab[1], tab[2])
	}
	// Output:
	// greylist 1
}
