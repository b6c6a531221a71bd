package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// exampleQueue is a queue that delivers nothing, with a message to each of to.
func exampleQueue(to ...string) *queue.Queue {
	q, err := queue.Open(context.Background(), queue.Config{Database: exampleFile()})
	if err != nil {
		log.Panic(err)
	}
	for _, a := range to {
		if _, err := q.Enqueue(context.Background(), hello(a), queue.Options{}); err != nil {
			log.Panic(err)
		}
	}
	return q
}

// What waits, where, and why.
func ExampleQueue_Count() {
	q := exampleQueue("ada@example.net", "bob@example.net")
	defer q.Close()

	counts, err := q.Count(context.Background())
	if err != nil {
		log.Panic(err)
	}
	slices.SortFunc(counts, func(a, b queue.Count) int { return b.N - a.N }) // the most first
	for _, c := range counts {
		fmt.Println(c.N, "for", c.Host, c.State)
	}
	// Output: 2 for relay waiting
}

// The entries to one recipient.
func ExampleQueue_List() {
	q := exampleQueue("ada@example.net", "bob@example.net")
	defer q.Close()

	entries, err := q.List(context.Background(), queue.Filter{To: "bob@", States: []queue.State{queue.Waiting}})
	if err != nil {
		log.Panic(err)
	}
	for _, e := range entries {
		fmt.Println(e.Recipients[0].Address, e.State, "- gives up after", e.GiveUp.Sub(e.Created).Round(time.Hour))
	}
	// Output: bob@example.net waiting - gives up after 120h0m0s
}

// What happened to one message.
func ExampleQueue_Show() {
	srv, relay := exampleServer(testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")),
	}})
	defer srv.Close()
	told := make(chan queue.Entry)
	q, err := queue.Open(context.Background(), queue.Config{
		Database: exampleFile(), Relay: relay,
		OnFailed: func(n queue.Notice) { told <- n.Entry },
	})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()
	if _, err := q.Enqueue(context.Background(), hello("nobody@example.net"), queue.Options{}); err != nil {
		log.Panic(err)
	}

	entry, err := q.Show(context.Background(), (<-told).ID)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(entry.State, slices.ContainsFunc(entry.Recipients, func(r queue.Recipient) bool { return r.Failed }))
	attempts := slices.DeleteFunc(entry.History, func(l queue.HistoryLine) bool { return l.Stage == "" })
	for _, l := range attempts {
		fmt.Println(l.Stage, l.Cause, l.Text)
	}
	// Output:
	// failed true
	// rcpt bad-recipient 550 5.1.1 No such user
}

// The message as it was queued.
func ExampleQueue_Body() {
	q := exampleQueue("ada@example.net")
	defer q.Close()
	entries, err := q.List(context.Background(), queue.Filter{})
	if err != nil {
		log.Panic(err)
	}
	body, err := q.Body(context.Background(), entries[0].ID)
	fmt.Printf("%q %v\n", body, err)
	// Output: "Subject: hello\r\n\r\nHello.\r\n" <nil>
}

// A message that was put off for a day is sent now after all.
func ExampleQueue_Retry() {
	q := exampleQueue()
	defer q.Close()
	ctx := context.Background()
	if _, err := q.Enqueue(ctx, hello("ada@example.net"), queue.Options{At: time.Now().Add(24 * time.Hour)}); err != nil {
		log.Panic(err)
	}

	n, err := q.Retry(ctx, queue.Filter{To: "ada@example.net"}, nil)
	if err != nil {
		log.Panic(err)
	}
	entries, err := q.List(ctx, queue.Filter{})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(n, "is due:", !entries[0].Next.After(time.Now()))
	// Output: 1 is due: true
}

// Messages that must not go out are taken out; nobody is told.
func ExampleQueue_Drop() {
	q := exampleQueue("ada@example.net", "bob@example.org")
	defer q.Close()

	var watch queue.Progress = func(done, total int) { fmt.Println(done, "of", total) }
	n, err := q.Drop(context.Background(), queue.Filter{To: "@example.org"}, watch)
	fmt.Println(n, "dropped, error:", err)
	// Output:
	// 0 of 1
	// 1 of 1
	// 1 dropped, error: <nil>
}

// A destination is held back while its operator looks after it.
func ExampleQueue_Hold() {
	q := exampleQueue("ada@example.net")
	defer q.Close()
	ctx := context.Background()

	if err := q.Hold(ctx, "relay", time.Now().Add(2*time.Hour), "they are moving"); err != nil {
		log.Panic(err)
	}
	counts, err := q.Count(ctx)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(counts[0].Host, "held:", counts[0].Held)
	// Output: relay held: true
}

func ExampleQueue_Holds() {
	q := exampleQueue()
	defer q.Close()
	ctx := context.Background()
	if err := q.Hold(ctx, "relay", time.Time{}, "they are moving"); err != nil {
		log.Panic(err)
	}

	holds, err := q.Holds(ctx)
	if err != nil {
		log.Panic(err)
	}
	endless := func(h queue.Hold) bool { return h.Until.IsZero() }
	for _, h := range holds {
		fmt.Println(h.Host, h.Reason, "- until released:", endless(h))
	}
	// Output: relay they are moving - until released: true
}

func ExampleQueue_Release() {
	q := exampleQueue()
	defer q.Close()
	ctx := context.Background()
	if err := q.Hold(ctx, "relay", time.Time{}, "they are moving"); err != nil {
		log.Panic(err)
	}
	for range 2 {
		fmt.Println(q.Release(ctx, "relay"))
	}
	// Output:
	// true <nil>
	// false <nil>
}

// Attempts that are under way get as long as the caller's deadline allows.
func ExampleQueue_Shutdown() {
	q := exampleQueue("ada@example.net")

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(q.Shutdown(ctx))
	_, err := q.Enqueue(ctx, hello("bob@example.net"), queue.Options{})
	fmt.Println(errors.Is(err, queue.ErrClosed))
	// Output:
	// <nil>
	// true
}

// What can be wrong when a queue is opened or filled.
func Example_errors() {
	ctx := context.Background()
	open := func(cfg queue.Config) error {
		q, err := queue.Open(ctx, cfg)
		if err != nil {
			return err
		}
		defer q.Close()
		_, err = q.Enqueue(ctx, &smtpretry.Message{From: "me@example.org", To: []string{"you@example.net"},
			Body: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(strings.Repeat("Hello.\r\n", 1000))), nil
			},
		}, queue.Options{})
		return err
	}
	for _, cfg := range []queue.Config{
		{Database: exampleFile(), Workers: -1},
		{Database: exampleFile(), MaxSize: 100},
		{Database: exampleFile()},
	} {
		err := open(cfg)
		var faulty *queue.ConfigError
		var newer *queue.SchemaError
		switch {
		case errors.As(err, &faulty):
			fmt.Println("correct", faulty.Field)
		case errors.As(err, &newer):
			fmt.Println("bring this program up to date:", newer.What, newer.Have)
		case errors.Is(err, queue.ErrInUse):
			fmt.Println("another process delivers from it: Attach")
		case errors.Is(err, queue.ErrTooLarge):
			fmt.Println("send a smaller message")
		default:
			fmt.Println("error:", err)
		}
	}
	// Output:
	// correct Config.Workers
	// send a smaller message
	// error: <nil>
}
