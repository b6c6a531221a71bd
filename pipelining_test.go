package smtpretry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestPipeliningRoundTrips: a message takes two round trips, whatever the number
// of its recipients: one for the commands, one for the body.
func TestPipeliningRoundTrips(t *testing.T) {
	const trip = 20 * time.Millisecond
	for name, way := range map[string]struct {
		server testserver.Config
		client func(*smtpretry.Config)
	}{
		"plain":        {},
		"STARTTLS":     {server: testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "secret"}}, client: logsIn},
		"implicit TLS": {server: testserver.Config{TLS: testserver.ImplicitTLS, Users: map[string]string{"me": "secret"}}, client: logsIn},
		"LMTP":         {server: testserver.Config{LMTP: true}, client: func(cfg *smtpretry.Config) { cfg.Dialer.LMTP = true }},
	} {
		for _, rcpts := range []int{1, 10, 100} {
			for _, test := range []struct {
				how    string
				server func(*testserver.Config)
				client func(*smtpretry.Config)
				trips  int
			}{
				{"offered", nil, nil, 2},
				{"not offered", func(cfg *testserver.Config) { cfg.Without = []string{"PIPELINING"} }, nil, rcpts + 3},
				{"turned off", nil, stepByStep, rcpts + 3},
			} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, test.how, rcpts), func(t *testing.T) {
					cfg := way.server
					if test.server != nil {
						test.server(&cfg)
					}
					bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
						srv.Network().SetDelay(trip / 2)
						c := client(t, srv, func(cfg *smtpretry.Config) {
							for _, change := range []func(*smtpretry.Config){way.client, test.client} {
								if change != nil {
									change(cfg)
								}
							}
							if cfg.Dialer.TLSConfig != nil && srv.TLSConfig() != nil && name == "implicit TLS" {
								cfg.Dialer.TLS = smtpretry.TLSImplicit
							}
						})
						to := addresses(rcpts)
						for _, first := range []bool{true, false} { // which connects, too
							start := time.Now()
							if _, err := c.Send(t.Context(), note(to...)); err != nil {
								t.Fatal(err)
							}
							if want := time.Duration(test.trips) * trip; !first {
								took(t, start, want, want)
							}
						}
						holds(t, srv, text, slices.Concat(to, to)...)
					})
				})
			}
		}
	}
}

func logsIn(cfg *smtpretry.Config) {
	cfg.Auth = func(context.Context) (sasl.Client, error) { return sasl.NewPlainClient("", "me", "secret"), nil }
}

// TestPipeliningBuffers: a group that fits into no buffer, nor its replies, does
// not lock up, and is taken as a whole.
func TestPipeliningBuffers(t *testing.T) {
	for _, mode := range []testserver.TLSMode{testserver.NoTLS, testserver.StartTLS} {
		for _, buffer := range []int{512, 4 << 10, 64 << 10} {
			t.Run(fmt.Sprint(mode, "/", buffer), func(t *testing.T) {
				long := strings.Repeat("x", 400)
				cfg := testserver.Config{TLS: mode, Script: testserver.Script{
					testserver.On(testserver.Rcpt, testserver.Reply("250-2.1.5 "+long+"\n250 2.1.5 Ok")).Always(),
				}}
				bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
					srv.Network().SetBuffer(buffer)
					c := client(t, srv, nil)
					to := addresses(3000)
					start := time.Now()
					res, err := c.Send(t.Context(), note(to...))
					if err != nil {
						t.Fatal(err)
					}
					took(t, start, 0, 0)
					if len(res.Attempts) != 1 {
						t.Errorf("%d attempts, want 1", len(res.Attempts))
					}
					holds(t, srv, text, to...)
				})
			})
		}
	}
}

// TestPipeliningUnread: a server that does not read a long group, nor answers,
// leaves nothing behind when the context ends.
func TestPipeliningUnread(t *testing.T) {
	for _, verb := range []string{"MAIL", "RCPT"} {
		inBubble(t, verb, func(t *testing.T) {
			slow, before := false, len(goroutinesHere())
			c := hostileClient(t, polite(func(line string) string {
				if !slow && strings.HasPrefix(line, verb) {
					slow = true
					time.Sleep(time.Hour)
				}
				return ""
			}), nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			res, err := c.Send(ctx, note(addresses(5000)...))
			if err == nil {
				t.Error("no error")
			}
			took(t, start, time.Minute, time.Minute)
			wantStates(t, res, slices.Repeat([]smtpretry.State{deferred}, 5000)...)
			synctest.Wait()
			if all := goroutinesHere(); len(all) > before+1 { // and the server
				t.Errorf("%d goroutines: %s", len(all), all)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// TestPipeliningUnable: a server that offers PIPELINING and loses commands gets
// the message again at once, and each later one, one command at a time; after an
// hour it is asked again.
func TestPipeliningUnable(t *testing.T) {
	for name, ahead := range map[string]testserver.Ahead{
		"drops what is behind": testserver.DropAhead,
		"refuses":              testserver.RefuseAhead,
		"hangs up":             testserver.HangUpOnNext,
	} {
		t.Run(name, func(t *testing.T) {
			var groups atomic.Int64
			cfg := testserver.Config{Ahead: ahead, OnInput: func(_ int, p []byte) {
				if strings.HasPrefix(string(p), "MAIL") && strings.Contains(string(p), "DATA") {
					groups.Add(1)
				}
			}}
			bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				c.CommandTimeout = time.Minute
				send := func(to string, attempts, met int) {
					t.Helper()
					start := time.Now()
					res, err := c.Send(t.Context(), note(to))
					if err != nil {
						t.Fatal(err)
					}
					took(t, start, 0, time.Minute)
					if len(res.Attempts) != attempts || charged(res) != 1 {
						t.Errorf("%d attempts, %d charged; want %d and 1", len(res.Attempts), charged(res), attempts)
					}
					if n := int(groups.Load()); n != met {
						t.Errorf("%d groups, want %d", n, met)
					}
				}
				send("a@example.net", 2, 1)
				send("b@example.net", 1, 1)
				time.Sleep(30 * time.Minute)
				send("c@example.net", 1, 1)
				time.Sleep(31 * time.Minute)
				send("d@example.net", 2, 2)
				holds(t, srv, text, "a@example.net", "b@example.net", "c@example.net", "d@example.net")
			})
		})
	}
}

// TestPipeliningDropRefused: a server that refuses a command and throws away
// what has come with it has said what it had to say.
func TestPipeliningDropRefused(t *testing.T) {
	for _, stage := range []testserver.Stage{testserver.Mail, testserver.Rcpt} {
		t.Run(string(stage), func(t *testing.T) {
			cfg := testserver.Config{Ahead: testserver.DropRefused, Script: testserver.Script{
				testserver.On(stage, testserver.Reply("550 5.7.1 No")),
			}}
			bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				start := time.Now()
				res, err := c.Send(t.Context(), note("a@example.net"))
				wantStates(t, res, rejected)
				wantOneReason(t, err, smtpretry.ErrRejected)
				took(t, start, 0, 10*time.Second)
				start = time.Now()
				if _, err := c.Send(t.Context(), note("b@example.net", "c@example.net")); err != nil {
					t.Fatal(err)
				}
				took(t, start, 0, 0)
				holds(t, srv, text, "b@example.net", "c@example.net")
			})
		})
	}
}

// TestPipeliningChance: where groups have worked, a link that breaks within one
// is a link that broke.
func TestPipeliningChance(t *testing.T) {
	cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Close()).To("b@")}}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		srv.Network().SetDelay(10 * time.Millisecond)
		c := client(t, srv, nil)
		for _, to := range []string{"a@example.net", "b@example.net"} {
			res, err := c.Send(t.Context(), note(to))
			if err != nil {
				t.Fatal(err)
			}
			if to[0] == 'b' && charged(res) != 2 {
				t.Errorf("%d attempts charged, want 2", charged(res))
			}
		}
		start := time.Now()
		if _, err := c.Send(t.Context(), note("c@example.net")); err != nil {
			t.Fatal(err)
		}
		took(t, start, 40*time.Millisecond, 40*time.Millisecond)
	})
}

// TestPipeliningNobody: a server that goes on to the body although it has taken
// no recipient gets a lone dot, and no message. What it says to that decides
// whether the connection is used again.
func TestPipeliningNobody(t *testing.T) {
	for _, test := range []struct {
		name, mail, rcpt, dot string
		dots, conns           int
	}{
		{"RCPT refused", "250 ok", "550 5.1.1 No such user", "554 5.5.1 Nobody to send it to", 1, 1},
		{"RCPT refused, the dot taken", "250 ok", "550 5.1.1 No such user", "250 queued", 1, 2},
		{"MAIL refused", "550 5.1.8 No", "503 5.5.1 MAIL first", "554 5.5.1 Nobody to send it to", 1, 1},
		{"MAIL refused, RCPT taken", "550 5.1.8 No", "250 ok", "250 queued", 0, 2},
	} {
		inBubble(t, test.name, func(t *testing.T) {
			conns, dots, first := 0, 0, true
			c := hostileClient(t, polite(func(line string) string {
				verb, _, _ := strings.Cut(line, " ")
				switch verb {
				case "":
					conns++
				case ".":
					dots++
				}
				if !first {
					return ""
				}
				switch verb {
				case "MAIL":
					return test.mail + "\r\n"
				case "RCPT":
					return test.rcpt + "\r\n"
				case ".":
					return test.dot + "\r\n"
				}
				return ""
			}), nil)
			res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
			wantStates(t, res, rejected, rejected)
			wantOneReason(t, err, smtpretry.ErrRejected)
			synctest.Wait()
			if dots != test.dots {
				t.Errorf("%d dots, want %d", dots, test.dots)
			}
			first = false
			if _, err := c.Send(t.Context(), note("c@example.net")); err != nil {
				t.Error(err)
			}
			if conns != test.conns {
				t.Errorf("%d connections, want %d", conns, test.conns)
			}
		})
	}
}

// TestPipeliningLastWord: what comes in the middle of a group counts for all who
// were taken before, and nothing is delivered.
func TestPipeliningLastWord(t *testing.T) {
	for name, rule := range map[string]testserver.Rule{
		"421 to a RCPT":  testserver.On(testserver.Rcpt, testserver.Reply("421 4.3.2 Going down")).To("r001@"),
		"421 and closed": testserver.On(testserver.Rcpt, testserver.Reply("421 4.3.2 Going down").ThenClose()).To("r001@"),
		"closed":         testserver.On(testserver.Rcpt, testserver.Close()).To("r001@"),
		"DATA refused":   testserver.On(testserver.Data, testserver.Reply("451 4.3.0 Not now")),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: testserver.Script{rule}}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 1 })
				res, err := c.Send(t.Context(), note(addresses(3)...))
				if name == "closed" { // and gone on with step by step
					wantStates(t, res, accepted, accepted, accepted)
					return
				}
				wantStates(t, res, deferred, deferred, deferred)
				wantOneReason(t, err, smtpretry.ErrExhausted)
				holds(t, srv, text)
			})
		})
	}
}

// TestPipeliningOptions: commands go out in a group as go-smtp says them alone,
// octet by octet.
func TestPipeliningOptions(t *testing.T) {
	said := map[string]string{}
	for _, kind := range []string{"go-smtp", "group", "step by step"} {
		bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
			var debug strings.Builder
			var c *smtpretry.Client
			if kind == "go-smtp" {
				c = wrapped(t, srv)
			} else {
				c = client(t, srv, func(cfg *smtpretry.Config) {
					cfg.Dialer.LocalName, cfg.Dialer.NoPipelining = "localhost", kind == "step by step"
				})
			}
			c.DebugWriter = &debug
			for i, m := range everyOption() {
				if _, err := c.Send(t.Context(), m); err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			}
			said[kind] = srv.Transcript()
			for line := range strings.Lines(said[kind]) {
				_, words, ok := strings.Cut(strings.TrimSpace(line), ": ")
				if ok && !strings.Contains(words, "[body") && !strings.Contains(debug.String(), words+"\r\n") {
					t.Errorf("%s: the DebugWriter has not seen %q", kind, words)
				}
			}
			if replies := strings.Count(debug.String(), "\r\n250 ") + strings.Count(debug.String(), "\r\n354 "); replies != strings.Count(said[kind], "S: 250 ")+strings.Count(said[kind], "S: 354 ") {
				t.Errorf("%s: the DebugWriter has seen %d replies:\n%s", kind, replies, debug.String())
			}
		})
	}
	for kind, dialogue := range said {
		if dialogue != said["go-smtp"] || !strings.Contains(dialogue, "NOTIFY=") || !strings.Contains(dialogue, "SIZE=") {
			t.Errorf("%s:\n%s\ngo-smtp:\n%s", kind, dialogue, said["go-smtp"])
		}
	}
}

func everyOption() []*smtpretry.Message {
	plain, sized, international, options := note("a@example.net"), note("a@example.net"), note("jürgen@example.net"), note("a@example.net", "b@example.net")
	sized.Size = int64(len(text))
	options.MailOptions = &smtp.MailOptions{Return: smtp.DSNReturnHeaders, EnvelopeID: "id+1", Size: 40}
	options.RcptOptions = func(to string) *smtp.RcptOptions {
		if to == "b@example.net" {
			return nil
		}
		return &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure}, OriginalRecipient: to, OriginalRecipientType: smtp.DSNAddressTypeRFC822}
	}
	return []*smtpretry.Message{plain, sized, international, options}
}
