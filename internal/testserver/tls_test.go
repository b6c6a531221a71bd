package testserver_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	netsmtp "net/smtp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// saslFor returns a SASL client for one of the server's mechanisms.
func saslFor(mech, user, secret string) sasl.Client {
	switch mech {
	case "LOGIN":
		return sasl.NewLoginClient(user, secret)
	case "OAUTHBEARER":
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: user, Token: secret})
	case "XOAUTH2":
		return xoauth2{user, secret}
	}
	return sasl.NewPlainClient("", user, secret)
}

type xoauth2 struct{ user, token string }

func (x xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

func (x xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }

func TestAuth(t *testing.T) {
	for _, mech := range []string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"} {
		t.Run(mech, func(t *testing.T) {
			cfg := testserver.Config{RequireAuth: true, Mechanisms: []string{mech}, Users: map[string]string{"me": "right"}}
			inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				c := dial(t, srv)
				wantReply(t, send(c, friend), 530, "Authentication required")
				for range 2 {
					err := c.Auth(saslFor(mech, "me", "wrong"))
					var oe *sasl.OAuthBearerError
					if !errors.As(err, &oe) { // go-sasl tells it instead of the reply
						wantReply(t, err, 535, "authentication failed")
					}
				}
				if err := c.Auth(saslFor(mech, "me", "right")); err != nil {
					t.Fatal(err)
				}
				if err := send(c, friend); err != nil {
					t.Error(err)
				}
				if m := srv.Messages()[0]; m.User != "me" {
					t.Errorf("user %q", m.User)
				}
				srv.SetUsers(map[string]string{"me": "new"})
				if err := dial(t, srv).Auth(saslFor(mech, "me", "right")); err == nil {
					t.Error("the old password still works")
				}
				if err := dial(t, srv).Auth(saslFor(mech, "me", "new")); err != nil {
					t.Errorf("the new password: %v", err)
				}
				if st := srv.Stats(); st.Refused[testserver.ByAuth] != 3 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

func TestAuthByScript(t *testing.T) {
	cfg := testserver.Config{Users: map[string]string{"me": "right"}, Script: testserver.Script{
		testserver.On(testserver.Auth, testserver.Reply("454 4.7.0 Temporary authentication failure")),
		testserver.On(testserver.Auth, testserver.Reply("235 2.7.0 whoever you are")),
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		wantReply(t, c.Auth(saslFor("PLAIN", "x", "y")), 454, "Temporary")
		if err := c.Auth(saslFor("PLAIN", "x", "y")); err != nil {
			t.Fatal(err)
		}
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		if m := srv.Messages()[0]; m.User == "" {
			t.Errorf("user %q", m.User)
		}
	})
}

// TestTLS sends through each mode, with each certificate, with both clients.
func TestTLS(t *testing.T) {
	for name, mode := range map[string]testserver.TLSMode{"starttls": testserver.StartTLS, "implicit": testserver.ImplicitTLS} {
		for _, cert := range []struct {
			name string
			kind testserver.Cert
			fits func(err error) bool
		}{
			{"good", testserver.GoodCert, func(err error) bool { return err == nil }},
			{"expired", testserver.ExpiredCert, func(err error) bool {
				var ce x509.CertificateInvalidError
				return errors.As(err, &ce) && ce.Reason == x509.Expired
			}},
			{"wrong name", testserver.WrongNameCert, func(err error) bool {
				var he x509.HostnameError
				return errors.As(err, &he)
			}},
			{"untrusted", testserver.UntrustedCert, func(err error) bool {
				var ue x509.UnknownAuthorityError
				return errors.As(err, &ue)
			}},
		} {
			t.Run(name+" "+cert.name, func(t *testing.T) {
				cfg := testserver.Config{TLS: mode, Cert: cert.kind, RequireTLS: true, Users: map[string]string{"me": "pw"}}
				inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
					conn := connect(t, srv)
					var c *smtp.Client
					var err error
					if mode == testserver.ImplicitTLS {
						c = smtp.NewClient(tls.Client(conn, srv.TLSConfig()))
					} else {
						c, err = smtp.NewClientStartTLS(conn, srv.TLSConfig())
						if err != nil {
							t.Fatal(err)
						}
					}
					if err := c.Hello("client.example"); err == nil {
						err = c.Auth(saslFor("PLAIN", "me", "pw"))
						if err == nil {
							err = send(c, friend)
						}
						if err == nil {
							err = c.Quit()
						}
						if !cert.fits(err) {
							t.Errorf("error %v", err)
						}
					} else if !cert.fits(err) {
						t.Errorf("hello: %v", err)
					}
					ms := srv.Messages()
					if cert.kind == testserver.GoodCert {
						if len(ms) != 1 || !ms[0].TLS || ms[0].User != "me" || ms[0].Helo != "client.example" {
							t.Errorf("recorded %+v", ms)
						}
					} else if len(ms) != 0 {
						t.Errorf("%d messages", len(ms))
					}
				})
			})
		}
	}
}

// TestTLSFaults scripts the stage before the handshake.
func TestTLSFaults(t *testing.T) {
	for _, tt := range []struct {
		mode testserver.TLSMode
		do   *testserver.Action
		want string
	}{
		{testserver.StartTLS, testserver.Reply("454 4.7.0 TLS not available"), "TLS not available"},
		{testserver.StartTLS, testserver.Close(), "EOF"},
		{testserver.ImplicitTLS, testserver.Close(), "EOF"},
		{testserver.ImplicitTLS, testserver.Reset(), "connection reset"},
		{testserver.ImplicitTLS, testserver.Reply("220 plain text here").ThenClose(), "does not look like a TLS handshake"},
		{testserver.ImplicitTLS, testserver.Stall(), "timeout"},
	} {
		cfg := testserver.Config{TLS: tt.mode, Script: testserver.Script{testserver.On(testserver.TLS, tt.do)}}
		inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
			conn := connect(t, srv)
			conn.SetDeadline(time.Now().Add(time.Minute))
			var err error
			if tt.mode == testserver.StartTLS {
				_, err = smtp.NewClientStartTLS(conn, srv.TLSConfig())
			} else {
				err = tls.Client(conn, srv.TLSConfig()).Handshake()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: error %v, want %q", tt.mode, err, tt.want)
			}
			conn.Close()
			synctest.Wait()
			if st := srv.Stats(); st.Open != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// TestCloseUnderTLS wants the reply to arrive, and the end of TLS behind it.
func TestCloseUnderTLS(t *testing.T) {
	cfg := testserver.Config{TLS: testserver.ImplicitTLS, Script: testserver.Script{
		testserver.On(testserver.Greeting, testserver.Reply("421 4.7.0 bye").ThenClose()),
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		got, err := io.ReadAll(tls.Client(connect(t, srv), srv.TLSConfig()))
		if string(got) != "421 4.7.0 bye\r\n" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestNetSMTP sends with the standard library's client, with STARTTLS and AUTH.
func TestNetSMTP(t *testing.T) {
	cfg := testserver.Config{TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true, Users: map[string]string{"me": "pw"}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c, err := netsmtp.NewClient(connect(t, srv), "mx.example.test")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.StartTLS(srv.TLSConfig()); err != nil {
			t.Fatal(err)
		}
		if err := c.Auth(netsmtp.PlainAuth("", "me", "pw", "mx.example.test")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Mail(sender), c.Rcpt(friend), c.Noop()); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "Subject: x\n\n.\n")
		if err := errors.Join(w.Close(), c.Reset(), c.Quit()); err != nil {
			t.Fatal(err)
		}
		if m := srv.Messages()[0]; string(m.Body) != "Subject: x\r\n\r\n.\r\n" || !m.TLS || m.User != "me" {
			t.Errorf("recorded %+v", m)
		}
	})
}

func TestCertificateForOthers(t *testing.T) {
	srv := testserver.Start(t, testserver.Config{TLS: testserver.StartTLS})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(srv.CertPEM()) {
		t.Fatal("CertPEM holds no certificate")
	}
	for _, name := range []string{"mx.example.test", "localhost", "127.0.0.1"} {
		c, err := smtp.NewClientStartTLS(connect(t, srv), &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Noop(); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	plain := testserver.Start(t, testserver.Config{})
	if plain.TLSConfig() != nil || plain.CertPEM() != nil {
		t.Error("a server without TLS has a certificate")
	}
}
