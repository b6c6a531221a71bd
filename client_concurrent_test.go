package smtpretry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestConcurrent: many goroutines on one Client, each message delivered
// exactly once, over no more connections than allowed.
func TestConcurrent(t *testing.T) {
	for _, conns := range []int{1, 5} {
		t.Run(fmt.Sprintf("%d connections", conns), func(t *testing.T) {
			bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
				srv.Network().SetDelay(5 * time.Millisecond)
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns = conns })
				start := time.Now()
				sendAll(t, c, 100)
				holds(t, srv, text, addresses(100)...)
				if st := srv.Stats(); st.MostOpen != conns || st.Conns != conns {
					t.Errorf("%d connections, %d at once, want %d", st.Conns, st.MostOpen, conns)
				}
				// Four round trips each, and the dialling.
				took(t, start, 0, time.Duration(100/conns)*40*time.Millisecond+100*time.Millisecond)
			})
		})
	}
}

// sendAll sends n messages at once, by Send and by SendMail.
func sendAll(t *testing.T, c *smtpretry.Client, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i, to := range addresses(n) {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = c.Send(t.Context(), note(to))
			} else {
				err = c.SendMail("me@example.org", []string{to}, strings.NewReader(text))
			}
			if err != nil {
				t.Errorf("%s: %v", to, err)
			}
		})
	}
	wg.Wait()
}

// TestConcurrentWithFaults: the same on a server where something goes wrong at
// every turn, short of the dot.
func TestConcurrentWithFaults(t *testing.T) {
	seed := rand.Uint64()
	for _, conns := range []int{1, 5} {
		t.Run(fmt.Sprintf("%d connections", conns), func(t *testing.T) {
			rnd, mu := rand.New(rand.NewPCG(seed, uint64(conns))), sync.Mutex{}
			hook := func(at testserver.At) *testserver.Action {
				mu.Lock()
				defer mu.Unlock()
				if rnd.IntN(8) != 0 {
					return nil
				}
				switch at.Stage {
				case testserver.Greeting, testserver.Hello, testserver.Mail, testserver.Rcpt, testserver.Data:
					return []*testserver.Action{
						testserver.Reply("421 4.3.2 Bye").ThenClose(),
						testserver.Reply("450 4.3.0 Not now"),
						testserver.Close(),
						testserver.Reset(),
						testserver.Stall(),
					}[rnd.IntN(5)]
				case testserver.Dot:
					return testserver.Reply("451 4.3.0 Not now")
				case testserver.Idle:
					return testserver.Close().After(time.Second)
				}
				return nil
			}
			bubble(t, testserver.Config{Hook: hook}, func(t *testing.T, srv *testserver.Server) {
				var open sockets
				c := client(t, srv, func(cfg *smtpretry.Config) {
					cfg.MaxConns, cfg.Policy.MaxElapsed = conns, 1000*time.Hour
					cfg.Dialer.NetDial = open.dial(srv)
				})
				c.CommandTimeout = 10 * time.Second
				sendAll(t, c, 100)
				holds(t, srv, text, addresses(100)...)
				if open.most > conns {
					t.Errorf("%d connections at once, want at most %d", open.most, conns)
				}
			})
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

// TestConcurrentCancel: senders that give up at any moment leave neither half a
// message nor a connection behind, and never stop the others.
func TestConcurrentCancel(t *testing.T) {
	seed := rand.Uint64()
	bubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		srv.Network().SetDelay(5 * time.Millisecond)
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.MaxConns = 3 })
		rnd := rand.New(rand.NewPCG(seed, 0))
		var wg sync.WaitGroup
		var mu sync.Mutex
		sure, doubt := map[string]bool{}, map[string]bool{}
		for i, to := range addresses(200) {
			patience := time.Duration(rnd.IntN(2000)) * time.Millisecond
			if i%2 == 0 {
				patience = time.Hour
			}
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(patience, cancel)
				start := time.Now()
				res, err := c.Send(ctx, note(to))
				if d := time.Since(start); d > patience {
					t.Errorf("%s: returned %v late", to, d-patience)
				}
				if err != nil && patience == time.Hour {
					t.Errorf("%s: %v", to, err)
				}
				mu.Lock()
				defer mu.Unlock()
				switch res.Recipients[0].State {
				case accepted:
					sure[to] = true
				case inDoubt:
					doubt[to] = true
				}
			})
		}
		wg.Wait()
		got := map[string]int{}
		for _, m := range srv.Messages() {
			for _, to := range m.Addrs() {
				got[to]++
				if string(m.Body) != text || got[to] > 1 || !sure[to] && !doubt[to] {
					t.Errorf("%s: %d times, %d octets, accepted %v, in doubt %v", to, got[to], len(m.Body), sure[to], doubt[to])
				}
			}
		}
		for to := range sure {
			if got[to] != 1 {
				t.Errorf("%s was accepted, and the server holds it %d times", to, got[to])
			}
		}
	})
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}

// TestConcurrentDial: clients of Config.Dial are kept and reused alike.
func TestConcurrentDial(t *testing.T) {
	bubble(t, testserver.Config{Limits: testserver.Limits{PerConn: 7}}, func(t *testing.T, srv *testserver.Server) {
		dial := countedDial(t, srv)
		c, err := smtpretry.New(smtpretry.Config{Host: "mx.example", MaxConns: 4, Dial: func(ctx context.Context) (*smtp.Client, error) {
			conn, err := dial(ctx, "tcp", srv.Addr())
			if err != nil {
				return nil, err
			}
			return smtp.NewClient(conn), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		sendAll(t, c, 100)
		holds(t, srv, text, addresses(100)...)
		if n := srv.Stats().MostOpen; n > 4 {
			t.Errorf("%d connections at once, want at most 4", n)
		}
	})
}
