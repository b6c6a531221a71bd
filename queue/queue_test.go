package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// TestDeliver: a message arrives as it was queued, and its entry says so.
func TestDeliver(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{})
		q := open(t, p, relay(t, srv))
		m := note("a@example.net", "b@example.net")
		m.MailOptions = &smtp.MailOptions{EnvelopeID: "id+1", Return: smtp.DSNReturnHeaders}
		m.RcptOptions = func(to string) *smtp.RcptOptions {
			if to[0] == 'b' {
				return &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}
			}
			return nil
		}
		r := enqueue(t, q, m, queue.Options{})
		if r.ID == 0 || len(r.IDs) != 1 || r.IDs[0] != r.ID || r.Duplicate {
			t.Errorf("receipt %+v", r)
		}
		e := awaitState(t, q, r.ID, queue.Delivered)
		if e.Attempts != 1 || e.Finished.IsZero() || !e.Next.IsZero() || e.Recipients[1].State != smtpretry.Accepted || !strings.Contains(e.Reply, "00000001") {
			t.Errorf("entry %+v", e)
		}
		got := srv.Messages()
		if len(got) != 1 || string(got[0].Body) != text || got[0].From != "me@example.org" || fmt.Sprint(got[0].Addrs()) != "[a@example.net b@example.net]" {
			t.Fatalf("got %+v", got)
		}
		if got[0].Params["ENVID"] != "id+2B1" || got[0].Params["RET"] != "HDRS" || got[0].To[1].Params["NOTIFY"] != "NEVER" || got[0].To[0].Params["NOTIFY"] != "" {
			t.Errorf("options %v %v", got[0].Params, got[0].To)
		}
		if _, err := q.Body(t.Context(), r.ID); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("the body of a delivered message: %v", err)
		}
	})
}

// TestOnlyOpenAgain: recipients that have it are not sent it again, and what each
// met is told.
func TestOnlyOpenAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Not now")).To("b@").Times(2),
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 Nobody here")).To("c@").Always(),
		}})
		var mu sync.Mutex
		var told []queue.Notice
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.OnFailed = func(n queue.Notice) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, n)
			}
		})
		r := enqueue(t, q, note("a@example.net", "b@example.net", "c@example.net"), queue.Options{})
		e := awaitState(t, q, r.ID, queue.Failed)
		if got := fmt.Sprint(times(srv)); got != "map[a@example.net:1 b@example.net:1]" {
			t.Errorf("delivered %v", got)
		}
		if e.Attempts != 3 || len(e.History) != 2 || e.History[0].Code != 550 || e.History[1].Code != 450 || e.History[0].Next.IsZero() {
			t.Errorf("entry %+v", e)
		}
		for i, want := range []struct {
			state  smtpretry.State
			failed bool
			code   int
		}{{smtpretry.Accepted, false, 0}, {smtpretry.Accepted, false, 0}, {smtpretry.Rejected, true, 550}} {
			if r := e.Recipients[i]; r.State != want.state || r.Failed != want.failed || r.Verdict.Code != want.code {
				t.Errorf("recipient %+v, want %+v", r, want)
			}
		}
		eventually(t, "a notice", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 0 })
		time.Sleep(300 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 1 || len(told[0].Recipients) != 1 || told[0].Recipients[0].Address != "c@example.net" || told[0].Recipients[0].Verdict.Code != 550 {
			t.Errorf("told %+v", told)
		}
	})
}

// TestKey: a key is queued once, also in one call and at the same time.
func TestKey(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{})
		q := open(t, p, relay(t, srv))
		var wg sync.WaitGroup
		ids := make([]queue.Receipt, 8)
		for i := range ids {
			wg.Go(func() { ids[i], _ = q.Enqueue(t.Context(), note("a@example.net"), queue.Options{Key: "order 1"}) })
		}
		wg.Wait()
		fresh := 0
		for _, r := range ids {
			if r.ID == 0 || r.ID != ids[0].ID {
				t.Errorf("receipts %+v", ids)
			}
			if !r.Duplicate {
				fresh++
			}
		}
		if fresh != 1 {
			t.Errorf("%d were queued", fresh)
		}
		many, err := q.EnqueueMany(t.Context(), []queue.Item{
			{Message: note("b@example.net"), Options: queue.Options{Key: "order 2"}},
			{Message: note("b@example.net"), Options: queue.Options{Key: "order 2"}},
			{Message: note("a@example.net"), Options: queue.Options{Key: "order 1"}},
		})
		if err != nil || many[0].Duplicate || !many[1].Duplicate || many[1].ID != many[0].ID || many[2].ID != ids[0].ID {
			t.Errorf("receipts %+v, %v", many, err)
		}
		awaitState(t, q, many[0].ID, queue.Delivered)
		awaitState(t, q, ids[0].ID, queue.Delivered)
		if r := enqueue(t, q, note("a@example.net"), queue.Options{Key: "order 1"}); !r.Duplicate {
			t.Error("the key is not known after delivery")
		}
		if got := fmt.Sprint(times(srv)); got != "map[a@example.net:1 b@example.net:1]" {
			t.Errorf("delivered %v", got)
		}
	})
}

// TestEnqueueTx: what is rolled back was never queued, what is committed is sent
// soon.
func TestEnqueueTx(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{})
		q := open(t, p, relay(t, srv))
		within := func(commit bool, to string) queue.Receipt {
			var r queue.Receipt
			var err, end error
			if p.isPostgres() {
				tx, berr := q.Postgres().Begin(t.Context())
				if berr != nil {
					t.Fatal(berr)
				}
				r, err = q.EnqueueTx(t.Context(), tx, note(to), queue.Options{Key: to})
				if end = tx.Rollback(t.Context()); commit {
					tx, _ = q.Postgres().Begin(t.Context())
					r, err = q.EnqueueTx(t.Context(), tx, note(to), queue.Options{Key: to})
					end = tx.Commit(t.Context())
				}
			} else {
				tx, berr := q.SQLite().Begin()
				if berr != nil {
					t.Fatal(berr)
				}
				r, err = q.EnqueueTx(t.Context(), tx, note(to), queue.Options{Key: to})
				if commit {
					end = tx.Commit()
				} else {
					end = tx.Rollback()
				}
			}
			if err != nil || end != nil {
				t.Fatal(err, end)
			}
			return r
		}
		gone := within(false, "gone@example.net")
		start := time.Now()
		r := within(true, "here@example.net")
		awaitState(t, q, r.ID, queue.Delivered)
		if d := time.Since(start); d > 250*time.Millisecond+slack {
			t.Errorf("it took %v", d)
		}
		if gone.ID != r.ID { // SQLite gives the number again
			if _, err := q.Show(t.Context(), gone.ID); !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("what was rolled back: %v", err)
			}
		}
		if got := fmt.Sprint(times(srv)); got != "map[here@example.net:1]" {
			t.Errorf("delivered %v", got)
		}
		if _, err := q.EnqueueTx(t.Context(), "no transaction", note("x@example.net"), queue.Options{}); err == nil {
			t.Error("a string was taken for a transaction")
		}
	})
}

// TestOpenTransaction: with SQLite, a call that is not given the open transaction
// of its own caller says that the database is busy, and does not wait for ever.
func TestOpenTransaction(t *testing.T) {
	q := open(t, newPlace(t, "sqlite"), nil)
	tx, err := q.SQLite().BeginTx(t.Context(), &sql.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := q.Enqueue(ctx, note("a@example.net"), queue.Options{}); !errors.Is(err, queue.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
}

// TestClosed: a queue that was closed says so, whatever it is asked for.
func TestClosed(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		q := open(t, p, nil)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		_, enqueued := q.Enqueue(t.Context(), note("a@example.net"), queue.Options{})
		_, counted := q.Count(t.Context())
		_, shown := q.Show(t.Context(), 1)
		held := q.Hold(t.Context(), "relay", time.Time{}, "")
		for _, err := range []error{enqueued, counted, shown, held} {
			if !errors.Is(err, queue.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
	})
}

// TestRefused: faulty messages and options are refused, and nothing is queued.
func TestRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		q := open(t, p, func(c *queue.Config) { c.MaxSize = 100 })
		var field *smtpretry.FieldError
		var config *queue.ConfigError
		bare := note("a@example.net")
		bare.Body = body("a\rb")
		large := note("a@example.net")
		large.Body = body(strings.Repeat("x", 101))
		short := note("a@example.net")
		short.Size = 5
		for _, c := range []struct {
			m  *smtpretry.Message
			o  queue.Options
			is func(error) bool
		}{
			{note("a b@example.net"), queue.Options{}, func(err error) bool { return errors.As(err, &field) }},
			{bare, queue.Options{}, func(err error) bool { return errors.As(err, &field) }},
			{short, queue.Options{}, func(err error) bool { return errors.As(err, &field) }},
			{large, queue.Options{}, func(err error) bool { return errors.Is(err, queue.ErrTooLarge) }},
			{note("a@example.net"), queue.Options{Priority: 5}, func(err error) bool { return errors.As(err, &config) }},
			{note("a@example.net"), queue.Options{GiveUp: time.Now().Add(-time.Second)}, func(err error) bool { return errors.As(err, &config) }},
		} {
			if _, err := q.Enqueue(t.Context(), c.m, c.o); err == nil || !c.is(err) {
				t.Errorf("%+v %+v: got %v", c.m, c.o, err)
			}
		}
		if list, err := q.List(t.Context(), queue.Filter{}); err != nil || len(list) != 0 {
			t.Errorf("queued %v, %v", list, err)
		}
	})
}

// TestScheduleAndPriority: nothing goes before its time, and the urgent first.
func TestScheduleAndPriority(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{})
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Workers = 1
		})
		if err := q.Hold(t.Context(), "relay", time.Time{}, "until all are there"); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(1500 * time.Millisecond)
		late := enqueue(t, q, note("late@example.net"), queue.Options{At: at, Priority: 1})
		for _, o := range []struct {
			to string
			n  int
		}{{"four@example.net", 4}, {"two@example.net", 0}, {"three@example.net", 3}, {"one@example.net", 1}} {
			enqueue(t, q, note(o.to), queue.Options{Priority: o.n})
		}
		if ok, err := q.Release(t.Context(), "relay"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		awaitState(t, q, late.ID, queue.Delivered)
		var order []string
		for _, m := range srv.Messages() {
			order = append(order, strings.TrimSuffix(m.Addrs()[0], "@example.net"))
		}
		if got := fmt.Sprint(order); got != "[one two three four late]" {
			t.Errorf("order %v", got)
		}
		if got := srv.Messages()[4].Time; got.Before(at) || got.After(at.Add(250*time.Millisecond+slack)) {
			t.Errorf("sent %v after its time", got.Sub(at))
		}
	})
}

// TestRoute: a message to several destinations is several entries with one body,
// which is there until the last is done.
func TestRoute(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		one, two := listen(t, testserver.Config{}), listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Not now")).Times(2),
		}})
		q := open(t, p, func(c *queue.Config) {
			c.Policy = quick()
			c.Route = func(_, to string) string { return to[strings.LastIndex(to, "@")+1:] }
			c.Client = func(host string) (*smtpretry.Client, error) {
				switch host {
				case "one.example":
					return newClient(one.Addr(), 2)
				case "two.example":
					return newClient(two.Addr(), 2)
				}
				return nil, errors.New("no such host here")
			}
		})
		r := enqueue(t, q, note("a@one.example", "b@two.example", "c@one.example"), queue.Options{})
		if len(r.IDs) != 2 {
			t.Fatalf("receipt %+v", r)
		}
		for i, id := range r.IDs {
			if e := awaitState(t, q, id, queue.Delivered); e.First != r.ID || e.Host != []string{"one.example", "two.example"}[i] {
				t.Errorf("entry %+v", e)
			}
		}
		if got := fmt.Sprint(times(one), times(two)); got != "map[a@one.example:1 c@one.example:1] map[b@two.example:1]" {
			t.Errorf("delivered %v", got)
		}
		if string(two.Messages()[0].Body) != text {
			t.Error("the second destination got another body")
		}
		lost := enqueue(t, q, note("d@three.example"), queue.Options{})
		eventually(t, "a refusal", func() bool { return show(t, q, lost.ID).Attempts > 0 })
		if e := show(t, q, lost.ID); e.State != queue.Waiting || !strings.Contains(e.Reply, "no such host here") {
			t.Errorf("entry %+v", e)
		}
	})
}

func body(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}
