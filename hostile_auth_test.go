package smtpretry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// mechanism is a sasl.Client of a test's own.
type mechanism struct {
	name  string
	start func() ([]byte, error)
	next  func([]byte) ([]byte, error)
}

func (m mechanism) Start() (string, []byte, error) {
	if m.start == nil {
		return m.name, nil, nil
	}
	resp, err := m.start()
	return m.name, resp, err
}
func (m mechanism) Next(challenge []byte) ([]byte, error) { return m.next(challenge) }

func with(a sasl.Client) func(*smtpretry.Config) {
	return func(cfg *smtpretry.Config) {
		cfg.Auth = func(context.Context) (sasl.Client, error) { return a, nil }
	}
}

// TestEndlessAuth: LOGIN answers each time it is asked for the password; the
// asking comes to an end.
func TestEndlessAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := hostileClient(t, polite(func(line string) string {
			switch {
			case line == "*":
				return "501 5.7.0 Cancelled\r\n"
			case asked == 50:
				return "535 5.7.8 Enough\r\n"
			case strings.HasPrefix(line, "AUTH") || asked > 0:
				asked++
				return "334 " + base64.StdEncoding.EncodeToString([]byte("Password:")) + "\r\n"
			}
			return ""
		}), with(sasl.NewLoginClient("me", "secret")))
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrExhausted)
		if v := res.Recipients[0].Verdict; v.Rule != "auth-endless" || asked > 20 {
			t.Errorf("asked %d times, then %v", asked, v)
		}
	})
}

// TestMechanismFails: what a mechanism returns as an error is met once, and
// the exchange is cancelled.
func TestMechanismFails(t *testing.T) {
	for name, m := range map[string]mechanism{
		"at first": {name: "X-OWN", start: func() ([]byte, error) { return nil, errBroken }},
		"later":    {name: "X-OWN", next: func([]byte) ([]byte, error) { return nil, errBroken }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				c := hostileClient(t, polite(func(line string) string {
					said = append(said, line)
					switch {
					case strings.HasPrefix(line, "AUTH"):
						return "334 \r\n"
					case line == "*":
						return "501 5.7.0 Cancelled\r\n"
					}
					return ""
				}), with(m))
				_, err := c.Send(t.Context(), note("a@example.net"))
				if !errors.Is(err, errBroken) {
					t.Errorf("got %v, want the mechanism's error", err)
				}
				if last := said[len(said)-1]; name == "later" && last != "*" || strings.HasPrefix(last, "MAIL") {
					t.Errorf("said %q", said)
				}
			})
		})
	}
}

// TestPanics: a function of the caller's that panics is not caught; whoever
// catches it can go on with the Client.
func TestPanics(t *testing.T) {
	for name, change := range map[string]func(*smtpretry.Config, *smtpretry.Message){
		"Auth": func(cfg *smtpretry.Config, _ *smtpretry.Message) {
			cfg.Auth = func(context.Context) (sasl.Client, error) { panic("ouch") }
		},
		"Start": func(cfg *smtpretry.Config, _ *smtpretry.Message) {
			with(mechanism{name: "PLAIN", start: func() ([]byte, error) { panic("ouch") }})(cfg)
		},
		"Next": func(cfg *smtpretry.Config, _ *smtpretry.Message) {
			with(mechanism{name: "PLAIN", next: func([]byte) ([]byte, error) { panic("ouch") }})(cfg)
		},
		"Body": func(_ *smtpretry.Config, m *smtpretry.Message) {
			m.Body = func() (io.ReadCloser, error) { panic("ouch") }
		},
		"Read": func(_ *smtpretry.Config, m *smtpretry.Message) {
			n := 0
			m.Body = func() (io.ReadCloser, error) {
				return io.NopCloser(readFunc(func(p []byte) (int, error) {
					if n++; n > 10 {
						panic("ouch")
					}
					return copy(p, bigText[:4096]), nil
				})), nil
			}
		},
		"RcptOptions": func(_ *smtpretry.Config, m *smtpretry.Message) {
			n := 0
			m.RcptOptions = func(string) *smtp.RcptOptions {
				if n++; n > 1 { // the first is before anything is sent
					panic("ouch")
				}
				return nil
			}
		},
		"Trace": func(cfg *smtpretry.Config, _ *smtpretry.Message) {
			n := 0
			cfg.Trace = &smtpretry.Trace{Attempted: func(smtpretry.Attempt) {
				if n++; n == 1 {
					panic("ouch")
				}
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, authServer("PLAIN"), func(t *testing.T, srv *testserver.Server) {
				m := note("a@example.net")
				var cfg smtpretry.Config
				change(&cfg, m)
				auth := cfg.Auth
				calls := 0
				c := client(t, srv, func(c *smtpretry.Config) {
					l := &login{password: "right"}
					c.Trace = cfg.Trace
					c.Auth = func(ctx context.Context) (sasl.Client, error) {
						if calls++; calls == 1 && auth != nil {
							return auth(ctx)
						}
						return l.auth(ctx)
					}
				})
				func() {
					defer func() {
						if p := recover(); p != "ouch" {
							t.Errorf("recovered %v", p)
						}
					}()
					_, err := c.Send(t.Context(), m)
					t.Errorf("no panic, but %v", err)
				}()
				before := len(srv.Messages())
				if _, err := c.Send(t.Context(), note("b@example.net")); err != nil {
					t.Errorf("after it: %v", err)
				}
				if got := srv.Messages(); len(got) != before+1 || string(got[before].Body) != text {
					t.Errorf("the server holds %d messages, want %d", len(got), before+1)
				}
				if name != "Trace" && before > 0 {
					t.Errorf("a part of the message was delivered")
				}
			})
		})
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestAuthPanicsByHand likewise.
func TestAuthPanicsByHand(t *testing.T) {
	bubble(t, authServer("PLAIN"), func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		func() {
			defer func() { _ = recover() }()
			_ = c.Auth(mechanism{name: "PLAIN", next: func([]byte) ([]byte, error) { panic("ouch") }})
		}()
		if err := c.Noop(); err == nil {
			t.Error("the connection is used on")
		}
		if err := errors.Join(c.Auth(sasl.NewPlainClient("", "me", "right")), byHand(c, "a@example.net")); err != nil {
			t.Error(err)
		}
	})
}

// TestDialPanicsByHand: a panic while a connection is made for a command
// leaves its place free.
func TestDialPanicsByHand(t *testing.T) {
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		calls := 0
		c := client(t, srv, func(cfg *smtpretry.Config) {
			dial := cfg.Dialer.NetDial
			cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if calls++; calls == 1 {
					panic("ouch")
				}
				return dial(ctx, network, addr)
			}
		})
		func() {
			defer func() { _ = recover() }()
			_ = c.Noop()
		}()
		if err := byHand(c, "a@example.net"); err != nil {
			t.Error(err)
		}
	})
}

// from is a connection that comes from another address.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// TestWhereAuthMayGo: without encryption a secret goes only where both the
// address that was asked for and the one that was reached are this machine's.
func TestWhereAuthMayGo(t *testing.T) {
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 25} }
	const unknown = "X-TOKEN" // a mechanism that nobody here knows
	tests := []struct {
		addr    string
		reached net.Addr
		mech    string
		allowed bool
	}{
		{"127.0.0.1:25", tcp("127.0.0.1"), sasl.Plain, true},
		{"127.0.0.1:25", tcp("127.8.8.8"), sasl.Plain, true},
		{"[::1]:25", tcp("::1"), sasl.Plain, true},
		{"localhost:25", tcp("::ffff:127.0.0.1"), sasl.Login, true},
		{"LOCALHOST:25", tcp("127.0.0.1"), "xoauth2", true},
		{"localhost:25", tcp("127.0.0.1"), unknown, true},
		{"localhost:25", tcp("192.0.2.1"), sasl.Plain, false},       // a name server that lies
		{"mx.example:25", tcp("127.0.0.1"), sasl.Plain, false},      // a proxy on this machine
		{"mx.example:25", tcp("::1"), sasl.OAuthBearer, false},      // likewise
		{"mx.example:25", tcp("192.0.2.1"), sasl.Login, false},      // the plain case
		{"[2001:db8::1]:25", tcp("2001:db8::1"), sasl.Plain, false}, // by IPv6
		{"[fe80::1%lo]:25", tcp("fe80::1"), sasl.Plain, false},      // the link is not the machine
		{"0.0.0.0:25", tcp("192.0.2.1"), sasl.Plain, false},         // any address
		{"localhost.example:25", tcp("192.0.2.1"), sasl.Plain, false},
		{"localhost:25", &net.UnixAddr{Name: "/run/lmtp", Net: "unix"}, sasl.Plain, false}, // cannot be told
		{"localhost:25", nil, sasl.Plain, false},
		{"mx.example:25", tcp("192.0.2.1"), "plain", false},
		{"mx.example:25", tcp("192.0.2.1"), "Xoauth2", false},
		{"mx.example:25", tcp("192.0.2.1"), unknown, false},
		{"mx.example:25", tcp("192.0.2.1"), "CRAM-MD5", true},
		{"mx.example:25", tcp("192.0.2.1"), "scram-sha-256", true},
		{"mx.example:25", tcp("192.0.2.1"), sasl.Anonymous, true},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			shown := false
			c := hostileClient(t, polite(func(line string) string {
				shown = shown || strings.HasPrefix(line, "AUTH")
				return ""
			}), func(cfg *smtpretry.Config) {
				with(mechanism{name: test.mech, start: func() ([]byte, error) { return []byte("secret"), nil }})(cfg)
				dial := cfg.Dialer.NetDial
				cfg.Dialer.Addr, cfg.Dialer.TLS = test.addr, smtpretry.TLSNone
				cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := dial(ctx, network, addr)
					return from{conn, test.reached}, err
				}
			})
			_, err := c.Send(t.Context(), note("a@example.net"))
			if shown != test.allowed || (err == nil) != test.allowed {
				t.Errorf("%s by %s reached at %v: shown %v, want %v (%v)", test.mech, test.addr, test.reached, shown, test.allowed, err)
			}
		})
	}
}

// TestAuthOnLoopbackByName: of a socket that the Dialer opens by itself, the
// address that was reached counts.
func TestAuthOnLoopbackByName(t *testing.T) {
	srv, err := testserver.Listen(authServer("PLAIN"), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Addr())
	c, err := smtpretry.New(smtpretry.Config{
		Dialer: &smtpretry.Dialer{Addr: "localhost:" + port},
		Auth:   (&login{password: "right"}).auth,
		Policy: smtpretry.Policy{MaxAttempts: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
		t.Error(err)
	}
}
