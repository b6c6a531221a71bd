package testserver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestEveryActionAtEveryStage plays each way to fail at each stage of a
// message and looks at what the client gets and what the server keeps.
func TestEveryActionAtEveryStage(t *testing.T) {
	stages := []testserver.Stage{
		testserver.Greeting, testserver.Hello, testserver.Mail, testserver.Rcpt,
		testserver.Data, testserver.Body, testserver.Dot,
	}
	reply := testserver.Reply("421 4.7.0 by script")
	isReply := func(err error) bool {
		var se *smtp.SMTPError
		return errors.As(err, &se) && se.Code == 421 && se.Message == "by script"
	}
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	timeout := is(os.ErrDeadlineExceeded)
	for _, act := range []struct {
		name string
		do   *testserver.Action
		want func(error) bool
		took time.Duration // by the bubble's clock
	}{
		{"reply", reply, isReply, 0},
		{"reply and close", reply.ThenClose(), isReply, 0},
		{"reply later", reply.After(time.Second), isReply, time.Second},
		{"reply slowly", reply.Drip(time.Second), isReply, 21 * time.Second},
		{"reply and stall", reply.ThenStall(), isReply, 0},
		{"close", testserver.Close(), is(io.EOF), 0},
		{"reset", testserver.Reset(), is(syscall.ECONNRESET), 0},
		{"reply and reset", reply.ThenReset(), func(err error) bool { // the reply may be lost, as with TCP
			return isReply(err) || errors.Is(err, syscall.ECONNRESET)
		}, 0},
		{"stall", testserver.Stall(), timeout, time.Minute},
		{"endless reply", testserver.Endless("421-on and on"), is(io.EOF), 0},
		{"no line end", testserver.Raw("421 half a li").ThenClose(), func(err error) bool {
			var se *smtp.SMTPError
			return errors.As(err, &se) && se.Message == "half a li"
		}, 0},
		{"mixed codes", testserver.Reply("250-ok\n550 no").ThenClose(), func(err error) bool { return err != nil }, 0},
	} {
		for _, stage := range stages {
			t.Run(act.name+" at "+string(stage), func(t *testing.T) {
				cfg := testserver.Config{Script: testserver.Script{testserver.On(stage, act.do)}}
				inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
					conn := connect(t, srv)
					if act.name == "endless reply" {
						conn = &limitedConn{Conn: conn, left: 1 << 20}
					}
					c := smtp.NewClient(conn)
					c.CommandTimeout, c.SubmissionTimeout = time.Minute, time.Minute
					start := time.Now()
					err := send(c, friend)
					if !act.want(err) {
						t.Errorf("error %v", err)
					}
					if d := time.Since(start); d != act.took {
						t.Errorf("took %v, want %v", d, act.took)
					}
					conn.Close()
					if n := len(srv.Messages()); n != 0 {
						t.Errorf("%d messages recorded", n)
					}
					// The script is used up: the next connection works.
					if err := send(dial(t, srv), friend); err != nil {
						t.Errorf("afterwards: %v", err)
					}
					synctest.Wait()
					open := 1
					if stage == testserver.Body && strings.Contains(act.name, "stall") {
						open = 2 // it does not read, so it does not notice that the client is gone
					}
					if st := srv.Stats(); st.Accepted != 1 || st.Open != open {
						t.Errorf("stats %+v, want %d open", st, open)
					}
				})
			})
		}
	}
}

// limitedConn stops reading after some bytes, as a careful client does.
type limitedConn struct {
	net.Conn
	left int
}

func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}

func TestRepliesThatSucceedCount(t *testing.T) {
	ok := testserver.Reply("250 fine")
	cfg := testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Greeting, testserver.Reply("220-well\n220 come")),
		testserver.On(testserver.Hello, testserver.Reply("250-me\n250 SIZE 5")),
		testserver.On(testserver.Mail, ok), testserver.On(testserver.Rcpt, ok),
		testserver.On(testserver.Data, testserver.Reply("354 go")), testserver.On(testserver.Dot, ok),
		testserver.On(testserver.Quit, testserver.Reply("221 bye").ThenClose()),
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if size, ok := c.MaxMessageSize(); !ok || size != 5 {
			t.Errorf("size %d, %v", size, ok)
		}
		if err := send(c, friend); err != nil {
			t.Error(err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		if st := srv.Stats(); st.Accepted != 1 || st.MostOpen != 1 || st.Open != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestKeepRecordsTheMessage(t *testing.T) {
	for name, do := range map[string]*testserver.Action{
		"close": testserver.Close().Keep(), "reset": testserver.Reset().Keep(), "stall": testserver.Stall().Keep(),
		"refusal": testserver.Reply("451 no").Keep(), "close after the reply": testserver.Pass().ThenClose(),
	} {
		cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Dot, do)}}
		inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
			err := send(dial(t, srv), friend)
			if want := name == "close after the reply"; (err == nil) != want {
				t.Errorf("%s: error %v", name, err)
			}
			if n := len(srv.Messages()); n != 1 {
				t.Errorf("%s: %d messages, want 1", name, n)
			}
		})
	}
}

func TestRulesAreUsedInOrder(t *testing.T) {
	no := func(word string) *testserver.Action { return testserver.Reply("450 4.0.0 " + word) }
	cfg := testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, no("first")).Times(2),
		testserver.On(testserver.Rcpt, no("second")).Skip(1),
		testserver.On(testserver.Rcpt, no("him")).To("HIM@").Always(),
		testserver.On(testserver.Rcpt, no("there")).To("@there.example").Always(),
		testserver.On(testserver.Rcpt, no("exact")).To("me@here.example").When(func(at testserver.At) bool { return at.Rcpts == 1 }).Always(),
		testserver.On(testserver.Rcpt, no("soon")).For(10 * time.Second),
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := c.Mail(sender, nil); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			to, want string
			wait     time.Duration
		}{
			{"x@y.z", "first", 0}, {"x@y.z", "first", 0},
			{"x@y.z", "soon", 0}, // second lets one pass
			{"x@y.z", "second", 0},
			{"him@y.z", "him", 0}, {"x@there.example", "there", 0},
			{"me@here.example", "soon", 0},
			{"x@y.z", "soon", 9 * time.Second},
			{"x@y.z", "", time.Second},
			{"me@here.example", "exact", 0},
			{"you@here.example", "", 0},
			{"me@here.example", "", 0},
		} {
			time.Sleep(step.wait)
			err := c.Rcpt(step.to, nil)
			if step.want == "" {
				if err != nil {
					t.Errorf("%s: %v", step.to, err)
				}
				continue
			}
			wantReply(t, err, 450, step.want)
		}
	})
}

func TestHookKnowsWhereItIs(t *testing.T) {
	var mu sync.Mutex
	var saw []string
	cfg := testserver.Config{Hook: func(at testserver.At) *testserver.Action {
		if at.Stage != testserver.Idle {
			mu.Lock()
			defer mu.Unlock()
			saw = append(saw, fmt.Sprintf("%s conn=%d cmd=%d msg=%d/%d from=%s rcpt=%s rcpts=%d size=%d", at.Stage, at.Conn, at.Command, at.Message, at.Total, at.From, at.Rcpt, at.Rcpts, at.Size))
		}
		return nil
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		for range 2 {
			c := dial(t, srv)
			if err := send(c, friend, "c@example.net"); err != nil {
				t.Fatal(err)
			}
			c.Quit()
		}
		half := len(saw) / 2
		want := []string{
			"greeting conn=2 cmd=0 msg=0/0 from= rcpt= rcpts=0 size=0",
			"hello conn=2 cmd=1 msg=0/0 from= rcpt= rcpts=0 size=0",
			"mail conn=2 cmd=2 msg=1/2 from=a@example.org rcpt= rcpts=0 size=0",
			"rcpt conn=2 cmd=3 msg=1/2 from=a@example.org rcpt=b@example.net rcpts=0 size=0",
			"rcpt conn=2 cmd=4 msg=1/2 from=a@example.org rcpt=c@example.net rcpts=1 size=0",
			"data conn=2 cmd=5 msg=1/2 from=a@example.org rcpt= rcpts=2 size=0",
			"body conn=2 cmd=5 msg=1/2 from=a@example.org rcpt= rcpts=2 size=0",
			"dot conn=2 cmd=5 msg=1/2 from=a@example.org rcpt= rcpts=2 size=21",
			"quit conn=2 cmd=6 msg=1/2 from= rcpt= rcpts=0 size=0",
		}
		if !slices.Equal(saw[half:], want) {
			t.Errorf("the hook saw\n%s\nwant\n%s", strings.Join(saw[half:], "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestEarlyReply sends bodies of 1 MiB, to which the server replies after 1000 bytes.
func TestEarlyReply(t *testing.T) {
	tooBig := testserver.Reply("552 5.3.4 too big").AtByte(1000)
	for name, tt := range map[string]struct {
		do      *testserver.Action
		err     error // of the upload
		restart bool  // the connection can be used on
	}{
		"reading on":  {tooBig, nil, true},
		"closing":     {tooBig.ThenClose(), syscall.EPIPE, false},
		"not reading": {tooBig.ThenStall(), os.ErrDeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Body, tt.do)}}
			inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				conn := connect(t, srv)
				c := smtp.NewClient(conn)
				if err := c.Mail(sender, nil); err != nil {
					t.Fatal(err)
				}
				if err := c.Rcpt(friend, nil); err != nil {
					t.Fatal(err)
				}
				w, err := c.Data()
				if err != nil {
					t.Fatal(err)
				}
				conn.SetDeadline(time.Now().Add(time.Minute))
				_, err = w.Write(bytes.Repeat([]byte("0123456789abcd\r\n"), 1<<16))
				if !errors.Is(err, tt.err) {
					t.Errorf("upload: %v, want %v", err, tt.err)
				}
				if tt.restart {
					wantReply(t, w.Close(), 552, "too big")
					if err := send(c, friend); err != nil {
						t.Errorf("the next message: %v", err)
					}
				} else {
					conn.SetReadDeadline(time.Now().Add(time.Second))
					got := make([]byte, 100)
					n, err := conn.Read(got)
					if string(got[:n]) != "552 5.3.4 too big\r\n" {
						t.Errorf("the reply was %q, %v", got[:n], err)
					}
				}
				conn.Close()
				srv.Close()
				if st := srv.Stats(); st.Broken != map[bool]int{true: 0, false: 1}[tt.restart] {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

// TestEarlyReplyBeforeTheBody has the reply follow the 354 at once.
func TestEarlyReplyBeforeTheBody(t *testing.T) {
	cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Body, testserver.Reply("552 5.3.4 go away").ThenClose())}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		wantReply(t, send(c, friend), 552, "go away")
		if err := send(c, friend); err == nil {
			t.Error("the connection is still there")
		}
	})
}

func TestSlowReader(t *testing.T) {
	cfg := testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Body, testserver.Pass().AtByte(10).After(10*time.Minute)),
		testserver.On(testserver.Body, testserver.Close().AtByte(1e6)), // never comes, and so is not used up
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		start := time.Now()
		for range 2 {
			if err := send(c, friend); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d != 10*time.Minute {
			t.Errorf("took %v", d)
		}
		if err := c.SendMail(sender, []string{friend}, bytes.NewReader(make([]byte, 2e6))); err == nil {
			t.Error("the rule for large bodies was used up by a small one")
		}
	})
}

func TestIdleRule(t *testing.T) {
	bye := testserver.Reply("421 4.4.2 idle too long").ThenClose().After(10 * time.Second)
	cfg := testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Idle, bye).When(func(at testserver.At) bool { return at.Message > 0 }),
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		for range 3 {
			if err := send(c, friend); err != nil {
				t.Fatal(err)
			}
			time.Sleep(9 * time.Second)
		}
		time.Sleep(2 * time.Second)
		wantReply(t, send(c, friend), 421, "idle too long")
		c = dial(t, srv)
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := send(c, friend); err != nil {
			t.Errorf("the rule was to be used once: %v", err)
		}
	})
}

// TestResetOverTCP checks the real RST.
func TestResetOverTCP(t *testing.T) {
	srv, err := testserver.Listen(testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Reset())}}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if err := send(dial(t, srv), friend); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", err)
	}
}

// TestScriptIsNotShared gives one script to two servers.
func TestScriptIsNotShared(t *testing.T) {
	script := testserver.Script{testserver.On(testserver.Mail, testserver.Reply("450 4.0.0 once"))}
	for range 2 {
		inBubble(t, testserver.Config{Script: script}, func(t *testing.T, srv *testserver.Server) {
			c := dial(t, srv)
			wantReply(t, send(c, friend), 450, "once")
			if err := send(c, friend); err != nil {
				t.Error(err)
			}
		})
	}
}
