package queue_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

var (
	kills    = flag.Int("kills", 10, "how often TestKill kills, on each engine")
	messages = flag.Int("messages", 200, "how many messages TestKill has delivered, on each engine")
)

const childEnv = "SMTPRETRY_QUEUE_CHILD"

// child is a process that enqueues and delivers, over four connections, until it
// is killed. It writes a
// line for each message that Enqueue has accepted.
func child() {
	ctx := context.Background()
	c, err := newClient(os.Getenv("CHILD_SERVER"), 4)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	q, err := queue.Open(ctx, queue.Config{Database: os.Getenv("CHILD_DATABASE"), Schema: os.Getenv("CHILD_SCHEMA"), Relay: c, Policy: quick(), Node: "child"})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	in := bufio.NewScanner(os.Stdin)
	line := make(chan string)
	var out sync.Mutex
	for range 4 {
		go func() {
			for to := range line {
				if _, err := q.Enqueue(ctx, note(strings.Split(to, " ")...), queue.Options{}); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println("accepted", to)
				out.Unlock()
			}
		}()
	}
	for in.Scan() {
		line <- in.Text()
	}
	select {}
}

// A kid is a child as its parent sees it.
type kid struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	opened   chan struct{} // closed when it delivers
	begun    chan struct{} // closed when it has accepted a message
	gone     chan struct{} // closed when it is gone and all it wrote is read
	accepted []string      // to be read then
	failed   string        // what it said before it gave up
}

func startChild(t testing.TB, p place, server string) *kid {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=1", "CHILD_SERVER="+server, "CHILD_DATABASE="+p.Database, "CHILD_SCHEMA="+p.Schema)
	cmd.Stderr = os.Stderr
	k := &kid{cmd: cmd, opened: make(chan struct{}), begun: make(chan struct{}), gone: make(chan struct{})}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if k.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(k.gone)
		for s := bufio.NewScanner(out); s.Scan(); {
			switch word, rest, _ := strings.Cut(s.Text(), " "); word {
			case "open":
				close(k.opened)
			case "accepted":
				if k.accepted = append(k.accepted, rest); len(k.accepted) == 1 {
					close(k.begun)
				}
			case "error":
				k.failed = rest
			}
		}
	}()
	t.Cleanup(k.kill)
	return k
}

// kill is kill -9.
func (k *kid) kill() {
	_ = k.cmd.Process.Kill()
	<-k.gone
	_ = k.cmd.Wait()
}

// TestKill kills the process that enqueues and delivers again and again. Nothing
// that Enqueue has accepted is lost, and no more is delivered twice than there
// were kills: only what was in flight at the final dot.
func TestKill(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Bodies: testserver.KeepSize, MaxMessages: 10 * *messages, Script: testserver.Script{
			// As long as a good server takes, so that kills meet every stage.
			testserver.On(testserver.Rcpt, testserver.Pass().After(5*time.Millisecond)).Always(),
		}})
		var accepted []string
		next, killed := 0, 0
		for killed < *kills || len(accepted) < *messages {
			k := startChild(t, p, srv.Addr())
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				// A share for each life, as fast as it takes them.
				for range *messages/max(*kills, 1) + 10 {
					to := fmt.Sprintf("r%d@example.net", next)
					if next%10 == 0 {
						to += fmt.Sprintf(" s%d@example.net t%d@example.net", next, next)
					}
					next++
					if _, err := fmt.Fprintln(k.in, to); err != nil {
						return
					}
				}
			}()
			select {
			case <-k.begun:
				time.Sleep(rand.N(250 * time.Millisecond))
			case <-k.gone:
			}
			k.kill()
			killed++
			<-fed
			if accepted = append(accepted, k.accepted...); k.failed != "" {
				t.Fatal(k.failed)
			}
		}
		// The last one delivers what is left.
		q := open(t, p, func(c *queue.Config) {
			relay(t, srv)(c)
			c.Node = "child"
		})
		var left []queue.Count
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			var err error
			if left, err = q.Count(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(left) == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("not delivered in time: %+v", left)
			}
		}
		lost, twice := 0, 0
		got := times(srv)
		for _, list := range accepted {
			for to := range strings.SplitSeq(list, " ") {
				if got[to] == 0 {
					lost++
				}
			}
		}
		seen := map[string]bool{}
		for _, m := range srv.Messages() {
			first := m.Addrs()[0]
			if seen[first] {
				twice++
			}
			seen[first] = true
		}
		summary.Add(t, "%d kills, %d messages accepted, %d recipients lost, %d messages delivered twice", killed, len(accepted), lost, twice)
		if lost > 0 || twice > killed {
			t.Errorf("%d lost, %d twice in %d kills", lost, twice, killed)
		}
	})
}

// TestPickUp: what was being sent when the process was killed is sent again
// within a second of the restart.
func TestPickUp(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		srv := listen(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Mail, testserver.Stall()),
		}})
		k := startChild(t, p, srv.Addr())
		fmt.Fprintln(k.in, "a@example.net")
		eventually(t, "the first attempt", func() bool { return srv.Stats().Mails > 0 })
		k.kill()
		start := time.Now()
		startChild(t, p, srv.Addr())
		eventually(t, "the second attempt", func() bool { return srv.Stats().Accepted > 0 })
		d := time.Since(start)
		summary.Add(t, "delivered %v after the start of the process", d.Round(time.Millisecond))
		if d > time.Second+slack {
			t.Errorf("it took %v", d)
		}
	})
}
