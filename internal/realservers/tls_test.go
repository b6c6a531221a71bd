//go:build linux

package realservers_test

import (
	"crypto/tls"
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

// trust makes a client use TLS in one of the ways, and know the test CA.
func trust(t *testing.T, mode smtpretry.TLSMode) func(*smtpretry.Config) {
	t.Helper()
	roots, err := realservers.Roots()
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *smtpretry.Config) {
		cfg.Dialer.TLS, cfg.Dialer.TLSConfig = mode, &tls.Config{RootCAs: roots, ServerName: realservers.Name}
	}
}

// TestTLS: mail goes out encrypted, STARTTLS and implicit.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listener string
		server   func(*testing.T) *realservers.Server
		mode     smtpretry.TLSMode
	}{
		{"postfix-tls", postfix, smtpretry.TLSStartTLS},
		{"postfix-smtps", postfix, smtpretry.TLSImplicit},
		{"exim-smtps", exim, smtpretry.TLSImplicit},
	} {
		t.Run(test.listener, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			c := client(t, s.Addr(test.listener), trust(t, test.mode))
			to := test.listener + "@example.test"
			wantStates(t, send(t, c, note(to)), accepted)
			if state, ok := c.TLSConnectionState(); !ok || !state.HandshakeComplete {
				t.Errorf("TLSConnectionState is %v, %+v", ok, state)
			}
			tookOnce(t, s, took(test.listener), []string{to})
		})
	}
}

// TestTLSRefused: a certificate that cannot be trusted ends the message at
// once, with nothing said in clear text.
func TestTLSRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listener string
		server   func(*testing.T) *realservers.Server
		mode     smtpretry.TLSMode
	}{
		{"postfix-tls-expired", postfix, smtpretry.TLSStartTLS},
		{"postfix-tls-othername", postfix, smtpretry.TLSStartTLS},
		{"postfix-tls-unknownca", postfix, smtpretry.TLSStartTLS},
		{"postfix-smtps-unknownca", postfix, smtpretry.TLSImplicit},
		{"exim-tls-expired", exim, smtpretry.TLSStartTLS},
		{"exim-tls-othername", exim, smtpretry.TLSStartTLS},
		{"exim-tls-unknownca", exim, smtpretry.TLSStartTLS},
		{"exim-smtps-expired", exim, smtpretry.TLSImplicit},
		{"postfix", postfix, smtpretry.TLSStartTLS}, // which does not offer it
		{"opensmtpd", openSMTPD, smtpretry.TLSStartTLS},
	} {
		t.Run(test.listener, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			spy := new(wiretap)
			c := client(t, s.Addr(test.listener), func(cfg *smtpretry.Config) {
				trust(t, test.mode)(cfg)
				cfg.Dialer.NetDial = spy.over(cfg.Dialer.NetDial)
			})
			res := send(t, c, note("refused-tls@example.test"), smtpretry.ErrRefused)
			wantStates(t, res, deferred)
			if v := res.Recipients[0].Verdict; v.Cause != smtpretry.CauseTLS || len(res.Attempts) != 1 {
				t.Errorf("the verdict is %v after %d attempts", v, len(res.Attempts))
			}
			if spy.said("MAIL ") || spy.said("Hello there") || spy.said("refused-tls") {
				t.Errorf("it went on in clear text: %q", spy.bytes())
			}
		})
	}
}

// TestTLSRequired: a server that takes no mail in clear text says so to a
// client that would send it.
func TestTLSRequired(t *testing.T) {
	t.Parallel()
	for listener, server := range map[string]func(*testing.T) *realservers.Server{"postfix-tls": postfix, "exim-tls": exim} {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			c := client(t, server(t).Addr(listener), func(cfg *smtpretry.Config) { cfg.Dialer.TLS = smtpretry.TLSNone })
			res, err := c.Send(t.Context(), note("clear@example.test"))
			v := res.Recipients[0].Verdict
			if err == nil || v.Cause != smtpretry.CauseTLS || v.Code != 530 || v.Class != smtpretry.Permanent || len(res.Attempts) != 1 {
				t.Errorf("got %v, %v after %d attempts; want 530 for TLS, for good", err, v, len(res.Attempts))
			}
		})
	}
}
