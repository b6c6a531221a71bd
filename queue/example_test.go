package queue_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// exampleServer is a mail server, and a relay client for it.
func exampleServer(cfg testserver.Config) (*testserver.Server, *smtpretry.Client) {
	srv, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		log.Panic(err)
	}
	c, err := newClient(srv.Addr(), 1)
	if err != nil {
		log.Panic(err)
	}
	return srv, c
}

// exampleFile is a file of its own, which goes with the tests.
func exampleFile() string {
	dir, err := os.MkdirTemp(temporary, "")
	if err != nil {
		log.Panic(err)
	}
	return filepath.Join(dir, "mail.db")
}

func hello(to string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: []string{to},
		Body: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("Subject: hello\r\n\r\nHello.\r\n")), nil
		}}
}

// A message is on disk when Enqueue returns, and delivered soon.
func Example() {
	srv, relay := exampleServer(testserver.Config{})
	defer srv.Close()

	ctx := context.Background()
	file := exampleFile()
	q, err := queue.Open(ctx, queue.Config{Database: file, Relay: relay})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()

	receipt, err := q.Enqueue(ctx, hello("ada@example.net"), queue.Options{Key: "greeting-1"})
	if err != nil {
		log.Panic(err)
	}
	for {
		e, err := q.Show(ctx, receipt.ID)
		if err != nil {
			log.Panic(err)
		}
		if e.State == queue.Delivered {
			fmt.Println(e.State, "to", e.Recipients[0].Address)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Output: delivered to ada@example.net
}

// The message is queued if, and only if, the order is stored.
func ExampleQueue_EnqueueTx() {
	ctx := context.Background()
	file := exampleFile()
	q, err := queue.Open(ctx, queue.Config{Database: file})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()
	if _, err := q.SQLite().Exec("CREATE TABLE orders (customer text)"); err != nil {
		log.Panic(err)
	}

	tx, err := q.SQLite().BeginTx(ctx, nil)
	if err != nil {
		log.Panic(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("INSERT INTO orders VALUES ('ada@example.net')"); err != nil {
		log.Panic(err)
	}
	if _, err := q.EnqueueTx(ctx, tx, hello("ada@example.net"), queue.Options{}); err != nil {
		log.Panic(err)
	}
	if err := tx.Commit(); err != nil {
		log.Panic(err)
	}

	list, err := q.List(ctx, queue.Filter{})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(list), list[0].State)
	// Output: 1 waiting
}

// What fails is told once, with the server's last word.
func ExampleConfig_onFailed() {
	srv, relay := exampleServer(testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).Always(),
	}})
	defer srv.Close()
	told := make(chan queue.Notice)
	ctx := context.Background()
	file := exampleFile()
	q, err := queue.Open(ctx, queue.Config{Database: file, Relay: relay, OnFailed: func(n queue.Notice) { told <- n }})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()
	if _, err := q.Enqueue(ctx, hello("nobody@example.net"), queue.Options{}); err != nil {
		log.Panic(err)
	}
	n := <-told
	fmt.Println(n.Recipients[0].Address, n.Entry.Cause, n.Entry.Reply)
	// Output: nobody@example.net bad-recipient 550 5.1.1 No such user
}

// A destination is held and looked into from another process.
func ExampleAttach() {
	ctx := context.Background()
	file := exampleFile()
	deliverer, err := queue.Open(ctx, queue.Config{Database: file})
	if err != nil {
		log.Panic(err)
	}
	defer deliverer.Close()

	q, err := queue.Attach(ctx, queue.Config{Database: file})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()
	if _, err := q.Enqueue(ctx, hello("ada@example.net"), queue.Options{}); err != nil {
		log.Panic(err)
	}
	if err := q.Hold(ctx, "relay", time.Time{}, "maintenance"); err != nil {
		log.Panic(err)
	}
	counts, err := q.Count(ctx)
	if err != nil {
		log.Panic(err)
	}
	for _, c := range counts {
		fmt.Println(c.Host, c.State, c.N, c.Held)
	}
	// Output: relay waiting 1 true
}

// With a key, a message that is queued twice is sent once.
func ExampleQueue_Enqueue() {
	ctx := context.Background()
	q, err := queue.Open(ctx, queue.Config{Database: exampleFile()})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()

	var first, second queue.Receipt
	if first, err = q.Enqueue(ctx, hello("ada@example.net"), queue.Options{Key: "invoice-4711"}); err != nil {
		log.Panic(err)
	}
	if second, err = q.Enqueue(ctx, hello("ada@example.net"), queue.Options{Key: "invoice-4711"}); err != nil {
		log.Panic(err)
	}
	fmt.Println(first.Duplicate, second.Duplicate, first.ID == second.ID)
	// Output: false true true
}

// Many messages in one transaction: all are queued, or none.
func ExampleQueue_EnqueueMany() {
	ctx := context.Background()
	q, err := queue.Open(ctx, queue.Config{Database: exampleFile()})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()

	receipts, err := q.EnqueueMany(ctx, []queue.Item{
		{Message: hello("ada@example.net")},
		{Message: hello("bob@example.net"), Options: queue.Options{Priority: 1}},
	})
	fmt.Println(len(receipts), err)
	// Output: 2 <nil>
}

// A table of the program's own in the queue's file.
func ExampleQueue_SQLite() {
	ctx := context.Background()
	q, err := queue.Open(ctx, queue.Config{Database: exampleFile()})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()

	if _, err := q.SQLite().ExecContext(ctx, "CREATE TABLE orders (customer text)"); err != nil {
		log.Panic(err)
	}
	var n int
	err = q.SQLite().QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&n)
	fmt.Println(n, err)
	// Output: 0 <nil>
}

// Which database it is says whose transactions EnqueueTx takes.
func ExampleQueue_Postgres() {
	ctx := context.Background()
	q, err := queue.Open(ctx, queue.Config{Database: exampleFile()}) // or "postgres://…"
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()

	if pool := q.Postgres(); pool != nil {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := q.EnqueueTx(ctx, tx, hello("ada@example.net"), queue.Options{})
			return err
		})
	} else {
		_, err = q.Enqueue(ctx, hello("ada@example.net"), queue.Options{})
	}
	fmt.Println("PostgreSQL:", q.Postgres() != nil, "error:", err)
	// Output: PostgreSQL: false error: <nil>
}

// When a message cannot be delivered its sender gets a notification.
func ExampleDSN() {
	accepted := make(chan *testserver.Message, 1)
	srv, relay := exampleServer(testserver.Config{
		Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("nobody@"),
		},
		OnEvent: func(e testserver.Event) {
			if e.Kind == testserver.Accepted {
				accepted <- e.Message
			}
		},
	})
	defer srv.Close()
	ctx := context.Background()
	policy := queue.DefaultPolicy()
	policy.MaxElapsed = 48 * time.Hour
	q, err := queue.Open(ctx, queue.Config{
		Database: exampleFile(), Relay: relay, Policy: &policy,
		DSN: &queue.DSN{ReportingMTA: "app.example.org"},
	})
	if err != nil {
		log.Panic(err)
	}
	defer q.Close()
	if _, err := q.Enqueue(ctx, hello("nobody@example.net"), queue.Options{}); err != nil {
		log.Panic(err)
	}

	notification := <-accepted
	fmt.Printf("from <%s> to %v\n", notification.From, notification.Addrs())
	fmt.Println(strings.Contains(string(notification.Body), "Diagnostic-Code: smtp; 550 5.1.1 No such user"))
	// Output:
	// from <> to [me@example.org]
	// true
}
