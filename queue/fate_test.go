package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// told collects notices.
type told struct {
	mu              sync.Mutex
	failed, delayed []queue.Notice
}

func (o *told) hear(c *queue.Config) {
	c.OnFailed = func(n queue.Notice) { o.mu.Lock(); defer o.mu.Unlock(); o.failed = append(o.failed, n) }
	c.OnDelayed = func(n queue.Notice) { o.mu.Lock(); defer o.mu.Unlock(); o.delayed = append(o.delayed, n) }
}

func (o *told) count() (failed, delayed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.failed), len(o.delayed)
}

// TestGiveUp: a message past its time fails with its last reply, told exactly once
// and kept for looking up; before that it is told once that it is late.
func TestGiveUp(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Come back later")).Always(),
		}})
		var o told
		cfg := func(c *queue.Config) {
			relay(t, srv)(c)
			o.hear(c)
		}
		q := open(t, p, cfg)
		start := time.Now()
		until := start.Add(3 * time.Second)
		r := enqueue(t, q, note("a@example.net"), queue.Options{GiveUp: until, DelayAfter: time.Second})
		e := awaitState(t, q, r.ID, queue.Failed)
		if e.Finished.Before(until.Add(-50*time.Millisecond)) || e.Finished.After(until.Add(3*time.Second)) {
			t.Errorf("it failed after %v", e.Finished.Sub(start))
		}
		if e.Cause == "" || e.Reply != "450 4.2.1 Come back later" || !e.Recipients[0].Failed || e.Recipients[0].State != smtpretry.Deferred || e.Attempts < 3 {
			t.Errorf("entry %+v", e)
		}
		eventually(t, "the notices", func() bool { f, d := o.count(); return f > 0 && d > 0 })
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		q = open(t, p, cfg) // it is not told again
		time.Sleep(500 * time.Millisecond)
		if f, d := o.count(); f != 1 || d != 1 {
			t.Errorf("told %d times of the failure and %d of the delay", f, d)
		}
		if n := o.failed[0]; n.Entry.ID != r.ID || n.Entry.Reply != e.Reply || n.Recipients[0].Verdict.Code != 450 {
			t.Errorf("told %+v", n)
		}
		if d := o.delayed[0]; d.Entry.State == queue.Failed || time.Since(start) < time.Second {
			t.Errorf("told %+v", d)
		}
		if list, err := q.List(t.Context(), queue.Filter{States: []queue.State{queue.Failed}}); err != nil || len(list) != 1 || list[0].ID != r.ID {
			t.Errorf("failed entries %+v, %v", list, err)
		}
		if b, err := q.Body(t.Context(), r.ID); err != nil || string(b) != text {
			t.Errorf("the body of a failed message: %q, %v", b, err)
		}
	})
}

// TestGiveUpHeld: a hold does not keep a message beyond its time.
func TestGiveUpHeld(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{})
		q := open(t, p, relay(t, srv))
		if err := q.Hold(t.Context(), "relay", time.Time{}, "maintenance"); err != nil {
			t.Fatal(err)
		}
		r := enqueue(t, q, note("a@example.net"), queue.Options{GiveUp: time.Now().Add(time.Second)})
		if e := awaitState(t, q, r.ID, queue.Failed); !strings.Contains(e.Reply, "the host was held") || e.Attempts != 0 {
			t.Errorf("entry %+v", e)
		}
		if len(srv.Messages()) > 0 {
			t.Error("it was sent")
		}
	})
}

// TestInDoubt: a message whose fate is not known is sent again, or fails, as the
// policy says.
func TestInDoubt(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		for _, again := range []bool{true, false} {
			srv := listen(t, testserver.Config{Script: testserver.Script{
				testserver.On(testserver.Dot, testserver.Close().Keep()),
			}})
			pp := newPlace(t, map[bool]string{true: "postgres", false: "sqlite"}[p.isPostgres()])
			q := open(t, pp, func(c *queue.Config) {
				relay(t, srv)(c)
				c.Policy.RetryInDoubt = again
			})
			r := enqueue(t, q, note("a@example.net"), queue.Options{})
			if again {
				awaitState(t, q, r.ID, queue.Delivered)
			} else if e := awaitState(t, q, r.ID, queue.Failed); e.Recipients[0].State != smtpretry.InDoubt {
				t.Errorf("entry %+v", e)
			}
			if n := times(srv)["a@example.net"]; n != map[bool]int{true: 2, false: 1}[again] {
				t.Errorf("RetryInDoubt %v: delivered %d times", again, n)
			}
		}
	})
}

// TestDSN: the sender is told what RFC 3464 says, once, unless there is none or it
// asked not to be.
func TestDSN(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("@gone.example").Always(),
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Later")).To("@late.example").Always(),
		}})
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.DSN = &queue.DSN{ReportingMTA: "mx.example.org"}
			c.DelayAfter = time.Second
		})
		m := note("a@gone.example", "b@gone.example", "c@example.net")
		m.MailOptions = &smtp.MailOptions{EnvelopeID: "env-7"}
		m.RcptOptions = func(to string) *smtp.RcptOptions {
			if to[0] == 'b' {
				return &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}
			}
			return nil
		}
		enqueue(t, q, m, queue.Options{})
		null := note("d@gone.example")
		null.From = ""
		awaitState(t, q, enqueue(t, q, null, queue.Options{}).ID, queue.Failed)
		enqueue(t, q, note("e@late.example"), queue.Options{})
		find := func(subject string) (found []*testserver.Message) {
			for _, m := range srv.Messages() {
				if strings.Contains(string(m.Body), subject) && m.From == "" {
					found = append(found, m)
				}
			}
			return found
		}
		eventually(t, "both notifications", func() bool { return len(find("Undelivered")) > 0 && len(find("Delayed")) > 0 })
		time.Sleep(300 * time.Millisecond)
		failed, late := find("Undelivered"), find("Delayed")
		if len(failed) != 1 || len(late) != 1 {
			t.Fatalf("%d of failure, %d of delay", len(failed), len(late))
		}
		parts := report(t, failed[0].Body)
		if failed[0].Addrs()[0] != "me@example.org" || !strings.Contains(parts[0], "<a@gone.example>") || strings.Contains(parts[0], "<b@") {
			t.Errorf("to %v: %s", failed[0].Addrs(), parts[0])
		}
		for _, want := range []string{"Reporting-MTA: dns; mx.example.org", "Original-Envelope-Id: env-7", "Final-Recipient: rfc822; a@gone.example",
			"Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 No such user"} {
			if !strings.Contains(parts[1], want+"\r\n") {
				t.Errorf("%q is missing in %s", want, parts[1])
			}
		}
		if !strings.Contains(parts[2], "Subject: hello") || strings.Contains(parts[2], "Hello there.") {
			t.Errorf("returned %q", parts[2])
		}
		if parts := report(t, late[0].Body); !strings.Contains(parts[1], "Action: delayed\r\nStatus: 4.2.1") || !strings.Contains(parts[1], "Will-Retry-Until: ") {
			t.Errorf("of the delay: %s", parts[1])
		}
	})
}

// report takes a notification apart.
func report(t *testing.T, body []byte) (parts []string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatal(kind, params, err)
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(b))
	}
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	return parts
}

// TestQuickRetries: attempts that follow each other faster than River's own books
// lose nothing.
func TestQuickRetries(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		const n = 40
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.1 Again")).Times(10 * n),
		}})
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Policy.Backoff = smtpretry.Backoff{Initial: 20 * time.Millisecond, Max: 100 * time.Millisecond}
		})
		var ids []int64
		for i := range n {
			ids = append(ids, enqueue(t, q, note(fmt.Sprintf("r%d@example.net", i)), queue.Options{}).ID)
		}
		for _, id := range ids {
			awaitState(t, q, id, queue.Delivered)
		}
		if len(times(srv)) != n || len(srv.Messages()) != n {
			t.Errorf("%d messages for %d recipients", len(srv.Messages()), len(times(srv)))
		}
	})
}

// TestLimit: what a limit does not let through yet waits without losing attempts
// or its place, and others are not delayed.
func TestLimit(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		slow, fast := listen(t, testserver.Config{}), listen(t, testserver.Config{})
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		for host, lim := range map[string]smtpretry.Limit{"slow": {Rate: smtpretry.PerSecond(0.3), Burst: 2}, "fast": {}} {
			if err := limiter.SetLimit(host, lim); err != nil {
				t.Fatal(err)
			}
		}
		q := open(t, p, func(c *queue.Config) {
			c.Policy = quick()
			c.Route = func(_, to string) string { return to[strings.LastIndex(to, "@")+1:] }
			c.Client = func(host string) (*smtpretry.Client, error) {
				addr := map[string]string{"slow": slow.Addr(), "fast": fast.Addr()}[host]
				return smtpretry.New(smtpretry.Config{Host: host, Dialer: &smtpretry.Dialer{Addr: addr, LocalName: "c.example"}, Limiter: limiter, MaxConns: 2})
			}
		})
		var ids []int64
		for i := range 3 {
			ids = append(ids, enqueue(t, q, note(fmt.Sprintf("r%d@slow", i)), queue.Options{}).ID)
		}
		eventually(t, "the burst", func() bool { return slow.Stats().Accepted == 2 })
		start := time.Now()
		awaitState(t, q, enqueue(t, q, note("x@fast"), queue.Options{}).ID, queue.Delivered)
		if d := time.Since(start); d > time.Second+slack {
			t.Errorf("the other host's took %v", d)
		}
		for _, id := range ids {
			if e := awaitState(t, q, id, queue.Delivered); e.Attempts != 1 || len(e.History) != 0 {
				t.Errorf("entry %+v", e)
			}
		}
	})
}

// TestClose: an attempt that is under way is broken off after the grace, and goes
// on after the next Open.
func TestClose(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Data, testserver.Stall())}})
		q := open(t, p, relay(t, srv))
		r := enqueue(t, q, note("a@example.net"), queue.Options{})
		eventually(t, "an attempt", func() bool { return srv.Stats().Mails > 0 })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := q.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		q = open(t, p, relay(t, srv))
		if e := awaitState(t, q, r.ID, queue.Delivered); e.Attempts != 1 || len(e.History) != 1 {
			t.Errorf("entry %+v", e)
		}
	})
}
