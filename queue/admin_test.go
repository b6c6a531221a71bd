package queue_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// attach opens the same queue beside the process that delivers.
func attach(t *testing.T, p place) *queue.Queue {
	t.Helper()
	q, err := queue.Attach(t.Context(), queue.Config{Database: p.Database, Schema: p.Schema, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

// TestLookAfter works from beside: what waits is counted, listed and shown, held
// and released, tried now and dropped.
func TestLookAfter(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("452 4.2.2 Mailbox full")).To("full@").Times(1),
		}})
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Policy.Backoff.Initial, c.Policy.Backoff.Max = time.Hour, time.Hour
		})
		beside := attach(t, p)
		ctx := t.Context()

		full := enqueue(t, beside, note("full@example.net"), queue.Options{})
		eventually(t, "a refusal", func() bool { return show(t, beside, full.ID).Attempts == 1 })
		if err := beside.Hold(ctx, "relay", time.Time{}, "maintenance"); err != nil {
			t.Fatal(err)
		}
		if holds, err := beside.Holds(ctx); err != nil || len(holds) != 1 || holds[0].Reason != "maintenance" {
			t.Errorf("holds %+v, %v", holds, err)
		}
		eventually(t, "the hold", func() bool { return queue.IsHeld(q, "relay") })
		var ids []int64
		for i := range 5 {
			ids = append(ids, enqueue(t, q, note(fmt.Sprintf("r%d@example.net", i)), queue.Options{}).ID)
		}
		counts, err := beside.Count(ctx)
		if err != nil || len(counts) != 2 || counts[0].N != 5 || counts[0].Cause != "" || !counts[0].Held || counts[1].N != 1 ||
			counts[1].Cause != "mailbox-full" || counts[1].Next.Before(time.Now().Add(20*time.Minute)) || counts[1].Refused != "452 4.2.2 Mailbox full" {
			t.Errorf("counts %+v, %v", counts, err)
		}
		for _, c := range []struct {
			f    queue.Filter
			want int
		}{{queue.Filter{}, 6}, {queue.Filter{Cause: "mailbox-full"}, 1}, {queue.Filter{Cause: queue.NotRefused}, 5}, {queue.Filter{To: "R3@EXAMPLE"}, 1}, {queue.Filter{To: "_3"}, 0},
			{queue.Filter{Host: "other"}, 0}, {queue.Filter{IDs: ids[:2]}, 2}, {queue.Filter{After: ids[3]}, 1}, {queue.Filter{Limit: 4}, 4},
			{queue.Filter{From: "me@example.org"}, 6}, {queue.Filter{States: []queue.State{queue.Delivered}}, 0}} {
			if list, err := beside.List(ctx, c.f); err != nil || len(list) != c.want {
				t.Errorf("%+v: %d entries, want %d, %v", c.f, len(list), c.want, err)
			}
		}
		if e := show(t, beside, full.ID); len(e.History) != 1 || e.History[0].Stage != "rcpt" || e.History[0].Addr == "" || !e.Next.Equal(e.History[0].Next) {
			t.Errorf("entry %+v", e)
		}
		if _, err := beside.Show(ctx, 1<<40); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("no entry: %v", err)
		}

		var steps []string
		n, err := beside.Drop(ctx, queue.Filter{IDs: ids[:2]}, func(done, total int) { steps = append(steps, fmt.Sprint(done, "/", total)) })
		if err != nil || n != 2 || strings.Join(steps, " ") != "0/2 2/2" {
			t.Errorf("dropped %d, %v, told %v", n, err, steps)
		}
		if e := show(t, beside, ids[0]); e.State != queue.Dropped || e.Finished.IsZero() {
			t.Errorf("entry %+v", e)
		}
		if n, err := beside.Retry(ctx, queue.Filter{Cause: "mailbox-full"}, nil); err != nil || n != 1 {
			t.Errorf("tried %d, %v", n, err)
		}
		time.Sleep(500 * time.Millisecond)
		if len(srv.Messages()) > 0 {
			t.Error("a message was sent to a host that is held")
		}
		if ok, err := beside.Release(ctx, "relay"); err != nil || !ok {
			t.Error(ok, err)
		}
		awaitState(t, q, full.ID, queue.Delivered)
		for _, id := range ids[2:] {
			awaitState(t, q, id, queue.Delivered)
		}
		if got := len(times(srv)); got != 4 {
			t.Errorf("%d were delivered", got)
		}
	})
}

// TestDropStuck: an attempt that hangs is broken off, also from beside, and a
// message that a process claimed that is gone can be dropped.
func TestDropStuck(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Stall()).Times(2)}})
		q := open(t, p, relay(t, srv))
		beside := attach(t, p)
		for _, from := range []*queue.Queue{q, beside} {
			r := enqueue(t, q, note("a@example.net"), queue.Options{})
			before := srv.Stats().Mails
			eventually(t, "an attempt", func() bool { return srv.Stats().Mails > before })
			if n, err := from.Drop(t.Context(), queue.Filter{IDs: r.IDs}, nil); err != nil || n != 1 {
				t.Error(n, err)
			}
			eventually(t, "the end of the connection", func() bool { return srv.Stats().Open == 0 })
			if e := show(t, q, r.ID); e.State != queue.Dropped {
				t.Errorf("entry %+v", e)
			}
		}
		awaitState(t, q, enqueue(t, q, note("b@example.net"), queue.Options{}).ID, queue.Delivered)
	})
}

// TestRiverInterface: what somebody does in River's web interface, or with its
// client, has the effect that it says.
func TestRiverInterface(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Later")).To("later@").Times(1),
			testserver.On(testserver.Rcpt, testserver.Stall()).To("hangs@").Times(1),
		}})
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Policy.Backoff.Initial, c.Policy.Backoff.Max = time.Hour, time.Hour
		})
		var cancel, retry, remove func(id int64) error
		var errorsOf func(id int64) int
		if p.isPostgres() {
			c, err := river.NewClient(riverpgxv5.New(q.Postgres()), &river.Config{Schema: p.Schema})
			if err != nil {
				t.Fatal(err)
			}
			cancel = func(id int64) error { _, err := c.JobCancel(t.Context(), id); return err }
			retry = func(id int64) error { _, err := c.JobRetry(t.Context(), id); return err }
			remove = func(id int64) error { _, err := c.JobDelete(t.Context(), id); return err }
			errorsOf = func(id int64) int { j, _ := c.JobGet(t.Context(), id); return len(j.Errors) }
		} else {
			c, err := river.NewClient(riversqlite.New(q.SQLite()), &river.Config{})
			if err != nil {
				t.Fatal(err)
			}
			cancel = func(id int64) error { _, err := c.JobCancel(t.Context(), id); return err }
			retry = func(id int64) error { _, err := c.JobRetry(t.Context(), id); return err }
			remove = func(id int64) error { _, err := c.JobDelete(t.Context(), id); return err }
			errorsOf = func(id int64) int { j, _ := c.JobGet(t.Context(), id); return len(j.Errors) }
		}
		later := enqueue(t, q, note("later@example.net"), queue.Options{})
		eventually(t, "a refusal", func() bool { return show(t, q, later.ID).Attempts == 1 && show(t, q, later.ID).State == queue.Waiting })
		if n := errorsOf(later.ID); n != 1 {
			t.Errorf("River lists %d errors", n)
		}
		if err := retry(later.ID); err != nil {
			t.Fatal(err)
		}
		awaitState(t, q, later.ID, queue.Delivered)

		hangs := enqueue(t, q, note("hangs@example.net"), queue.Options{})
		eventually(t, "an attempt", func() bool { return strings.Contains(srv.Transcript(), "RCPT TO:<hangs@") })
		if err := cancel(hangs.ID); err != nil {
			t.Fatal(err)
		}
		awaitState(t, q, hangs.ID, queue.Dropped)

		waits := enqueue(t, q, note("waits@example.net"), queue.Options{At: time.Now().Add(time.Second)})
		if err := cancel(waits.ID); err != nil {
			t.Fatal(err)
		}
		awaitState(t, q, waits.ID, queue.Dropped)
		if err := remove(enqueue(t, q, note("waits@example.net"), queue.Options{At: time.Now().Add(time.Second)}).ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of what was deleted", func() bool {
			list, err := q.List(t.Context(), queue.Filter{})
			return err == nil && len(list) == 0
		})
		if n := times(srv)["waits@example.net"]; n > 0 {
			t.Error("what was cancelled was sent")
		}
	})
}

// TestTooNew and the like: what cannot be opened says why.
func TestNotOpened(t *testing.T) {
	t.Run("in use", func(t *testing.T) {
		p := newPlace(t, "sqlite")
		srv := listen(t, testserver.Config{})
		k := startChild(t, p, srv.Addr())
		fmt.Fprintln(k.in, "a@example.net")
		<-k.begun
		_, err := queue.Open(t.Context(), queue.Config{Database: p.Database, Relay: client(t, srv.Addr(), 1)})
		if !errors.Is(err, queue.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(k.cmd.Process.Pid)) {
			t.Errorf("got %v, want ErrInUse with the process's number", err)
		}
		if list, err := attach(t, p).List(t.Context(), queue.Filter{}); err != nil {
			t.Error(list, err)
		}
		k.kill()
		open(t, p, relay(t, srv))
	})
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run("no queue, "+engine, func(t *testing.T) {
			p := newPlace(t, engine)
			_, err := queue.Attach(t.Context(), queue.Config{Database: p.Database, Schema: p.Schema})
			if !errors.Is(err, os.ErrNotExist) {
				t.Errorf("got %v", err)
			}
		})
	}
	for what, config := range map[string]queue.Config{"URL": {Database: "mysql://localhost/x"}, "Schema": {Schema: "x"}} {
		t.Run(what, func(t *testing.T) {
			var ce *queue.ConfigError
			if _, err := queue.Open(t.Context(), config); !errors.As(err, &ce) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNewerSchema(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		for _, table := range []string{"smtpretry_schema (version, at) VALUES (99, 0)", "river_migration (line, version) VALUES ('main', 999)"} {
			p := newPlace(t, map[bool]string{true: "postgres", false: "sqlite"}[p.isPostgres()])
			q := open(t, p, nil)
			var err error
			if p.isPostgres() {
				_, err = q.Postgres().Exec(t.Context(), "INSERT INTO "+p.Schema+"."+table)
			} else {
				_, err = q.SQLite().Exec("INSERT INTO " + table)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = queue.Open(t.Context(), queue.Config{Database: p.Database, Schema: p.Schema})
			var se *queue.SchemaError
			if !errors.Is(err, queue.ErrNewerSchema) || !errors.As(err, &se) || se.Have < 99 {
				t.Errorf("%s: got %v", table, err)
			}
		}
	})
}

// TestDiskFull: SQLite is given no more pages, as on a full disk. Enqueue says so,
// and what was queued is delivered once there is space again.
func TestDiskFull(t *testing.T) {
	p := newPlace(t, "sqlite")
	srv := listen(t, testserver.Config{})
	q := open(t, p, func(c *queue.Config) {
		relay(t, srv)(c)
		c.Logger = nil
	})
	limit := func(pages int) {
		if _, err := q.SQLite().Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	first := enqueue(t, q, note("a@example.net"), queue.Options{At: time.Now().Add(time.Second)})
	limit(1) // that is: no more than it has
	large := note("b@example.net")
	large.Body = body(strings.Repeat("x", 100) + "\r\n")
	var err error
	for range 1000 {
		if _, err = q.Enqueue(t.Context(), large, queue.Options{At: time.Now().Add(time.Hour)}); err != nil {
			break
		}
	}
	if !errors.Is(err, queue.ErrDiskFull) {
		t.Fatalf("got %v, want ErrDiskFull", err)
	}
	time.Sleep(1500 * time.Millisecond)
	limit(1 << 30)
	awaitState(t, q, first.ID, queue.Delivered)
	if n := times(srv)["a@example.net"]; n != 1 {
		t.Errorf("delivered %d times", n)
	}
}

// TestKeep: what is over is forgotten in time.
func TestKeep(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No")).To("no@").Always()}})
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Keep = 100 * time.Millisecond
		})
		good := enqueue(t, q, note("a@example.net"), queue.Options{Key: "k"})
		bad := enqueue(t, q, note("no@example.net"), queue.Options{})
		awaitState(t, q, good.ID, queue.Delivered)
		awaitState(t, q, bad.ID, queue.Failed)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		q = open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Keep = 100 * time.Millisecond
		})
		for _, id := range []int64{good.ID, bad.ID} {
			eventually(t, "the end of the entry", func() bool { _, err := q.Show(t.Context(), id); return errors.Is(err, queue.ErrNotFound) })
		}
		if r := enqueue(t, q, note("a@example.net"), queue.Options{Key: "k"}); r.Duplicate {
			t.Error("the key is still known")
		}
		rows := 0
		if p.isPostgres() {
			err := q.Postgres().QueryRow(t.Context(), "SELECT count(*) FROM "+p.Schema+".smtpretry_body WHERE id = $1", bad.ID).Scan(&rows)
			if err != nil {
				t.Error(err)
			}
		} else if err := q.SQLite().QueryRow("SELECT count(*) FROM smtpretry_body WHERE id = ?", bad.ID).Scan(&rows); err != nil {
			t.Error(err)
		}
		if rows != 0 {
			t.Error("the body is still there")
		}
	})
}
