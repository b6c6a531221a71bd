//go:build linux

package realservers_test

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

var mechanisms = map[string]func(user, password string) sasl.Client{
	"PLAIN":    func(user, password string) sasl.Client { return sasl.NewPlainClient("", user, password) },
	"LOGIN":    sasl.NewLoginClient,
	"CRAM-MD5": func(user, password string) sasl.Client { return cramMD5{user, password} },
}

// cramMD5 is RFC 2195, a mechanism of a user's own.
type cramMD5 struct{ user, password string }

func (cramMD5) Start() (string, []byte, error) { return "CRAM-MD5", nil, nil }

func (a cramMD5) Next(challenge []byte) ([]byte, error) {
	mac := hmac.New(md5.New, []byte(a.password))
	mac.Write(challenge)
	return []byte(a.user + " " + hex.EncodeToString(mac.Sum(nil))), nil
}

// TestAuth: each mechanism, over STARTTLS, on each new connection.
func TestAuth(t *testing.T) {
	t.Parallel()
	for name, mech := range mechanisms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := exim(t)
			var logins atomic.Int32
			c := client(t, s.Addr("exim-tls"), func(cfg *smtpretry.Config) {
				trust(t, smtpretry.TLSStartTLS)(cfg)
				cfg.Auth = func(context.Context) (sasl.Client, error) {
					logins.Add(1)
					return mech(realservers.User, realservers.Password), nil
				}
			})
			to := names("auth-"+name+"-", 15) // 10 go over one connection
			sendEach(t, c, to, 1)
			if n := logins.Load(); n != 2 {
				t.Errorf("%d logins, want 2", n)
			}
			tookOnce(t, s, eximTook, to)
		})
	}
}

// TestWrongPassword: one login reaches the server, the other messages are
// held, until the password is another.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	for name, mech := range mechanisms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Its log is this test's alone.
			s := own(t, realservers.StartExim)
			var password atomic.Value
			password.Store("wrong")
			c := client(t, s.Addr("exim-tls"), func(cfg *smtpretry.Config) {
				trust(t, smtpretry.TLSStartTLS)(cfg)
				cfg.MaxConns = 3
				cfg.Auth = func(context.Context) (sasl.Client, error) {
					return mech(realservers.User, password.Load().(string)), nil
				}
			})
			first := send(t, c, note("wrong@example.test"), smtpretry.ErrRefused)
			if v := first.Recipients[0].Verdict; v.Code != 535 || v.Cause != smtpretry.CauseAuth || v.Scope != smtpretry.ScopeAccount {
				t.Errorf("the verdict is %v", v)
			}
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					res, err := c.Send(t.Context(), note("wrong@example.test"))
					if !errors.Is(err, smtpretry.ErrRefused) || res.Recipients[0].State != deferred {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			password.Store(realservers.Password)
			wantStates(t, send(t, c, note("right@example.test")), accepted)
			tookOnce(t, s, eximTook, []string{"right@example.test"})
			// It logs after it has replied.
			failed := func() int { return strings.Count(s.Log(), "authenticator failed") }
			for end := time.Now().Add(10 * time.Second); failed() == 0 && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
			if n := failed(); n != 1 {
				t.Errorf("the server has seen %d wrong logins, want 1:\n%s", n, s.Log())
			}
		})
	}
}
