// Statuspage shows the status page at work: a program that sends to some fake
// servers, of which one has a limit that it was told, one has a limit that it
// was not told, and others are busy, greylist, block it or know no such user.
// A part goes through a durable queue.
//
//	go run ./examples/statuspage
//
// Then open http://127.0.0.1:8080/. ^C ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
	"github.com/smtpretry/smtpretry/queue/queuepage"
	"github.com/smtpretry/smtpretry/statuspage"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to serve")
	readOnly := flag.Bool("read-only", false, "let nobody hold, release, retry and drop")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *addr, *readOnly, func(url string) { fmt.Println(url) })
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, readOnly bool, ready func(url string)) (err error) {
	dir, err := os.MkdirTemp("", "smtpretry-statuspage-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	servers, err := startServers()
	if err != nil {
		return err
	}
	for _, srv := range servers {
		defer srv.Close()
	}

	// The page needs the limiter that the clients share, and to be told of their
	// attempts.
	limiter := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 10})
	if err := limiter.SetLimit("told.example", smtpretry.Limit{Rate: smtpretry.PerSecond(8), Burst: 8, MaxConns: 2}); err != nil {
		return err
	}
	page := &statuspage.Handler{Limiter: limiter, Title: "Example mailer"}
	client := func(host string) (*smtpretry.Client, error) {
		return smtpretry.New(smtpretry.Config{
			Host:    host,
			Dialer:  &smtpretry.Dialer{Addr: servers[host].Addr(), LocalName: "client.example.org"},
			Limiter: limiter, MaxConns: 4,
			Trace: page.Trace(),
		})
	}
	q, err := queue.Open(ctx, queue.Config{Database: filepath.Join(dir, "queue.db"), Route: domain, Client: client})
	if err != nil {
		return err
	}
	defer q.Close()
	page.Queue = queuepage.Of(q)
	if !readOnly {
		// Whoever reaches this port may do everything. A real program asks who it is.
		page.Authorize = func(*http.Request) bool { return true }
	}

	ctx, stop := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer stop()
	for _, host := range []string{"told.example", "untold.example"} {
		c, err := client(host)
		if err != nil {
			return err
		}
		defer c.Close()
		for i := range 12 {
			sending.Go(func() { send(ctx, c, fmt.Sprintf("r%d@%s", i, host)) })
		}
	}
	for i := range 40 {
		for _, host := range []string{"busy.example", "grey.example", "strict.example", "good.example"} {
			if _, err := q.Enqueue(ctx, letter(fmt.Sprintf("r%d@%s", i, host)), queue.Options{}); err != nil {
				return err
			}
		}
	}
	return serve(ctx, addr, page, ready)
}

// serve mounts the page. Below a prefix that would be
//
//	mux.Handle("/mail/", http.StripPrefix("/mail", page))
func serve(ctx context.Context, addr string, page http.Handler, ready func(url string)) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: page, ReadHeaderTimeout: 10 * time.Second}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ctx.Done()
		server.Close()
	}()
	ready("http://" + l.Addr().String() + "/")
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	<-closed
	return nil
}

// send sends one message after the other.
func send(ctx context.Context, c *smtpretry.Client, to string) {
	for ctx.Err() == nil {
		if _, err := c.Send(ctx, letter(to)); err != nil && ctx.Err() == nil {
			log.Print(err)
			time.Sleep(time.Second)
		}
	}
}

func domain(_, to string) string { return to[strings.LastIndex(to, "@")+1:] }

// startServers starts the hosts.
func startServers() (map[string]*testserver.Server, error) {
	always := func(at testserver.Stage, reply string) testserver.Config {
		return testserver.Config{Script: testserver.Script{testserver.On(at, testserver.Reply(reply)).Always()}}
	}
	servers := map[string]*testserver.Server{}
	for name, cfg := range map[string]testserver.Config{
		"told.example": {},
		"untold.example": {Limits: testserver.Limits{Rate: testserver.Rate{N: 15, Burst: 5}, MaxConns: 3,
			Replies: map[testserver.Limit]*testserver.Action{testserver.ByRate: testserver.Reply("450 4.7.1 Error: too much mail from {ip}")}}},
		"busy.example":   always(testserver.Greeting, "421 4.3.2 Temporary System Problem - Please Try Again Later"),
		"strict.example": always(testserver.Mail, "421 4.7.0 [127.0.0.1] Our system has detected that this IP address is listed at zen.spamhaus.example"),
		"grey.example":   {Limits: testserver.Limits{Greylist: 5 * time.Minute}},
		"good.example": {Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user here")).To("r13@").Always(),
		}},
	} {
		cfg.Bodies, cfg.TranscriptSize = testserver.KeepSize, -1
		srv, err := testserver.Listen(cfg, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		servers[name] = srv
	}
	return servers, nil
}

func letter(to string) *smtpretry.Message {
	return &smtpretry.Message{From: "news@example.org", To: []string{to},
		Body: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("From: news@example.org\r\nSubject: News\r\n\r\nNo news today.\r\n")), nil
		}}
}
