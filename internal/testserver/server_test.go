package testserver_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	netsmtp "net/smtp"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/memnet"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

const sender, friend = "a@example.org", "b@example.net"

// connect opens a connection to srv that is closed with the test.
func connect(t *testing.T, srv *testserver.Server) net.Conn {
	t.Helper()
	conn, err := srv.Dial(t.Context(), "tcp", srv.Addr())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// dial returns a go-smtp client connected to srv.
func dial(t *testing.T, srv *testserver.Server) *smtp.Client {
	t.Helper()
	return smtp.NewClient(connect(t, srv))
}

// send sends a small message with c.
func send(c *smtp.Client, to ...string) error {
	return c.SendMail(sender, to, strings.NewReader("Subject: x\r\n\r\nhello\r\n"))
}

// wantReply checks that err is a reply with code, and text somewhere in it.
func wantReply(t *testing.T, err error, code int, text string) {
	t.Helper()
	var se *smtp.SMTPError
	if !errors.As(err, &se) || se.Code != code || !strings.Contains(se.Message, text) {
		t.Errorf("got %v, want a %d with %q", err, code, text)
	}
}

// inBubble runs f with a server in memory.
func inBubble(t *testing.T, cfg testserver.Config, f func(t *testing.T, srv *testserver.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, testserver.Start(t, cfg)) })
}

// dialogue plays text with srv on one connection. "C: " sends a line, in
// which \r\n stands for a line end within one write. "S: " reads a whole reply
// and compares the beginning of its last line. "X:" expects the end.
func dialogue(t *testing.T, srv *testserver.Server, text string) {
	t.Helper()
	conn := connect(t, srv)
	defer conn.Close()
	r := bufio.NewReader(conn)
	conn.SetDeadline(time.Now().Add(time.Minute))
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimRight(strings.TrimLeft(line, "\t"), "\n")
		switch {
		case line == "":
		case strings.HasPrefix(line, "C: "):
			io.WriteString(conn, strings.ReplaceAll(line[3:], `\r\n`, "\r\n")+"\r\n")
		case strings.HasPrefix(line, "S: "):
			got, err := readReply(r)
			if !strings.HasPrefix(got, line[3:]) || err != nil {
				t.Fatalf("want %q\n got %q (%v)\n in\n%s", line, got, err, srv.Transcript())
			}
		case line == "X:":
			if got, err := r.ReadString('\n'); err != io.EOF {
				t.Fatalf("want the end, got %q (%v) in\n%s", got, err, srv.Transcript())
			}
		default:
			t.Fatalf("bad dialogue line %q", line)
		}
	}
}

// readReply returns the last line of a reply.
func readReply(r *bufio.Reader) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil || len(line) < 4 || line[3] != '-' {
			return strings.TrimRight(line, "\r\n"), err
		}
	}
}

func TestZeroConfigTakesMail(t *testing.T) {
	inBubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		start := time.Now()
		c := dial(t, srv)
		body := "Subject: x\r\n\r\n.dot\r\n..two\r\n"
		if err := c.Mail(sender, &smtp.MailOptions{UTF8: true, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{friend, "ü@example.net"} {
			if err := c.Rcpt(to, &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}); err != nil {
				t.Fatal(err)
			}
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, body)
		resp, err := w.CloseWithResponse()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
		m := srv.Messages()[0]
		switch {
		case string(m.Body) != body, m.Size != int64(len(body)), m.Sum != sha256.Sum256([]byte(body)), m.Bare:
			t.Errorf("body recorded as %q, %d, %x", m.Body, m.Size, m.Sum)
		case m.From != sender, strings.Join(m.Addrs(), " ") != friend+" ü@example.net", m.To[1].Params["NOTIFY"] != "NEVER":
			t.Errorf("envelope recorded as %+v", m)
		case !m.UTF8, m.Params["SIZE"] != fmt.Sprint(len(body)), m.TLS, m.User != "", m.Helo != "localhost":
			t.Errorf("circumstances recorded as %+v", m)
		case !m.Time.Equal(start), m.Conn != 1, m.Number != 1, !strings.HasSuffix(resp.StatusText, m.Queued):
			t.Errorf("moment recorded as %+v; the reply was %q", m, resp.StatusText)
		}
		if st := srv.Stats(); st.Conns != 1 || st.Open != 0 || st.MostOpen != 1 || st.Mails != 1 || st.Accepted != 1 || st.Delivered != 2 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestOverTCP sends with both clients over real sockets.
func TestOverTCP(t *testing.T) {
	srv, err := testserver.Listen(testserver.Config{TLS: testserver.StartTLS}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := smtp.DialStartTLS(srv.Addr(), srv.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := send(c, friend); err != nil {
		t.Error(err)
	}
	nc, err := netsmtp.Dial(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.StartTLS(srv.TLSConfig()); err != nil {
		t.Fatal(err)
	}
	if err := nc.Mail(sender); err != nil {
		t.Fatal(err)
	}
	if err := nc.Rcpt(friend); err != nil {
		t.Fatal(err)
	}
	w, err := nc.Data()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "Subject: y\n\nhello\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := nc.Quit(); err != nil {
		t.Fatal(err)
	}
	ms := srv.Messages()
	if len(ms) != 2 || !ms[0].TLS || !ms[1].TLS || string(ms[1].Body) != "Subject: y\r\n\r\nhello\r\n" {
		t.Errorf("recorded %+v", ms)
	}
}

// TestServeOnAnyListener runs New and Serve by hand, on two listeners.
func TestServeOnAnyListener(t *testing.T) {
	srv := testserver.New(testserver.Config{})
	var wg sync.WaitGroup
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		wg.Go(func() {
			if err := srv.Serve(l); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	for _, addr := range addrs {
		if err := netsmtp.SendMail(addr, nil, sender, []string{friend}, []byte("x\r\n")); err != nil {
			t.Error(err)
		}
	}
	srv.Close()
	srv.Close()
	wg.Wait()
	if n := len(srv.Messages()); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Serve(l); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}

// TestCloseEndsEverySession closes a server whose sessions are stuck in every
// way there is; the bubble fails the test if a goroutine is left.
func TestCloseEndsEverySession(t *testing.T) {
	hold := map[string]*testserver.Action{
		"stall@": testserver.Stall(), "delay@": testserver.Pass().After(time.Hour),
		"drip@": testserver.Pass().Drip(time.Hour), "endless@": testserver.Endless("250-more"),
	}
	var script testserver.Script
	for to, a := range hold {
		script = append(script, testserver.On(testserver.Rcpt, a).To(to))
	}
	script = append(script, testserver.On(testserver.Body, testserver.Stall()))
	inBubble(t, testserver.Config{Script: script}, func(t *testing.T, srv *testserver.Server) {
		begin := "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<%s>\r\n"
		for to := range hold {
			fmt.Fprintf(connect(t, srv), begin, to+"x.y")
		}
		fmt.Fprintf(connect(t, srv), begin+"DATA\r\n", "ok@x.y")
		connect(t, srv) // waits for its first command
		synctest.Wait()
		if st := srv.Stats(); st.Open != len(hold)+2 {
			t.Errorf("%d sessions are open, want %d", st.Open, len(hold)+2)
		}
		start := time.Now()
		srv.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
		if st := srv.Stats(); st.Open != 0 {
			t.Errorf("%d sessions are open after Close", st.Open)
		}
		_, err := srv.Dial(context.Background(), "tcp", "")
		if err == nil {
			t.Error("a closed server was dialled")
		}
	})
}

// TestManyClients has 200 connections busy at once.
func TestManyClients(t *testing.T) {
	inBubble(t, testserver.Config{Bodies: testserver.KeepHash}, func(t *testing.T, srv *testserver.Server) {
		var wg sync.WaitGroup
		for range 200 {
			c := dial(t, srv)
			wg.Go(func() {
				for range 3 {
					if err := send(c, friend); err != nil {
						t.Error(err)
					}
				}
				c.Quit()
			})
		}
		wg.Wait()
		if st := srv.Stats(); st.Accepted != 600 || st.Conns != 200 || st.Open != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	inBubble(t, testserver.Config{IdleTimeout: time.Minute}, func(t *testing.T, srv *testserver.Server) {
		conn := connect(t, srv)
		start := time.Now()
		got, err := io.ReadAll(conn)
		if !strings.Contains(string(got), "421 4.4.2") || err != nil || time.Since(start) != time.Minute {
			t.Errorf("after %v: %q, %v", time.Since(start), got, err)
		}
	})
}

func TestTranscriptAndEvents(t *testing.T) {
	for _, show := range []bool{false, true} {
		var events []testserver.Event
		var mu sync.Mutex
		cfg := testserver.Config{
			Users: map[string]string{"u": "pw"}, ShowSecrets: show,
			OnEvent: func(e testserver.Event) { mu.Lock(); defer mu.Unlock(); events = append(events, e) },
		}
		inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
			dialogue(t, srv, `
				S: 220
				C: EHLO x
				S: 250
				C: AUTH LOGIN
				S: 334 VXNlcm5hbWU6
				C: dQ==
				S: 334 UGFzc3dvcmQ6
				C: cHc=
				S: 235
				C: MAIL FROM:<a@b.c>
				S: 250
				C: RCPT TO:<d@e.f>
				S: 250
				C: DATA
				S: 354
				C: hello\r\n.
				S: 250
				C: QUIT
				S: 221
				X:`)
			srv.Close()
			text := srv.Transcript()
			if strings.Contains(text, "cHc=") != show || !strings.Contains(text, "C: MAIL FROM:<a@b.c>\nS: 250 2.1.0 Ok\n") ||
				!strings.Contains(text, "C: [body of 7 bytes] .\n") {
				t.Errorf("show %v: transcript\n%s", show, text)
			}
			count := map[testserver.Kind]int{}
			for _, e := range events {
				count[e.Kind]++
				if e.Kind == testserver.Accepted && (e.Message == nil || e.Message.User != "u") {
					t.Errorf("event %+v", e)
				}
			}
			if count[testserver.Opened] != 1 || count[testserver.Accepted] != 1 || count[testserver.Closed] != 1 || count[testserver.Command] != 9 || count[testserver.Replied] != 10 {
				t.Errorf("events %v in\n%s", count, text)
			}
		})
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	inBubble(t, testserver.Config{TranscriptSize: 500}, func(t *testing.T, srv *testserver.Server) {
		for range 20 {
			if err := send(dial(t, srv), friend); err != nil {
				t.Fatal(err)
			}
		}
		text := srv.Transcript()
		if n := strings.Count(text, "S: "); n == 0 || n > 30 || !strings.HasSuffix(text, "# no more is kept\n") {
			t.Errorf("transcript of %d bytes:\n%s", len(text), text)
		}
	})
}

func TestMessagesAreBounded(t *testing.T) {
	inBubble(t, testserver.Config{MaxMessages: 10, Bodies: testserver.KeepSize}, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		for range 25 {
			if err := send(c, friend); err != nil {
				t.Fatal(err)
			}
		}
		ms := srv.Messages()
		if len(ms) > 10 || ms[len(ms)-1].Number != 25 || ms[0].Body != nil || ms[0].Size == 0 || ms[0].Sum != [32]byte{} {
			t.Errorf("%d messages, the last %+v", len(ms), ms[len(ms)-1])
		}
		if st := srv.Stats(); st.Accepted != 25 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestEndlessInputIsBounded sends a line without end; the server hangs up.
func TestEndlessInputIsBounded(t *testing.T) {
	inBubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		conn := connect(t, srv)
		conn.SetDeadline(time.Now().Add(time.Minute))
		junk := []byte(strings.Repeat("x", 64<<10))
		sent := 0
		for {
			n, err := conn.Write(junk)
			if sent += n; err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the server neither read nor hung up: %v", err)
				}
				break
			}
			if sent > 8<<20 {
				t.Fatalf("%d bytes of one line were taken", sent)
			}
		}
	})
}

func BenchmarkSend(b *testing.B) {
	for _, size := range []int{2 << 10, 10 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			srv := testserver.Start(b, testserver.Config{Bodies: testserver.KeepSize, TranscriptSize: -1, MaxMessages: 100})
			conn, err := srv.Dial(b.Context(), "tcp", "")
			if err != nil {
				b.Fatal(err)
			}
			c := smtp.NewClient(conn)
			defer c.Close()
			body := strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.SendMail(sender, []string{friend}, strings.NewReader(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestGroupsCostOneRoundTrip counts round trips on a network with latency.
func TestGroupsCostOneRoundTrip(t *testing.T) {
	const oneWay = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		network.SetDelay(oneWay)
		srv := testserver.Start(t, testserver.Config{Network: network, Addr: "mx.example.test:25"})
		if srv.Addr() != "mx.example.test:25" || srv.Network() != network {
			t.Errorf("Addr %q", srv.Addr())
		}
		conn, err := network.DialContext(t.Context(), "tcp", srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		readReply(r)
		for _, group := range []string{"EHLO x\r\n", "MAIL FROM:<a@b.c>\r\n" + strings.Repeat("RCPT TO:<d@e.f>\r\n", 100) + "DATA\r\n"} {
			start := time.Now()
			io.WriteString(conn, group)
			for range strings.Count(group, "\r\n") {
				if reply, err := readReply(r); err != nil || reply[0] != '2' && reply[0] != '3' {
					t.Fatalf("%q, %v", reply, err)
				}
			}
			if d := time.Since(start); d != 2*oneWay {
				t.Errorf("a group took %v, want %v", d, 2*oneWay)
			}
		}
	})
}
