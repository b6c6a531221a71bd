// Queue puts messages into a durable queue in one SQLite file, begins to deliver
// them and kills itself in the middle, as a machine would that loses power; then it
// comes back and delivers the rest.
//
//	go run ./examples/queue
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

// letters is how many messages there are.
const letters = 40

func main() {
	var err error
	if len(os.Args) == 4 { // started by supervise
		err = work(os.Args[1], os.Args[2], os.Args[3] == "die")
	} else {
		err = supervise(os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// work is a mail program: it queues its letters and delivers what is in the queue.
func work(file, server string, die bool) error {
	ctx := context.Background()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer:   &smtpretry.Dialer{Addr: server, LocalName: "client.example.org"},
		Limiter:  ownRelay(),
		MaxConns: 2,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	q, err := queue.Open(ctx, queue.Config{Database: file, Relay: client})
	if err != nil {
		return err
	}
	defer q.Close()

	duplicates := 0
	for i := range letters {
		receipt, err := q.Enqueue(ctx, letter(i), queue.Options{
			Key: fmt.Sprintf("invoice-%d", i), // queued once, however often this runs
		})
		if err != nil {
			return err
		}
		if receipt.Duplicate {
			duplicates++
		}
	}
	fmt.Printf("queued %d letters; %d had been queued before\n", letters-duplicates, duplicates)

	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		open, err := q.List(ctx, queue.Filter{Limit: letters})
		if err != nil {
			return err
		}
		if len(open) == 0 {
			fmt.Printf("the queue is empty %v after the start\n", time.Since(start).Round(100*time.Millisecond))
			return nil
		}
		if die && len(open) < letters*2/3 {
			fmt.Printf("killed with %d letters in the queue\n", len(open))
			return kill()
		}
	}
}

// kill is kill -9: nothing is said, closed or saved.
func kill() error {
	me, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := me.Kill(); err != nil {
		return err
	}
	select {}
}

func letter(i int) *smtpretry.Message {
	text := fmt.Sprintf("From: billing@example.org\r\nSubject: Invoice %d\r\n\r\nPlease pay.\r\n", i)
	return &smtpretry.Message{
		From: "billing@example.org",
		To:   []string{fmt.Sprintf("customer%d@example.net", i)},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}
}

// ownRelay is full speed from the first message: the server is ours.
func ownRelay() *smtpretry.Limiter {
	l := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := l.SetLimit("127.0.0.1", smtpretry.Limit{}); err != nil {
		log.Fatal(err)
	}
	return l
}

// supervise is the world around the program: a mail server, and somebody who
// starts the program again when it is gone.
func supervise(w io.Writer) error {
	srv, err := testserver.Listen(testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Pass().After(50*time.Millisecond)).Always(),
	}}, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer srv.Close()
	dir, err := os.MkdirTemp("", "smtpretry-queue-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for life, how := range []string{"die", "live"} {
		fmt.Fprintf(w, "--- life %d\n", life+1)
		err := start(w, filepath.Join(dir, "queue.db"), srv.Addr(), how)
		if how == "live" && err != nil {
			return err
		}
		fmt.Fprintf(w, "the server has %d letters\n", len(srv.Messages()))
	}
	times := map[string]int{}
	for _, m := range srv.Messages() {
		times[m.Addrs()[0]]++
	}
	twice := 0
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	fmt.Fprintf(w, "--- %d of %d letters arrived, %d of them twice\n", len(times), letters, twice)
	return nil
}

func start(w io.Writer, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for s := bufio.NewScanner(out); s.Scan(); {
		fmt.Fprintln(w, s.Text())
	}
	return cmd.Wait()
}
