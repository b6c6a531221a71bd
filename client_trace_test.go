package smtpretry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestTrace is told each attempt and each wait, in order.
func TestTrace(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Not now")).To("b@"),
	}}, func(t *testing.T, srv *testserver.Server) {
		var attempts []smtpretry.Attempt
		var waits []smtpretry.Wait
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Trace = &smtpretry.Trace{
				Attempted: func(a smtpretry.Attempt) { attempts = append(attempts, a) },
				Waiting:   func(w smtpretry.Wait) { waits = append(waits, w) },
			}
		})
		res, err := c.Send(t.Context(), note("a@example.net", "b@example.net"))
		if err != nil {
			t.Fatal(err)
		}
		if len(attempts) != 2 || len(res.Attempts) != 2 || len(waits) != 1 {
			t.Fatalf("%d attempts (%d in the Result), %d waits; want 2, 2, 1", len(attempts), len(res.Attempts), len(waits))
		}
		first, next := attempts[0], attempts[1]
		if first.Number != 1 || !first.Charged || first.Reused || first.Addr != srv.Addr() || first.Stage != smtpretry.StageDot ||
			len(first.Recipients) != 2 || first.Recipients[0].State != accepted || first.Recipients[1].State != deferred ||
			first.Verdict.Code != 450 || first.Err == nil || first.Queued == "" {
			t.Errorf("first attempt: %+v", first)
		}
		if w := waits[0]; w.Host != "127.0.0.1" || w.For != "retry" || !w.Until.Equal(first.Next) || !next.Start.Equal(first.Next) {
			t.Errorf("wait %+v between %v and %v", w, first.Next, next.Start)
		}
		if next.Number != 2 || !next.Reused || len(next.Recipients) != 1 || next.Recipients[0].Address != "b@example.net" ||
			next.Recipients[0].State != accepted || next.Verdict.Rule != "" || next.Err != nil || !next.Next.IsZero() {
			t.Errorf("second attempt: %+v", next)
		}
		if !strings.Contains(res.Queued, "00000002") {
			t.Errorf("Queued is %q", res.Queued)
		}
	})
}

// TestMessageTrace is told of its own message only, of each transaction before
// the next begins, and before the Client's Trace is.
func TestMessageTrace(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{PerMessage: 1}}, func(t *testing.T, srv *testserver.Server) {
		var told []string
		note1, note2 := note("a@example.net", "b@example.net"), note("c@example.net")
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Trace = &smtpretry.Trace{Attempted: func(smtpretry.Attempt) { told = append(told, "client") }}
		})
		note1.Trace = &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) {
			for _, r := range a.Recipients {
				if r.State == accepted {
					told = append(told, fmt.Sprint(r.Address, " of ", len(srv.Messages())))
				}
			}
		}}
		for _, m := range []*smtpretry.Message{note1, note2} {
			if _, err := c.Try(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		want := "[a@example.net of 1 client b@example.net of 2 client client]"
		if got := fmt.Sprint(told); got != want {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// TestTraceEnds: each wait that was told of ends once, also when the context ends
// it, and each call is told of with what it returns. All name the limiter's key, and
// go on with the context that was handed on.
func TestTraceEnds(t *testing.T) {
	bubble(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Not now")).Times(2),
	}}, func(t *testing.T, srv *testserver.Server) {
		const key = "smtp.office365.com"
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		setLimit(t, l, key, smtpretry.Limit{Rate: 0.1, MaxConns: 1})
		var told []string
		var waits []smtpretry.Wait
		var last smtpretry.Finish
		type mark struct{}
		marked := func(ctx context.Context) {
			t.Helper()
			if v, _ := ctx.Value(mark{}).(string); v != "own all" {
				t.Errorf("the context is marked by %q", v)
			}
		}
		own := &smtpretry.Trace{
			Began: func(ctx context.Context, _ *smtpretry.Message) context.Context {
				return context.WithValue(ctx, mark{}, "own")
			},
			Finished: func(f smtpretry.Finish) { told = append(told, "message"); marked(f.Context()) },
		}
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Host, cfg.Limiter = "SMTP.Office365.com:587", l
			cfg.Policy.Backoff = smtpretry.Backoff{Initial: 6 * time.Second, Jitter: -1}
			dial := cfg.Dialer.NetDial
			cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				marked(ctx)
				return dial(ctx, network, addr)
			}
			cfg.Trace = &smtpretry.Trace{
				Began: func(ctx context.Context, m *smtpretry.Message) context.Context {
					if m.Trace != own {
						t.Errorf("begins with another message: %+v", m)
					}
					return context.WithValue(ctx, mark{}, ctx.Value(mark{}).(string)+" all")
				},
				Attempted: func(a smtpretry.Attempt) { told = append(told, "attempt "+a.Host); marked(a.Context()) },
				Waiting: func(w smtpretry.Wait) {
					told = append(told, "waiting "+w.For)
					waits = append(waits, w)
					marked(w.Context())
				},
				Waited: func(w smtpretry.Wait) {
					marked(w.Context())
					told = append(told, "waited "+w.Host)
					begun := waits[len(waits)-1]
					if begun.Start.IsZero() || !begun.End.IsZero() || w.Start != begun.Start || w.Until != begun.Until || w.For != begun.For || w.End != time.Now() {
						t.Errorf("wait %+v ended as %+v", begun, w)
					}
				},
				Finished: func(f smtpretry.Finish) { told = append(told, "client"); last = f },
			}
		})
		send := func(d time.Duration, want string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			time.AfterFunc(d, cancel)
			m := note("a@example.net")
			m.Trace = own
			told = nil
			start := time.Now()
			res, err := c.Send(ctx, m)
			if got := strings.Join(told, ", "); got != want {
				t.Errorf("told\n%s, want\n%s", got, want)
			}
			for _, a := range res.Attempts {
				if a.Context() != context.Background() {
					t.Error("an attempt keeps its context")
				}
			}
			if last.Result != res || last.Err != err || last.Host != key || last.Start != start || last.End != time.Now() {
				t.Errorf("finished as %+v, returned %v, %v", last, res, err)
			}
		}
		send(time.Hour, "attempt "+key+", waiting retry, waited "+key+", waiting rate, waited "+key+
			", attempt "+key+", waiting retry, waited "+key+", attempt "+key+", message, client")
		send(time.Second, "waiting rate, waited "+key+", message, client") // cut off
		if d := waits[len(waits)-1]; last.End.Sub(d.Start) != time.Second {
			t.Errorf("the wait that was cut off began %v before the end", last.End.Sub(d.Start))
		}
		told = nil
		if _, err := c.Send(t.Context(), &smtpretry.Message{}); err == nil || told != nil {
			t.Errorf("a faulty message: %v, told %v", err, told)
		}
	})
}

// TestLogger: what happened is in the log, bodies and secrets are not, and the
// server cannot write lines or control sequences of its own into it.
func TestLogger(t *testing.T) {
	cfg := authServer("PLAIN")
	cfg.Script = testserver.Script{
		testserver.On(testserver.Auth, testserver.Reply("454 4.7.0 Try later")),
		testserver.On(testserver.Mail, testserver.Reply("451-4.3.0 one\n451 4.3.0 two \x1b[2J\x07\u009b31m three")),
		testserver.On(testserver.Dot, testserver.Reply("250-2.0.0 queued\n250 2.0.0 as \x1b]0;owned\x07")),
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No\x1b[2J")).To("b@"),
	}
	bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		var log bytes.Buffer
		l := &login{password: "right"}
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.Auth = l.auth
			// TextHandler quotes what could do harm; this one shows it.
			cfg.Logger = slog.New(&plainHandler{&log})
		})
		for _, to := range []string{"a@example.net", "b@example.net"} {
			_, err := c.Send(t.Context(), note(to))
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b\x07\u009b") {
				t.Errorf("the error holds control characters: %q", err)
			}
		}
		said := log.String()
		for _, want := range []string{"smtp attempt failed", "smtp wait", "smtp message sent", "smtp message not sent to all", "454", "Try later"} {
			if !strings.Contains(said, want) {
				t.Errorf("the log does not hold %q", want)
			}
		}
		secret := base64.StdEncoding.EncodeToString([]byte("\x00me\x00right"))
		for _, bad := range []string{"right", secret, "Hello there", "\x1b", "\x07", "\u009b"} {
			if strings.Contains(said, bad) {
				t.Errorf("the log holds %q", bad)
			}
		}
		for line := range strings.Lines(said) {
			if !strings.HasPrefix(line, "smtp ") {
				t.Errorf("a line of its own: %q", line)
			}
		}
	})
}

// plainHandler is a slog.Handler that writes as it comes.
type plainHandler struct{ w *bytes.Buffer }

func (h *plainHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *plainHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *plainHandler) WithGroup(string) slog.Handler            { return h }

func (h *plainHandler) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprint(h.w, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(h.w, " %s=%v", a.Key, a.Value)
		return true
	})
	fmt.Fprintln(h.w)
	return nil
}
