package smtpretry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// verbs is what go-smtp's client and ours have in common.
type verbs interface {
	Hello(string) error
	Mail(string, *smtp.MailOptions) error
	Rcpt(string, *smtp.RcptOptions) error
	Data() (*smtp.DataCommand, error)
	Reset() error
	Noop() error
	Verify(string) error
	Extension(string) (bool, string)
	SupportsAuth(string) bool
	MaxMessageSize() (int, bool)
	SendMail(string, []string, io.Reader) error
	Quit() error
	Close() error
}

var _ = []verbs{(*smtp.Client)(nil), (*smtpretry.Client)(nil)}

// byHand sends a message with the verbs.
func byHand(c verbs, to string) error {
	if err := c.Mail("me@example.org", nil); err != nil {
		return err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

// dialogues runs f with go-smtp's client, with ours around one, and with ours
// that dials, each on a server of its own, and compares what was said.
func dialogues(t *testing.T, cfg testserver.Config, f func(t *testing.T, c verbs)) {
	t.Helper()
	said := map[string]string{}
	kinds := []string{"wrapped", "step by step"}
	if cfg.Script == nil { // of a group, all is said, also behind what is refused
		kinds = append(kinds, "dialling")
	}
	for _, kind := range append(kinds, "go-smtp") {
		bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
			var c verbs
			switch kind {
			case "go-smtp":
				conn, err := srv.Dial(t.Context(), "tcp", srv.Addr())
				if err != nil {
					t.Fatal(err)
				}
				c = smtp.NewClient(conn)
			case "wrapped":
				c = wrapped(t, srv)
			default:
				c = client(t, srv, func(cfg *smtpretry.Config) {
					cfg.Dialer.LocalName, cfg.Dialer.NoPipelining = "localhost", kind == "step by step"
				})
			}
			f(t, c)
			said[kind] = srv.Transcript()
		})
	}
	for _, kind := range kinds {
		if said[kind] != said["go-smtp"] {
			t.Errorf("%s:\n%s\ngo-smtp:\n%s", kind, said[kind], said["go-smtp"])
		}
	}
}

// TestDialogue: on the good path the server cannot tell the clients apart.
func TestDialogue(t *testing.T) {
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	t.Run("by hand", func(t *testing.T) {
		dialogues(t, testserver.Config{}, func(t *testing.T, c verbs) {
			check(t, c.Hello("me.example.org"))
			if ok, param := c.Extension("SIZE"); !ok || param != "33554432" {
				t.Errorf("SIZE is %v %q", ok, param)
			}
			if n, ok := c.MaxMessageSize(); !ok || n != 32<<20 {
				t.Errorf("MaxMessageSize is %d, %v", n, ok)
			}
			if c.SupportsAuth("PLAIN") {
				t.Error("AUTH is not offered")
			}
			check(t, c.Noop())
			check(t, byHand(c, "a@example.net"))
			check(t, byHand(c, "b@example.net"))
			check(t, c.Reset())
			if err := c.Verify("a@example.net"); replyIn(err) == nil || replyIn(err).Code != 252 {
				t.Errorf("VRFY: %v", err) // go-smtp wants 250
			}
			check(t, c.Quit())
		})
	})
	t.Run("SendMail", func(t *testing.T) {
		dialogues(t, testserver.Config{}, func(t *testing.T, c verbs) {
			check(t, c.SendMail("me@example.org", []string{"a@example.net", "b@example.net"}, strings.NewReader(text)))
			check(t, c.SendMail("", []string{"a@example.net"}, strings.NewReader(bigText)))
			check(t, c.SendMail("me@example.org", []string{"jürgen@example.net"}, strings.NewReader(".\r\n")))
			check(t, c.Quit())
		})
	})
	t.Run("refusals", func(t *testing.T) {
		cfg := testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Mail, testserver.Reply("550 5.1.8 Bad sender")),
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Not now")).To("b@"),
		}}
		dialogues(t, cfg, func(t *testing.T, c verbs) {
			if err := byHand(c, "a@example.net"); replyIn(err) == nil || replyIn(err).Code != 550 {
				t.Errorf("got %v, want the 550", err)
			}
			if err := byHand(c, "b@example.net"); replyIn(err) == nil || replyIn(err).Code != 450 {
				t.Errorf("got %v, want the 450, and no other try", err)
			}
			check(t, c.Reset())
			check(t, byHand(c, "c@example.net"))
			check(t, c.Quit())
		})
	})
	t.Run("refused by SendMail", func(t *testing.T) {
		cfg := testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Mail, testserver.Reply("550 5.1.8 Bad sender")),
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@").Always(),
		}}
		dialogues(t, cfg, func(t *testing.T, c verbs) {
			check(t, c.Hello("me.example.org"))
			if err := c.Hello("me.example.org"); err == nil {
				t.Error("no error from a second Hello")
			}
			for _, to := range []string{"a@example.net", "nobody@example.net"} {
				if err := c.SendMail("me@example.org", []string{to}, strings.NewReader(text)); replyIn(err) == nil || replyIn(err).Code != 550 {
					t.Errorf("got %v, want the 550", err)
				}
			}
			check(t, c.Reset())
			check(t, c.SendMail("me@example.org", []string{"a@example.net"}, strings.NewReader(text)))
			_ = c.SendMail("me@example.org", []string{"nobody@example.net"}, strings.NewReader(text))
			check(t, c.Quit())
		})
	})
}

// TestByHandAfterRefusal: recipients of a message that Send left unfinished
// do not get the next one.
func TestByHandAfterRefusal(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Data, testserver.Reply("554 5.7.1 No"))}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			if err := c.SendMail("me@example.org", []string{"leaked@example.net"}, strings.NewReader(text)); err == nil {
				t.Error("no error")
			}
			if err := c.Noop(); err != nil {
				t.Error(err)
			}
			if err := byHand(c, "a@example.net"); err != nil {
				t.Error(err)
			}
			holds(t, srv, text, "a@example.net")
		})
}

// TestAuthGivesUp: a mechanism that ends the exchange does not end the
// connection.
func TestAuthGivesUp(t *testing.T) {
	bubble(t, testserver.Config{Users: map[string]string{"me": "right"}, Mechanisms: []string{"OAUTHBEARER"}},
		func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			var refused *sasl.OAuthBearerError
			if err := c.Auth(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "me", Token: "old"})); !errors.As(err, &refused) {
				t.Errorf("got %v, want what the server said of the token", err)
			}
			if err := c.Auth(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "me", Token: "right"})); err != nil {
				t.Error(err)
			}
			if n := srv.Stats().Conns; n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
}

// TestGreetingCode: a refusal in the greeting has its enhanced code, as from
// go-smtp.
func TestGreetingCode(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Greeting, testserver.Reply("554-5.7.1 Go away\n554 5.7.1 for good").ThenClose()),
	}}, func(t *testing.T, srv *testserver.Server) {
		want := smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Go away\nfor good"}
		if got := replyIn(client(t, srv, nil).Noop()); got == nil || *got != want {
			t.Errorf("got %#v, want %#v", got, want)
		}
	})
}

// TestByHandAndSend take turns on the same connection.
func TestByHandAndSend(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		for _, err := range []error{
			c.Hello("me.example.org"),
			byHand(c, "a@example.net"),
			second(c.Send(t.Context(), note("b@example.net"))),
			c.Mail("left@example.org", nil), // begun by hand and left lying
			c.Rcpt("leaked@example.net", nil),
			second(c.Send(t.Context(), note("c@example.net"))),
			byHand(c, "d@example.net"),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		holds(t, srv, text, "a@example.net", "b@example.net", "c@example.net", "d@example.net")
		if n := srv.Stats().Conns; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		for _, m := range srv.Messages() {
			if m.Helo != "me.example.org" {
				t.Errorf("EHLO said %s", m.Helo)
			}
		}
	})
}

// TestPerConnByHand: the limit of messages on a connection holds by hand, too.
func TestPerConnByHand(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{PerConn: 3}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{PerConn: 3})
		})
		for range 7 {
			if err := byHand(c, "a@example.net"); err != nil {
				t.Error(err)
			}
		}
		if st := srv.Stats(); st.Violations != 0 || st.Conns != 3 || st.Accepted != 7 {
			t.Errorf("%d messages on %d connections, %d violations; want 7 on 3, none", st.Accepted, st.Conns, st.Violations)
		}
	})
}

// TestWaitsByHand: a wait that was told of is told to be over, by hand, too.
func TestWaitsByHand(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		var began, over []smtpretry.Wait
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerHour(1)})
			cfg.Policy.MaxElapsed = 90 * time.Minute
			cfg.Trace = &smtpretry.Trace{
				Waiting: func(w smtpretry.Wait) { began = append(began, w) },
				Waited:  func(w smtpretry.Wait) { over = append(over, w) },
			}
		})
		for range 3 {
			if err := byHand(c, "a@example.net"); err != nil {
				t.Error(err)
			}
		}
		if len(began) != 2 || len(over) != 2 {
			t.Fatalf("%d waits began and %d ended, want 2", len(began), len(over))
		}
		for i, w := range over {
			if b := began[i]; w.For != "rate" || w.Start != b.Start || w.End.Sub(w.Start) != time.Hour || !b.End.IsZero() || b.Start.IsZero() {
				t.Errorf("wait %+v ended as %+v", b, w)
			}
		}
		c.Close()
		if err := c.Mail("me@example.org", nil); err == nil || len(began) != len(over) {
			t.Errorf("after Close: %v, %d waits began and %d ended", err, len(began), len(over))
		}
	})
}

func second(_ *smtpretry.Result, err error) error { return err }

// TestUnfinishedBody: go-smtp would put the final dot before the next command;
// half a message would be delivered.
func TestUnfinishedBody(t *testing.T) {
	next := map[string]func(context.Context, *smtpretry.Client) error{
		"RSET": func(_ context.Context, c *smtpretry.Client) error { return c.Reset() },
		"NOOP": func(_ context.Context, c *smtpretry.Client) error { return c.Noop() },
		"MAIL": func(_ context.Context, c *smtpretry.Client) error { return c.Mail("me@example.org", nil) },
		"QUIT": func(_ context.Context, c *smtpretry.Client) error { return c.Quit() },
		"Send": func(ctx context.Context, c *smtpretry.Client) error {
			if err := second(c.Send(ctx, note("b@example.net"))); err != nil {
				return err
			}
			return errBroken // as the others do
		},
	}
	for name, f := range next {
		for _, mode := range []string{fresh, withoutDial} {
			if name == "Send" && mode == withoutDial {
				continue // has no other connection
			}
			t.Run(mode+"/"+name, func(t *testing.T) {
				bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
					c := client(t, srv, nil)
					if mode == withoutDial {
						c = wrapped(t, srv)
					}
					if err := errors.Join(c.Mail("me@example.org", nil), c.Rcpt("a@example.net", nil)); err != nil {
						t.Fatal(err)
					}
					w, err := c.Data()
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.WriteString(w, text+bigText[:10_000]); err != nil {
						t.Fatal(err)
					}
					if err := f(t.Context(), c); err == nil {
						t.Error("no error")
					}
					if name == "Send" {
						holds(t, srv, text, "b@example.net")
					} else {
						holds(t, srv, text)
					}
				})
			})
		}
	}
}

// TestByHandOnStaleConnection: a command is not repeated by itself, but the
// next one has a new connection.
func TestByHandOnStaleConnection(t *testing.T) {
	bubble(t, testserver.Config{IdleTimeout: time.Second}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		if err := c.Noop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := c.Noop(); err == nil {
			t.Error("no error on a connection that is gone")
		}
		if err := byHand(c, "a@example.net"); err != nil {
			t.Error(err)
		}
		holds(t, srv, text, "a@example.net")
	})
}

// TestCloseBreaksOffCommand: Close from another goroutine is how a command
// without a context is ended.
func TestCloseBreaksOffCommand(t *testing.T) {
	for _, stage := range []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.Other} {
		for _, mode := range []string{fresh, withoutDial} {
			t.Run(mode+"/"+string(stage), func(t *testing.T) {
				bubble(t, testserver.Config{Script: testserver.Script{testserver.On(stage, testserver.Stall())}},
					func(t *testing.T, srv *testserver.Server) {
						c := client(t, srv, nil)
						if mode == withoutDial {
							c = wrapped(t, srv)
						}
						start := time.Now()
						time.AfterFunc(time.Second, func() { c.Close() })
						err := c.Noop()
						if !errors.Is(err, net.ErrClosed) && !errors.Is(err, smtpretry.ErrClosed) {
							t.Errorf("got %v", err)
						}
						took(t, start, time.Second, time.Second)
					})
			})
		}
	}
}

// TestFields: what is set on the Client holds on every connection it makes.
func TestFields(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Mail, testserver.Stall()).Times(2),
		testserver.On(testserver.Dot, testserver.Stall()),
	}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		var said strings.Builder
		c.CommandTimeout, c.SubmissionTimeout, c.DebugWriter = 2*time.Second, 3*time.Second, &said
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrInDoubt)
		for i, want := range []time.Duration{2 * time.Second, 2 * time.Second, 3 * time.Second} {
			if got := res.Attempts[i].End.Sub(res.Attempts[i].Start); got != want {
				t.Errorf("attempt %d took %v, want %v", i+1, got, want)
			}
		}
		if n := strings.Count(said.String(), "MAIL FROM:<me@example.org>"); n != 3 {
			t.Errorf("DebugWriter saw %d attempts, want 3", n)
		}
		if err := c.SendMail("me@example.org", []string{"a@example.net"}, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		if !strings.HasSuffix(said.String(), "QUIT\r\n221 2.0.0 Bye\r\n") {
			t.Error("DebugWriter did not see the goodbye")
		}
		if !strings.Contains(said.String(), "Hello there.") || !strings.Contains(said.String(), "250-mx.example.test") {
			t.Error("DebugWriter did not see everything")
		}
	})
}
