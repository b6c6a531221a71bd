package smtpretry_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// login is a Config.Auth whose credentials can be changed.
type login struct {
	mech     string
	mu       sync.Mutex
	password string
	calls    int
}

func (l *login) auth(context.Context) (sasl.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	switch l.mech {
	case sasl.Login:
		return sasl.NewLoginClient("me", l.password), nil
	case sasl.OAuthBearer:
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "me", Token: l.password}), nil
	}
	return sasl.NewPlainClient("", "me", l.password), nil
}

func (l *login) change(password string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.password = password
}

func authServer(mech string) testserver.Config {
	return testserver.Config{Users: map[string]string{"me": "right"}, RequireAuth: true, Mechanisms: []string{mech}}
}

// TestRefusedAccount: after a 535 the server is left alone until the
// credentials change.
func TestRefusedAccount(t *testing.T) {
	for _, mech := range []string{sasl.Plain, sasl.Login, sasl.OAuthBearer} {
		t.Run(mech, func(t *testing.T) {
			bubble(t, authServer(mech), func(t *testing.T, srv *testserver.Server) {
				l := &login{mech: mech, password: "wrong"}
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
				start := time.Now()
				for range 20 {
					res, err := c.Send(t.Context(), note("a@example.net"))
					wantOneReason(t, err, smtpretry.ErrRefused)
					wantStates(t, res, deferred)
					if v := res.Recipients[0].Verdict; v.Cause != smtpretry.CauseAuth || v.Scope != smtpretry.ScopeAccount {
						t.Errorf("verdict %v, want auth, about the account", v)
					}
					if mech != sasl.OAuthBearer && replyIn(err) == nil {
						t.Errorf("%v does not hold the 535", err)
					}
				}
				took(t, start, 0, 0)
				if n := srv.Stats().Refused[testserver.ByAuth]; n > 1 {
					t.Errorf("%d logins, want 1", n)
				}
				if n := srv.Stats().Conns; n != 1 {
					t.Errorf("%d connections, want 1", n)
				}
				l.change("right")
				if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
					t.Errorf("with other credentials: %v", err)
				}
				holds(t, srv, text, "a@example.net")
			})
		})
	}
}

// TestRefusedAccountPause: after ten minutes the same credentials may be tried
// again, since somebody may have unlocked the account.
func TestRefusedAccountPause(t *testing.T) {
	bubble(t, authServer(sasl.Plain), func(t *testing.T, srv *testserver.Server) {
		l := &login{password: "not yet"}
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
		if _, err := c.Send(t.Context(), note("a@example.net")); !errors.Is(err, smtpretry.ErrRefused) {
			t.Fatalf("got %v", err)
		}
		srv.SetUsers(map[string]string{"me": "not yet"})
		time.Sleep(10*time.Minute - time.Second)
		if _, err := c.Send(t.Context(), note("a@example.net")); !errors.Is(err, smtpretry.ErrRefused) {
			t.Errorf("before the pause is over: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}

// TestRefusedAccountHerd: messages sent at once knock once for each
// connection at most.
func TestRefusedAccountHerd(t *testing.T) {
	for _, conns := range []int{1, 5} {
		bubble(t, authServer(sasl.Plain), func(t *testing.T, srv *testserver.Server) {
			l := &login{password: "wrong"}
			c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth, cfg.MaxConns = l.auth, conns })
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if _, err := c.Send(t.Context(), note("a@example.net")); !errors.Is(err, smtpretry.ErrRefused) {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			if n := srv.Stats().Conns; n > conns {
				t.Errorf("%d connections, want at most %d", n, conns)
			}
		})
	}
}

// TestAccountRefusedAtMail counts like a refused login.
func TestAccountRefusedAtMail(t *testing.T) {
	bubble(t, testserver.Config{RequireAuth: true, Users: map[string]string{"me": "right"}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		_, err := c.Send(t.Context(), note("a@example.net"))
		if reply := replyIn(err); reply == nil || reply.Code != 530 {
			t.Fatalf("got %v, want the 530", err)
		}
		said := srv.Transcript()
		_, err = c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrRefused)
		if srv.Transcript() != said {
			t.Errorf("the server was asked again:\n%s", srv.Transcript())
		}
	})
}

// TestAuthTarpit: a server that does not answer after its 535 costs no time.
func TestAuthTarpit(t *testing.T) {
	bubble(t, testserver.Config{Users: map[string]string{"me": "right"}, Script: testserver.Script{
		testserver.On(testserver.Auth, testserver.Reply("535 5.7.8 Bad credentials").ThenStall()),
	}}, func(t *testing.T, srv *testserver.Server) {
		l := &login{password: "wrong"}
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
		start := time.Now()
		_, err := c.Send(t.Context(), note("a@example.net"))
		wantOneReason(t, err, smtpretry.ErrRefused)
		took(t, start, 0, 0)
	})
}

// TestAuthTemporary: a 454 says nothing about the account.
func TestAuthTemporary(t *testing.T) {
	cfg := authServer(sasl.Plain)
	cfg.Script = testserver.Script{testserver.On(testserver.Auth, testserver.Reply("454 4.7.0 Temporary authentication failure"))}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		l := &login{password: "right"}
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
		start := time.Now()
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Fatal(err)
		}
		took(t, start, 2500*time.Millisecond, 7500*time.Millisecond)
		if l.calls != 2 {
			t.Errorf("credentials were asked for %d times, want fresh ones for each of 2 connections", l.calls)
		}
	})
}

// TestNoCredentials: Config.Auth's own failure is retried.
func TestNoCredentials(t *testing.T) {
	bubble(t, authServer(sasl.Plain), func(t *testing.T, srv *testserver.Server) {
		l, n := &login{password: "right"}, 0
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Auth = func(ctx context.Context) (sasl.Client, error) {
				switch n++; n {
				case 1:
					return nil, errBroken
				case 2:
					return nil, nil
				}
				return l.auth(ctx)
			}
		})
		res, err := c.Send(t.Context(), note("a@example.net"))
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Attempts) != 3 || !errors.Is(res.Attempts[0].Err, errBroken) {
			t.Errorf("attempts %+v", res.Attempts)
		}
	})
}

// TestCleartextAuth: a secret does not go over a link that others can read.
func TestCleartextAuth(t *testing.T) {
	for _, mech := range []string{sasl.Plain, sasl.Login, sasl.OAuthBearer} {
		t.Run(mech, func(t *testing.T) {
			cfg := authServer(mech)
			cfg.Addr, cfg.ShowSecrets = "mx.example.test:587", true
			bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				l := &login{mech: mech, password: "right"}
				c := client(t, srv, func(cfg *smtpretry.Config) {
					cfg.Auth, cfg.Dialer.TLS = l.auth, smtpretry.TLSNone
				})
				_, err := c.Send(t.Context(), note("a@example.net"))
				wantOneReason(t, err, smtpretry.ErrRefused)
				if said := srv.Transcript(); strings.Contains(said, "C: AUTH") {
					t.Errorf("AUTH was sent:\n%s", said)
				}
			})
		})
	}
}

// TestAuthAgain: by hand, a second try on the same connection works, as with
// go-smtp.
func TestAuthAgain(t *testing.T) {
	bubble(t, authServer(sasl.Plain), func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, nil)
		if err := c.Auth(sasl.NewPlainClient("", "me", "wrong")); replyIn(err) == nil || replyIn(err).Code != 535 {
			t.Fatalf("got %v, want the 535", err)
		}
		if err := c.Auth(sasl.NewPlainClient("", "me", "right")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Error(err)
		}
		if n := srv.Stats().Conns; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestAcceptedAccountEndsPause: once other credentials were accepted, those
// that were refused may be tried again.
func TestAcceptedAccountEndsPause(t *testing.T) {
	bubble(t, authServer(sasl.Plain), func(t *testing.T, srv *testserver.Server) {
		l := &login{password: "other"}
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
		send := func() error { return second(c.Send(t.Context(), note("a@example.net"))) }
		if err := send(); !errors.Is(err, smtpretry.ErrRefused) {
			t.Fatalf("got %v", err)
		}
		l.change("right")
		if err := send(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // the connection is closed meanwhile
		l.change("other")
		srv.SetUsers(map[string]string{"me": "other"})
		if err := send(); err != nil {
			t.Error(err)
		}
	})
}

// TestRefusedAccountInLine: a message that waited for the connection on which
// the account was refused does not log in on another.
func TestRefusedAccountInLine(t *testing.T) {
	bubble(t, authServer(sasl.Plain), func(t *testing.T, srv *testserver.Server) {
		srv.Network().SetDelay(10 * time.Millisecond)
		l := &login{password: "wrong"}
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Auth = l.auth })
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := c.Send(t.Context(), note("a@example.net"))
				wantOneReason(t, err, smtpretry.ErrRefused)
			})
		}
		wg.Wait()
		if n := srv.Stats().Conns; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}
