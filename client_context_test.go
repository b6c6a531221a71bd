package smtpretry_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestContextAtEveryStage: whatever is under way, Send returns in the moment in
// which its context ends, and says so.
func TestContextAtEveryStage(t *testing.T) {
	stages := []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.TLS, testserver.Auth,
		testserver.Mail, testserver.Rcpt, testserver.Data, testserver.Body, testserver.Dot}
	for _, mode := range []string{fresh, withoutDial} {
		for _, stage := range stages {
			if mode == withoutDial && (stage == testserver.TLS || stage == testserver.Auth) {
				continue
			}
			for _, how := range []string{"cancel", "deadline", "try"} {
				t.Run(mode+"/"+string(stage)+"/"+how, func(t *testing.T) { cutAt(t, mode, stage, how) })
			}
		}
	}
}

func cutAt(t *testing.T, mode string, stage testserver.Stage, how string) {
	sent, stall := text, testserver.Stall()
	if stage == testserver.Body {
		sent, stall = bigText, stall.AtByte(100_000)
	}
	cfg := testserver.Config{Script: testserver.Script{testserver.On(stage, stall)}}
	if mode == fresh {
		cfg.TLS, cfg.Users = testserver.StartTLS, map[string]string{"me": "right"}
	}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		l := &login{password: "right"}
		var c *smtpretry.Client
		if mode == withoutDial {
			c = wrapped(t, srv)
		} else {
			c = client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
		}
		why := context.DeadlineExceeded
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if how == "cancel" {
			why = context.Canceled
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
		}
		m := note("a@example.net")
		m.Body = body(sent)
		send := c.Send
		if how == "try" {
			send = c.Try
		}
		start := time.Now()
		res, err := send(ctx, m)
		took(t, start, time.Second, time.Second)
		if stage == testserver.Dot {
			wantStates(t, res, inDoubt)
			wantOneReason(t, err, why, smtpretry.ErrInDoubt)
		} else {
			wantStates(t, res, deferred)
			wantOneReason(t, err, why)
		}
		if n := len(res.Attempts); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
		holds(t, srv, sent)
	})
}

// TestContextWhileResetting: a wrapped connection that was cut because the
// context had ended is not one that the server has ended.
func TestContextWhileResetting(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("451 4.3.0 Try again")),
		testserver.On(testserver.Other, testserver.Stall()), // RSET
	}}, func(t *testing.T, srv *testserver.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := wrapped(t, srv).Send(ctx, note("a@example.net"))
		took(t, start, time.Second, time.Second)
		wantOneReason(t, err, context.Canceled)
	})
}

// TestContextCause: it is the context's cause that the error holds, of any
// type.
func TestContextCause(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Stall())}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(listError{"shift is over"}) })
			_, err := c.Send(ctx, note("a@example.net", "b@example.net"))
			var cause listError
			if !errors.As(err, &cause) {
				t.Errorf("got %v, want the cause", err)
			}
		})
}

// listError cannot be compared.
type listError []string

func (l listError) Error() string { return l[0] }

// TestContextWhileWaiting: for another try, for a connection, for the dial.
func TestContextWhileWaiting(t *testing.T) {
	t.Run("for another try", func(t *testing.T) {
		bubble(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Mail, testserver.Reply("451 4.3.0 Not now")).Always(),
		}}, func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			ctx, cancel := context.WithCancel(t.Context())
			start := time.Now()
			time.AfterFunc(time.Second, cancel)
			_, err := c.Send(ctx, note("a@example.net"))
			took(t, start, time.Second, time.Second)
			wantOneReason(t, err, context.Canceled)
			if reply := replyIn(err); reply == nil || reply.Code != 451 {
				t.Errorf("%v does not hold the last reply", err)
			}
		})
	})
	t.Run("for another try, which would be too late", func(t *testing.T) {
		bubble(t, testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Mail, testserver.Reply("451 4.3.0 Try again in 5 minutes")).Always(),
		}}, func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			start := time.Now()
			_, err := c.Send(ctx, note("a@example.net"))
			took(t, start, 0, 0)
			wantOneReason(t, err, context.DeadlineExceeded, smtpretry.ErrExhausted)
		})
	})
	t.Run("for a connection", func(t *testing.T) {
		bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Mail, testserver.Pass().After(time.Minute))}},
			func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				sent := make(chan error)
				go func() {
					_, err := c.Send(t.Context(), note("a@example.net"))
					sent <- err
				}()
				time.Sleep(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				res, err := c.Send(ctx, note("b@example.net"))
				took(t, start, 0, time.Second)
				wantOneReason(t, err, context.DeadlineExceeded)
				wantStates(t, res, deferred)
				if err := <-sent; err != nil {
					t.Error(err)
				}
				holds(t, srv, text, "a@example.net")
			})
	})
	t.Run("for the dial", func(t *testing.T) {
		bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
			srv.Network().SetDelay(time.Minute)
			c := client(t, srv, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := c.Send(ctx, note("a@example.net"))
			took(t, start, time.Second, time.Second)
			wantOneReason(t, err, context.DeadlineExceeded)
		})
	})
	t.Run("for credentials", func(t *testing.T) {
		bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, func(cfg *smtpretry.Config) {
				cfg.Auth = func(ctx context.Context) (sasl.Client, error) { <-ctx.Done(); return nil, ctx.Err() }
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := c.Send(ctx, note("a@example.net"))
			took(t, start, time.Second, time.Second)
			wantOneReason(t, err, context.DeadlineExceeded)
		})
	})
}

// TestContextEndedBefore: nothing is sent, and a kept connection is kept.
func TestContextEndedBefore(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, send := range []func(context.Context, *smtpretry.Message) (*smtpretry.Result, error){c.Send, c.Try} {
			res, err := send(ctx, note("b@example.net"))
			wantOneReason(t, err, context.Canceled)
			wantStates(t, res, deferred)
			if len(res.Attempts) != 0 {
				t.Errorf("%d attempts, want none", len(res.Attempts))
			}
		}
		if _, err := c.Send(t.Context(), note("c@example.net")); err != nil {
			t.Fatal(err)
		}
		if n := srv.Stats().Conns; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		holds(t, srv, text, "a@example.net", "c@example.net")
	})
}

// TestClose: who waits is told at once, what is under way is finished.
func TestClose(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Not now")).To("waits@").Always(),
		testserver.On(testserver.Dot, testserver.Pass().After(time.Minute)),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		type outcome struct {
			res *smtpretry.Result
			err error
			at  time.Time
		}
		send := func(to string) chan outcome {
			done := make(chan outcome, 1)
			go func() {
				res, err := c.Send(t.Context(), note(to))
				done <- outcome{res, err, time.Now()}
			}()
			time.Sleep(time.Second)
			return done
		}
		start := time.Now()
		waits, flies, queues := send("waits@example.net"), send("flies@example.net"), send("queues@example.net")
		time.Sleep(time.Second) // waits is in its first pause, of 2.5 s at least, or queues behind
		c.Close()
		closed := time.Now()
		for name, done := range map[string]chan outcome{"waits": waits, "queues": queues} {
			o := <-done
			if !errors.Is(o.err, smtpretry.ErrClosed) || !o.at.Equal(closed) {
				t.Errorf("%s: %v, %v after the close", name, o.err, o.at.Sub(closed))
			}
			wantStates(t, o.res, deferred)
		}
		if o := <-flies; o.err != nil || o.at.Sub(start) < time.Minute {
			t.Errorf("flies: %v after %v", o.err, o.at.Sub(start))
		}
		holds(t, srv, text, "flies@example.net")
		if _, err := c.Send(t.Context(), note("late@example.net")); !errors.Is(err, smtpretry.ErrClosed) {
			t.Errorf("after the close: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("a second close: %v", err)
		}
	})
}

// TestQuit says QUIT, on every idle connection.
func TestQuit(t *testing.T) {
	quits := 0
	bubble(t, testserver.Config{Hook: func(at testserver.At) *testserver.Action {
		if at.Stage == testserver.Quit {
			quits++
		}
		return nil
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Fatal(err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		if quits != 1 {
			t.Errorf("%d times QUIT, want 1:\n%s", quits, srv.Transcript())
		}
	})
}

// TestCutKeepsRefusals: what a recipient was told before the message was
// broken off holds, wherever it stands among the others.
func TestCutKeepsRefusals(t *testing.T) {
	broken := errors.New("broken")
	for name, sent := range map[string]func(cancel func()) io.Reader{
		"cancelled": func(cancel func()) io.Reader {
			return readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF })
		},
		"bad body": func(func()) io.Reader { return readerFunc(func([]byte) (int, error) { return 0, broken }) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: testserver.Script{
				testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("nobody@"),
			}}, func(t *testing.T, srv *testserver.Server) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m := note("a@example.net", "nobody@example.net", "b@example.net")
				m.Body = func() (io.ReadCloser, error) {
					return io.NopCloser(io.MultiReader(strings.NewReader(bigText), sent(cancel))), nil
				}
				res, err := client(t, srv, nil).Send(ctx, m)
				wantStates(t, res, deferred, rejected, deferred)
				if !errors.Is(err, smtpretry.ErrRejected) {
					t.Errorf("got %v, want ErrRejected in it", err)
				}
				holds(t, srv, text)
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSlowBody: the context ends a Send whose body is slow, between two parts.
func TestSlowBody(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		m := note("a@example.net")
		m.Body = func() (io.ReadCloser, error) { return closer{&slowReader{n: 100, pause: time.Second}, func() {}}, nil }
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := c.Send(ctx, m)
		wantOneReason(t, err, context.DeadlineExceeded)
		took(t, start, 10*time.Second, 11*time.Second)
		holds(t, srv, text)
	})
}

// slowReader gives n chunks, each after a pause.
type slowReader struct {
	n     int
	pause time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.n--; s.n < 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	for i := range p {
		p[i] = 'x'
		if i%72 == 71 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}
