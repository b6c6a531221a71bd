package smtpretry_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// What most tests send.
const text = "Subject: hello\r\n\r\nHello there.\r\n"

// bigText does not fit into the network's buffers, so that a server that stops
// reading it is noticed while it is being written.
var bigText = strings.Repeat(strings.Repeat("x", 70)+"\r\n", 5000)

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to, Body: body(text)}
}

func body(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// bubble runs f in a synctest bubble with a server for cfg.
func bubble(t *testing.T, cfg testserver.Config, f func(t *testing.T, srv *testserver.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := testserver.Start(t, cfg)
		f(t, srv)
	})
}

// client makes a Client of srv. At the end of the test it is closed, and no
// socket of it may be left open.
func client(t *testing.T, srv *testserver.Server, change func(*smtpretry.Config)) *smtpretry.Client {
	t.Helper()
	d := &smtpretry.Dialer{Addr: srv.Addr(), TLSConfig: srv.TLSConfig(), NetDial: countedDial(t, srv)}
	if d.TLSConfig != nil {
		d.TLS = smtpretry.TLSStartTLS
	}
	cfg := smtpretry.Config{Dialer: d}
	if change != nil {
		change(&cfg)
	}
	if cfg.Limiter == nil {
		cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{})
		if err := cfg.Limiter.SetLimit(srv.Addr(), smtpretry.Limit{}); err != nil { // none, and nothing to find out
			t.Fatal(err)
		}
	}
	c, err := smtpretry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// stepByStep changes a client's configuration so that it does not pipeline.
func stepByStep(cfg *smtpretry.Config) { cfg.Dialer.NoPipelining = true }

// wrapped makes a Client around a go-smtp client of srv, with no way to
// connect again.
func wrapped(t *testing.T, srv *testserver.Server) *smtpretry.Client {
	t.Helper()
	conn, err := countedDial(t, srv)(t.Context(), "tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("mx.example", smtpretry.Limit{}); err != nil {
		t.Fatal(err)
	}
	c, err := smtpretry.Wrap(smtp.NewClient(conn), smtpretry.Config{Host: "mx.example", Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// countedDial dials srv and fails the test if a socket stays open.
func countedDial(t *testing.T, srv *testserver.Server) func(context.Context, string, string) (net.Conn, error) {
	s := new(sockets)
	t.Cleanup(func() {
		if s.open != 0 {
			t.Errorf("%d sockets were never closed", s.open)
		}
	})
	return s.dial(srv)
}

// sockets counts those that are open, on the client's side.
type sockets struct {
	mu         sync.Mutex
	open, most int
}

func (s *sockets) dial(srv *testserver.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := srv.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return s.count(conn), nil
	}
}

func (s *sockets) count(conn net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	s.most = max(s.most, s.open)
	return &countedConn{Conn: conn, closed: sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	})}
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// holds checks that the server has accepted text exactly once for each of the
// given recipients and for nobody else, whole and unchanged.
func holds(t *testing.T, srv *testserver.Server, text string, to ...string) {
	t.Helper()
	var got []string
	for _, m := range srv.Messages() {
		got = append(got, m.Addrs()...)
		if !bytes.Equal(m.Body, []byte(text)) {
			t.Errorf("the server holds a body of %d octets for %q, not the %d that were sent", len(m.Body), m.Addrs(), len(text))
		}
		if m.Bare {
			t.Errorf("the server holds a body with a bare CR or LF")
		}
	}
	slices.Sort(got)
	slices.Sort(to)
	if !slices.Equal(got, to) {
		t.Errorf("the server holds mail for %q, want %q", got, to)
	}
}

// charged counts the attempts that count.
func charged(r *smtpretry.Result) int {
	n := 0
	for _, a := range r.Attempts {
		if a.Charged {
			n++
		}
	}
	return n
}

// states gives the outcome of each recipient.
func states(r *smtpretry.Result) []smtpretry.State {
	s := make([]smtpretry.State, len(r.Recipients))
	for i, rc := range r.Recipients {
		s[i] = rc.State
	}
	return s
}

func wantStates(t *testing.T, r *smtpretry.Result, want ...smtpretry.State) {
	t.Helper()
	if r == nil {
		t.Fatal("there is no Result")
	}
	if got := states(r); !slices.Equal(got, want) {
		t.Errorf("recipients are %v, want %v", got, want)
	}
}

// took fails the test if the time since start is not within least and most.
func took(t *testing.T, start time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(start); d < least || d > most {
		t.Errorf("took %v, want between %v and %v", d, least, most)
	}
}
