package smtpretry_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestTLS: both ways in, and mail goes out encrypted.
func TestTLS(t *testing.T) {
	for mode, dial := range map[testserver.TLSMode]smtpretry.TLSMode{
		testserver.StartTLS:    smtpretry.TLSStartTLS,
		testserver.ImplicitTLS: smtpretry.TLSImplicit,
	} {
		t.Run(dial.String(), func(t *testing.T) {
			bubble(t, testserver.Config{TLS: mode, RequireTLS: true}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Dialer.TLS = dial })
				m := note("a@example.net")
				m.Body = body(bigText)
				if _, err := c.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				holds(t, srv, bigText, "a@example.net")
				if !srv.Messages()[0].TLS {
					t.Error("the message went out in clear text")
				}
				state, ok := c.TLSConnectionState()
				if !ok || !state.HandshakeComplete || state.ServerName != "mx.example.test" {
					t.Errorf("TLSConnectionState is %v, %+v", ok, state)
				}
			})
		})
	}
}

// TestTLSAuto: the zero mode asks for STARTTLS everywhere but on loopback.
func TestTLSAuto(t *testing.T) {
	for _, test := range []struct {
		addr string
		mode testserver.TLSMode
		tls  bool
	}{
		{"mx.example.test:587", testserver.StartTLS, true},
		{"mx.example.test:465", testserver.ImplicitTLS, true},
		{"127.0.0.1:2525", testserver.NoTLS, false},
	} {
		t.Run(test.addr, func(t *testing.T) {
			bubble(t, testserver.Config{Addr: test.addr, TLS: test.mode}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Dialer.TLS = smtpretry.TLSAuto })
				if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
					t.Fatal(err)
				}
				if got := srv.Messages()[0].TLS; got != test.tls {
					t.Errorf("TLS is %v, want %v", got, test.tls)
				}
			})
		})
	}
}

// TestTLSRefused: without encryption that can be trusted nothing is sent.
func TestTLSRefused(t *testing.T) {
	tests := []struct {
		name string
		cfg  testserver.Config
		mode smtpretry.TLSMode
	}{
		{"stripped", testserver.Config{}, smtpretry.TLSStartTLS},
		{"HELO only", testserver.Config{Without: []string{"EHLO"}}, smtpretry.TLSStartTLS},
		{"refused", testserver.Config{TLS: testserver.StartTLS, Script: testserver.Script{
			testserver.On(testserver.TLS, testserver.Reply("554 5.7.3 No TLS today"))}}, smtpretry.TLSStartTLS},
		{"text behind STARTTLS", testserver.Config{TLS: testserver.StartTLS, Script: testserver.Script{
			testserver.On(testserver.TLS, testserver.Raw("220 go\r\n250-mx.example.test\r\n250 AUTH PLAIN\r\n"))}}, smtpretry.TLSStartTLS},
		{"expired", testserver.Config{TLS: testserver.StartTLS, Cert: testserver.ExpiredCert}, smtpretry.TLSStartTLS},
		{"another name", testserver.Config{TLS: testserver.StartTLS, Cert: testserver.WrongNameCert}, smtpretry.TLSStartTLS},
		{"not trusted", testserver.Config{TLS: testserver.ImplicitTLS, Cert: testserver.UntrustedCert}, smtpretry.TLSImplicit},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, test.cfg, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Dialer.TLS = test.mode })
				res, err := c.Send(t.Context(), note("a@example.net"))
				wantOneReason(t, err, smtpretry.ErrRefused)
				wantStates(t, res, deferred)
				if len(res.Attempts) != 1 {
					t.Errorf("%d attempts, want 1", len(res.Attempts))
				}
				if said := srv.Transcript(); strings.Contains(said, "C: MAIL") {
					t.Errorf("it went on:\n%s", said)
				}
			})
		})
	}
}

// TestTLSWrapped: the state of a wrapped client's TLS shows too, and so does
// that of one that Config.Dial returned.
func TestTLSWrapped(t *testing.T) {
	bubble(t, testserver.Config{TLS: testserver.StartTLS}, func(t *testing.T, srv *testserver.Server) {
		dial := func(ctx context.Context) (*smtp.Client, error) {
			conn, err := srv.Dial(ctx, "tcp", srv.Addr())
			if err != nil {
				return nil, err
			}
			return smtp.NewClientStartTLS(conn, srv.TLSConfig())
		}
		c, err := smtpretry.New(smtpretry.Config{Host: "mx.example.test", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.TLSConnectionState(); !ok || !srv.Messages()[0].TLS {
			t.Error("there is no TLS")
		}
	})
}

// TestBadCertificateOfDial: go-smtp's constructors return before the handshake;
// its failure is met with EHLO, and is no reason to come back.
func TestBadCertificateOfDial(t *testing.T) {
	bubble(t, testserver.Config{TLS: testserver.StartTLS, Cert: testserver.ExpiredCert}, func(t *testing.T, srv *testserver.Server) {
		c, err := smtpretry.New(smtpretry.Config{Host: "mx.example.test", Dial: func(ctx context.Context) (*smtp.Client, error) {
			conn, err := srv.Dial(ctx, "tcp", srv.Addr())
			if err != nil {
				return nil, err
			}
			return smtp.NewClientStartTLS(conn, srv.TLSConfig())
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrRefused)
		if len(res.Attempts) != 1 || res.Attempts[0].Verdict.Cause != smtpretry.CauseTLS {
			t.Errorf("attempts %+v", res.Attempts)
		}
	})
}

// TestLongGreeting: many lines of welcome are no reason to turn back.
func TestLongGreeting(t *testing.T) {
	lines := strings.Repeat("220-"+strings.Repeat("welcome ", 20)+"\n", 40) + "220 mx.example.test ESMTP"
	for _, mode := range []testserver.TLSMode{testserver.NoTLS, testserver.StartTLS} {
		bubble(t, testserver.Config{TLS: mode, Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Reply(lines))}},
			func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, nil)
				if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
					t.Error(err)
				}
			})
	}
}

// TestHandshakeStalls: a server that says nothing to a TLS handshake is too
// slow; it has not refused anything.
func TestHandshakeStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := smtpretry.New(smtpretry.Config{
			Policy: smtpretry.Policy{MaxAttempts: 1},
			Dialer: &smtpretry.Dialer{Addr: "mx.example:465", NetDial: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, far) }()
				return near, nil
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrExhausted)
		if v := res.Recipients[0].Verdict; v.Cause != smtpretry.CauseNetwork || v.Class != smtpretry.Temporary || v.Stage != smtpretry.StageTLS {
			t.Errorf("verdict %v, want a temporary failure of the network in TLS", v)
		}
		took(t, start, 5*time.Minute, 5*time.Minute)
	})
}
