package smtpretry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestReadAnnounced(t *testing.T) {
	for _, c := range []struct {
		params                string
		mails, rcpts, domains int
	}{
		{"", 0, 0, 0},
		{"MAILMAX=20 RCPTMAX=100 RCPTDOMAINMAX=1", 20, 100, 1},
		{"rcptmax=5", 0, 5, 0},
		{"RCPTMAX=999999", 0, 999999, 0},
		{"RCPTMAX=1000000 MAILMAX=3", 3, 0, 0}, // seven digits are none of ours
		{"RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=2x", 0, 0, 0},
		{"RCPTMAX MAILMAX= RCPTDOMAINMAX==3", 0, 0, 0},
		{"X-NEW=7 FLAG RCPTMAX=9", 0, 9, 0},
		{"RCPTMAX=9 RCPTMAX=4 RCPTMAX=6", 0, 4, 0},
		{" \t RCPTMAX=4  ", 0, 4, 0},
	} {
		if mails, rcpts, domains := smtpretry.ReadAnnounced(c.params); mails != c.mails || rcpts != c.rcpts || domains != c.domains {
			t.Errorf("%q: got %d, %d, %d, want %d, %d, %d", c.params, mails, rcpts, domains, c.mails, c.rcpts, c.domains)
		}
	}
}

func FuzzAnnounced(f *testing.F) {
	f.Add("MAILMAX=20 RCPTMAX=100 RCPTDOMAINMAX=1")
	f.Add("RCPTMAX=9 RCPTMAX=4 x=\x00 =")
	f.Fuzz(func(t *testing.T, params string) {
		mails, rcpts, domains := smtpretry.ReadAnnounced(params)
		for _, n := range []int{mails, rcpts, domains} {
			if n < 0 || n > 999_999 {
				t.Errorf("%q: got %d", params, n)
			}
		}
		// What is read and said again is the same.
		var again strings.Builder
		for name, n := range map[string]int{"MAILMAX": mails, "RCPTMAX": rcpts, "RCPTDOMAINMAX": domains} {
			if n > 0 {
				fmt.Fprintf(&again, " %s=%d", name, n)
			}
		}
		if m, r, d := smtpretry.ReadAnnounced(again.String()); m != mails || r != rcpts || d != domains {
			t.Errorf("%q gives %q, which gives %d, %d, %d", params, again.String(), m, r, d)
		}
	})
}

// TestAnnounced: what a server announces is kept to from the first message,
// so that it never has to refuse anything.
func TestAnnounced(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{PerConn: 3, PerMessage: 4, Domains: 2, Announce: true},
	}, func(t *testing.T, srv *testserver.Server) {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		setLimit(t, limiter, srv.Addr(), smtpretry.Limit{})
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Limiter = limiter })
		var to, all []string
		for i := range 10 {
			to = append(to, fmt.Sprintf("r%d@%d.example", i, i%3))
		}
		for range 4 {
			start := time.Now()
			res, err := c.Send(t.Context(), note(to...))
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Attempts) == 0 || time.Since(start) != 0 {
				t.Errorf("%d attempts, took %v", len(res.Attempts), time.Since(start))
			}
			for _, a := range res.Attempts {
				if a.Verdict.Code != 0 {
					t.Errorf("the server had to say %v", a.Verdict)
				}
			}
			all = append(all, to...)
		}
		holds(t, srv, text, all...)
		if refused := srv.Stats().Refused; len(refused) > 0 {
			t.Errorf("refused: %v", refused)
		}
		e := limiter.Explain(srv.Addr())
		if e.Limit.PerConn != 3 || e.Limit.PerMessage != 4 {
			t.Errorf("the limit in force is %+v", e.Limit)
		}
		if want := "PerMessage 4: announced in the reply to EHLO (RFC 9422)"; !strings.Contains(e.String(), want) {
			t.Errorf("%s\ndoes not say %q", e, want)
		}
	})
}

// TestAnnouncedStricter: of what the user sets and what is announced the
// stricter holds, part by part.
func TestAnnouncedStricter(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{PerConn: 3, PerMessage: 4, Announce: true},
	}, func(t *testing.T, srv *testserver.Server) {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{PerConn: 2, PerMessage: 5, Rate: 10, Burst: 50})
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Limiter = limiter })
		if _, err := c.Send(t.Context(), note("a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example")); err != nil {
			t.Fatal(err)
		}
		if lim := limiter.Explain(srv.Addr()).Limit; lim.PerConn != 2 || lim.PerMessage != 4 || lim.Rate != 10 || lim.Burst != 50 {
			t.Errorf("the limit in force is %+v", lim)
		}
		if err := limiter.SetLimit(srv.Addr(), smtpretry.Limit{PerMessage: 3}); err != nil {
			t.Fatal(err)
		}
		e := limiter.Explain(srv.Addr())
		if lim := e.Limit; lim.PerConn != 3 || lim.PerMessage != 3 || lim.Rate != 0 {
			t.Errorf("after SetLimit the limit in force is %+v", lim)
		}
		for _, o := range e.Origins {
			if want := map[string]string{"PerConn": smtpretry.OriginEHLO, "PerMessage": smtpretry.OriginSet}[o.Field]; o.From != want {
				t.Errorf("%s is from %q, want %q", o.Field, o.From, want)
			}
		}
	})
}

// TestAnnouncedInClear: where the server offers TLS and the client goes
// without, what is announced holds for the connection, and the host is not
// known by it.
func TestAnnouncedInClear(t *testing.T) {
	bubble(t, testserver.Config{
		TLS: testserver.StartTLS, Limits: testserver.Limits{PerMessage: 1, Announce: true},
	}, func(t *testing.T, srv *testserver.Server) {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Limiter, cfg.Dialer.TLS, cfg.Dialer.TLSConfig = limiter, smtpretry.TLSNone, nil
		})
		if _, err := c.Send(t.Context(), note("a@x.example", "b@x.example")); err != nil {
			t.Fatal(err)
		}
		if n := srv.Stats().Refused[testserver.ByPerMessage]; n > 0 {
			t.Errorf("%d recipients were refused", n)
		}
		if lim := limiter.Explain(srv.Addr()).Limit; lim.PerMessage != 0 {
			t.Errorf("the limit in force is %+v", lim)
		}
	})
}

// TestAnnouncedDomainsWrapped: a connection that cannot be replaced is used
// beyond what it announces, and the server says what it takes.
func TestAnnouncedDomainsWrapped(t *testing.T) {
	bubble(t, testserver.Config{
		Limits: testserver.Limits{Domains: 1, Announce: true},
	}, func(t *testing.T, srv *testserver.Server) {
		c := wrapped(t, srv)
		if _, err := c.Send(t.Context(), note("a@x.example")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		res, err := c.Send(ctx, note("b@y.example", "b@x.example"))
		if err == nil {
			t.Fatal("delivered")
		}
		wantStates(t, res, deferred, accepted)
	})
}

// TestAnnouncedSize: the largest message that a server takes is shown.
func TestAnnouncedSize(t *testing.T) {
	bubble(t, testserver.Config{MaxSize: 123_456}, func(t *testing.T, srv *testserver.Server) {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Limiter = limiter })
		if n := limiter.Explain(srv.Addr()).MaxSize; n != 0 {
			t.Errorf("%d octets before anything was said", n)
		}
		if _, err := c.Send(t.Context(), note("a@example.net")); err != nil {
			t.Fatal(err)
		}
		e := limiter.Explain(srv.Addr())
		if want := "MaxSize 123456: announced in the reply to EHLO (RFC 1870).\n"; e.MaxSize != 123_456 || !strings.Contains(e.String(), want) {
			t.Errorf("%d octets, and the text %q; want 123456, and in it %q", e.MaxSize, e, want)
		}
	})
}
