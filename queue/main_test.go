package queue_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	queue.SetNodeSilence(2 * time.Second)
	var err error
	if temporary, err = os.MkdirTemp("", "smtpretry-queue-*"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(temporary)
	if stopPostgres != nil {
		if err := stopPostgres(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

var (
	stopPostgres func() error
	temporary    string // a folder for the examples
)

// postgres is where the tests' databases are.
var postgres = sync.OnceValues(func() (string, error) {
	if url := os.Getenv("DATABASE_URL"); url != "" {
		return url, nil
	}
	url, stop, err := startPostgres()
	stopPostgres = stop
	return url, err
})

var schemas atomic.Int32

// A place is a database of a test's own.
type place struct{ Database, Schema string }

func (p place) isPostgres() bool { return strings.Contains(p.Database, "://") }

func newPlace(t testing.TB, engine string) place {
	t.Helper()
	if engine == "sqlite" {
		return place{Database: filepath.Join(t.TempDir(), "queue.db")}
	}
	url, err := postgres()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	schema := fmt.Sprintf("t%d_%d", os.Getpid(), schemas.Add(1))
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(ctx)
		if _, err := c.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return place{Database: url, Schema: schema}
}

// onBoth runs a test on either engine.
func onBoth(t *testing.T, f func(t *testing.T, p place)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			f(t, newPlace(t, engine))
		})
	}
}

// open opens a queue and closes it with the test.
func open(t testing.TB, p place, change func(*queue.Config)) *queue.Queue {
	t.Helper()
	cfg := queue.Config{Database: p.Database, Schema: p.Schema, Logger: logger(t)}
	if change != nil {
		change(&cfg)
	}
	q, err := queue.Open(t.Context(), cfg)
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

// logger writes to the test's log what should not happen.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	defer func() { _ = recover() }() // the test may be over
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// listen starts a server that ends with the test.
func listen(t testing.TB, cfg testserver.Config) *testserver.Server {
	t.Helper()
	srv, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv
}

// client makes a client of a server at full speed.
func client(t testing.TB, addr string, conns int) *smtpretry.Client {
	t.Helper()
	c, err := newClient(addr, conns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newClient(addr string, conns int) (*smtpretry.Client, error) {
	l := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := l.SetLimit(addr, smtpretry.Limit{}); err != nil {
		return nil, err
	}
	return smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: addr, LocalName: "client.example.test"}, MaxConns: conns, Limiter: l})
}

// relay is a configuration that sends everything to a server.
func relay(t testing.TB, srv *testserver.Server) func(*queue.Config) {
	return func(c *queue.Config) {
		c.Relay = client(t, srv.Addr(), 10)
		c.Policy = quick()
	}
}

// quick tries again soon.
func quick() *smtpretry.Policy {
	return &smtpretry.Policy{MaxElapsed: time.Hour, RetryInDoubt: true,
		Backoff: smtpretry.Backoff{Initial: 200 * time.Millisecond, Max: time.Second}}
}

const text = "From: me@example.org\r\nSubject: hello\r\n\r\nHello there.\r\n"

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to,
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func enqueue(t testing.TB, q *queue.Queue, m *smtpretry.Message, o queue.Options) queue.Receipt {
	t.Helper()
	r, err := q.Enqueue(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// eventually waits for something.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func show(t testing.TB, q *queue.Queue, id int64) queue.Entry {
	t.Helper()
	e, err := q.Show(context.WithoutCancel(t.Context()), id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// awaitState waits until an entry stands somewhere.
func awaitState(t testing.TB, q *queue.Queue, id int64, s queue.State) queue.Entry {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		e := show(t, q, id)
		if e.State == s {
			return e
		}
		if time.Now().After(end) {
			t.Fatalf("entry %d is not %v in time: %+v", id, s, e)
		}
	}
}

// times counts how often each recipient got a message.
func times(srv *testserver.Server) map[string]int {
	n := map[string]int{}
	for _, m := range srv.Messages() {
		for _, a := range m.Addrs() {
			n[a]++
		}
	}
	return n
}
