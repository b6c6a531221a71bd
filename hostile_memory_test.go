//go:build !race

package smtpretry_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A gauge measures the memory that is in use while a reply is read.
type gauge struct {
	before, most int64
	total        uint64
}

func newGauge() *gauge {
	g := &gauge{before: int64(heap())}
	g.total = totalAlloc()
	return g
}

func totalAlloc() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func (g *gauge) look() { g.most = max(g.most, int64(heap())-g.before) }

// check wants at most 1 MiB in use at any time, the network's buffers and all
// included, and few in all.
func (g *gauge) check(t *testing.T, what string) {
	t.Helper()
	g.look()
	total := totalAlloc() - g.total
	t.Logf("%s: %d KiB in use at most, %d KiB in all", what, g.most>>10, total>>10)
	if g.most > 1<<20 {
		t.Errorf("%s: %d octets are in use", what, g.most)
	}
	if total > 4<<20 {
		t.Errorf("%s: %d octets were taken in all", what, total)
	}
}

// TestMemoryOfFloods: a reply that does not end costs at most 1 MiB.
func TestMemoryOfFloods(t *testing.T) {
	for _, flooded := range floods {
		for _, way := range []string{"Send", "LMTP", "by hand", "wrapped"} {
			synctest.Test(t, func(t *testing.T) {
				g := newGauge()
				verb := flooded.verb
				if way == "LMTP" && verb == "EHLO" {
					verb = "LHLO"
				}
				serve := flood(verb, flooded.line, func(int) { g.look() })
				var c *smtpretry.Client
				if way == "wrapped" {
					c = wrappedHostile(t, serve)
				} else {
					c = hostileClient(t, serve, func(cfg *smtpretry.Config) {
						with(mechanisms["PLAIN"]())(cfg)
						cfg.Dialer.LMTP = way == "LMTP"
					})
				}
				var res *smtpretry.Result
				if way == "by hand" {
					_ = byHand(c, "a@example.net")
				} else {
					res, _ = c.Send(t.Context(), note("a@example.net", "b@example.net"))
				}
				g.check(t, flooded.name+", "+way)
				runtime.KeepAlive(res)
				runtime.KeepAlive(c)
			})
		}
	}
}

// TestMemoryOfFloodsInTLS likewise.
func TestMemoryOfFloodsInTLS(t *testing.T) {
	for _, stage := range []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.Mail, testserver.Dot} {
		for _, rest := range []string{"x", strings.Repeat("x", 1900)} {
			code := "250-"
			if stage == testserver.Greeting {
				code = "220-"
			}
			endless := testserver.On(stage, testserver.Endless(code+rest))
			for mode, kind := range map[smtpretry.TLSMode]testserver.TLSMode{
				smtpretry.TLSStartTLS: testserver.StartTLS, smtpretry.TLSImplicit: testserver.ImplicitTLS} {
				bubble(t, testserver.Config{TLS: kind, Script: testserver.Script{endless}}, func(t *testing.T, srv *testserver.Server) {
					g := newGauge()
					c := client(t, srv, func(cfg *smtpretry.Config) {
						cfg.Dialer.TLS, cfg.Policy.MaxAttempts = mode, 1
						dial := cfg.Dialer.NetDial
						cfg.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
							conn, err := dial(ctx, network, addr)
							return &looking{Conn: conn, g: g}, err
						}
					})
					res, err := c.Send(t.Context(), note("a@example.net"))
					if err == nil || res.Recipients[0].Verdict.Rule != "reply-too-long" {
						t.Errorf("%s: got %v", stage, err)
					}
					g.check(t, string(stage)+" in TLS, "+mode.String())
				})
			}
		}
	}
}

// looking is a connection that looks at the gauge now and then.
type looking struct {
	net.Conn
	g *gauge
	n int
}

func (l *looking) Read(p []byte) (int, error) {
	if l.n++; l.n%8 == 0 {
		l.g.look()
	}
	return l.Conn.Read(p)
}
