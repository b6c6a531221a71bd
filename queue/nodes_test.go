package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// TestTwoProcesses: a process that starts, of the same name or another, does not
// take what a living one is sending; both deliver.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "postgres")
	srv := listen(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Dot, testserver.Pass().After(4*time.Second)).When(func(at testserver.At) bool { return at.From == "slow@example.org" }).Always(),
	}})
	k := startChild(t, p, srv.Addr())
	<-k.opened
	q := open(t, p, func(c *queue.Config) { relay(t, srv)(c); c.Node = "other" })
	slow := note("slow@example.net")
	slow.From = "slow@example.org"
	var ids []int64
	for range 10 {
		ids = append(ids, enqueue(t, q, slow, queue.Options{}).ID)
	}
	eventually(t, "attempts", func() bool { return srv.Stats().Mails >= 10 })
	for _, name := range []string{"child", "other"} {
		open(t, p, func(c *queue.Config) { relay(t, srv)(c); c.Node = name })
	}
	for _, id := range ids {
		awaitState(t, q, id, queue.Delivered)
	}
	if n := times(srv)["slow@example.net"]; n != len(ids) {
		t.Errorf("%d messages arrived %d times", len(ids), n)
	}
}

// TestOtherTakesOver: what a machine left that does not come back is sent by
// another.
func TestOtherTakesOver(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "postgres")
	srv := listen(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Stall())}})
	k := startChild(t, p, srv.Addr())
	fmt.Fprintln(k.in, "a@example.net")
	eventually(t, "an attempt", func() bool { return srv.Stats().Mails > 0 })
	q := open(t, p, func(c *queue.Config) { relay(t, srv)(c); c.Node = "other" })
	time.Sleep(3 * time.Second)
	if srv.Stats().Mails > 1 {
		t.Error("it was taken from a living process")
	}
	k.kill()
	list, err := q.List(t.Context(), queue.Filter{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	e := awaitState(t, q, list[0].ID, queue.Delivered)
	if len(e.History) != 1 || e.History[0].Text != "interrupted by the end of the process" {
		t.Errorf("entry %+v", e)
	}
}
