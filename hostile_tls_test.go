package smtpretry_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestStrippedStartTLS: at every port beyond this machine the zero mode wants
// TLS, and does without the message if the server, or somebody before it, does
// without STARTTLS.
func TestStrippedStartTLS(t *testing.T) {
	for _, addr := range []string{"mx.example:25", "mx.example:587", "mx.example:2525", "mx.example:smtp", "192.0.2.1:25", "[2001:db8::1]:25"} {
		for name, reply := range map[string]string{
			"nothing offered": "250-mx.example\r\n250 AUTH PLAIN\r\n",
			"in the greeting": "250 STARTTLS\r\n",
			"another word":    "250-mx.example\r\n250 XXXXXXXA\r\n",
			"no EHLO":         "502 5.5.1 What?\r\n",
		} {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				c := hostileClient(t, polite(func(line string) string {
					said = append(said, line)
					if strings.HasPrefix(line, "EHLO") {
						return reply
					}
					return ""
				}), func(cfg *smtpretry.Config) { cfg.Dialer.Addr = addr })
				_, err := c.Send(t.Context(), note("a@example.net"))
				wantOneReason(t, err, smtpretry.ErrRefused)
				if len(said) != 2 {
					t.Errorf("%s at %s: said %q", name, addr, said)
				}
			})
		}
	}
}

// TestStartTLSPutOff: a server that has no TLS for the moment is asked again,
// and gets nothing meanwhile.
func TestStartTLSPutOff(t *testing.T) {
	no := testserver.On(testserver.TLS, testserver.Reply("454 4.7.0 TLS not available"))
	for _, always := range []bool{false, true} {
		if always {
			no = no.Always()
		}
		bubble(t, testserver.Config{TLS: testserver.StartTLS, Script: testserver.Script{no}}, func(t *testing.T, srv *testserver.Server) {
			c := client(t, srv, nil)
			_, err := c.Send(t.Context(), note("a@example.net"))
			if always {
				wantOneReason(t, err, smtpretry.ErrExhausted)
				if said := srv.Transcript(); strings.Contains(said, "C: MAIL") || strings.Count(said, "C: STARTTLS") < 5 {
					t.Errorf("said\n%s", said)
				}
				return
			}
			if err != nil || !srv.Messages()[0].TLS {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestInjection: plain text that comes with the reply to STARTTLS is not taken
// for what was said in TLS, though TLS itself would work.
func TestInjection(t *testing.T) {
	cfg := testserver.Config{TLS: testserver.StartTLS, Script: testserver.Script{testserver.On(testserver.TLS,
		testserver.Reply("220 2.0.0 Go\n250-mx.example.test\n250 AUTH PLAIN"))}}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		res, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrRefused)
		if v := res.Recipients[0].Verdict; v.Rule != "starttls-injection" {
			t.Errorf("got %v", v)
		}
	})
}

// TestForgottenExtensions: what was offered before TLS may have come from
// anybody. After it EHLO is said again, and only that reply counts.
func TestForgottenExtensions(t *testing.T) {
	cfg := testserver.Config{TLS: testserver.StartTLS, Without: []string{"SMTPUTF8"}, Script: testserver.Script{
		testserver.On(testserver.Hello, testserver.Reply("250-mx.example.test\n250-STARTTLS\n250-SIZE 10\n250-AUTH PLAIN\n250 SMTPUTF8"))}}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		m := note("a@example.net")
		m.Size = int64(len(text))
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Errorf("a size from before TLS counts: %v", err)
		}
		if n := strings.Count(srv.Transcript(), "C: EHLO"); n != 2 {
			t.Errorf("EHLO was said %d times", n)
		}
		if c.SupportsAuth("PLAIN") {
			t.Error("AUTH from before TLS counts")
		}
		if ok, _ := c.Extension("SMTPUTF8"); ok {
			t.Error("SMTPUTF8 from before TLS counts")
		}
	})
}

// TestTLSAsks: with nothing set, TLS 1.2 is the least that is asked for, and
// the certificate is for the name that was dialled.
func TestTLSAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hello *tls.ClientHelloInfo
		c := hostileClient(t, func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				hello = h
				return nil, errBroken
			}}).Handshake()
		}, func(cfg *smtpretry.Config) { cfg.Dialer.Addr = "mx.example:465" })
		_, err := c.Send(t.Context(), note("a@example.net"))
		if err == nil || hello == nil {
			t.Fatalf("no handshake: %v", err)
		}
		if least := slices.Min(hello.SupportedVersions); least < tls.VersionTLS12 {
			t.Errorf("%s is offered", tls.VersionName(least))
		}
		if hello.ServerName != "mx.example" {
			t.Errorf("it is for %q", hello.ServerName)
		}
	})
}
