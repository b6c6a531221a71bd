// Queueui shows a queue in River's web interface: messages for a host that is
// busy, for one that greylists, and for one that takes them.
//
//	go run ./examples/queueui
//
// Then open http://127.0.0.1:8080 and look at the jobs: those that wait are
// pending, the replies are among their errors; "Retry" sends one at once and
// "Cancel" drops it. ^C ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"riverqueue.com/riverui"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to serve")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *addr, func(url string) { fmt.Println(url) })
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, ready func(url string)) error {
	dir, err := os.MkdirTemp("", "smtpretry-queueui-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hosts, err := startServers()
	if err != nil {
		return err
	}
	for _, srv := range hosts {
		defer srv.Close()
	}
	q, err := queue.Open(ctx, queue.Config{
		Database: filepath.Join(dir, "queue.db"),
		Route:    func(_, to string) string { return to[strings.LastIndex(to, "@")+1:] },
		Client: func(host string) (*smtpretry.Client, error) {
			return smtpretry.New(smtpretry.Config{Host: host, Dialer: &smtpretry.Dialer{Addr: hosts[host].Addr(), LocalName: "client.example.org"}})
		},
	})
	if err != nil {
		return err
	}
	defer q.Close()
	for i := range 30 {
		for host := range hosts {
			if _, err := q.Enqueue(ctx, letter(fmt.Sprintf("r%d@%s", i, host)), queue.Options{}); err != nil {
				return err
			}
		}
	}
	return serve(ctx, addr, q, ready)
}

// serve is all that the interface needs: River's client over the queue's database.
func serve(ctx context.Context, addr string, q *queue.Queue, ready func(url string)) error {
	client, err := river.NewClient(riversqlite.New(q.SQLite()), &river.Config{})
	if err != nil {
		return err
	}
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(client, nil),
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := handler.Start(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	ready("http://" + l.Addr().String())
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// startServers starts the hosts.
func startServers() (map[string]*testserver.Server, error) {
	hosts := map[string]*testserver.Server{}
	for name, cfg := range map[string]testserver.Config{
		"busy.example": {Script: testserver.Script{
			testserver.On(testserver.Greeting, testserver.Reply("421 4.7.0 Too busy, come back later").ThenClose()).Always(),
		}},
		"grey.example": {Limits: testserver.Limits{Greylist: 5 * time.Minute}},
		"good.example": {Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("r13@").Always(),
		}},
	} {
		srv, err := testserver.Listen(cfg, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		hosts[name] = srv
	}
	return hosts, nil
}

func letter(to string) *smtpretry.Message {
	return &smtpretry.Message{From: "news@example.org", To: []string{to},
		Body: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("From: news@example.org\r\nSubject: News\r\n\r\nNo news today.\r\n")), nil
		}}
}
