package testserver_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// wantRefused checks the counters of one limit.
func wantRefused(t *testing.T, srv *testserver.Server, by testserver.Limit, refused, violations int) {
	t.Helper()
	if st := srv.Stats(); st.Refused[by] != refused || st.Violations != violations {
		t.Errorf("stats %+v, want %d refused by %s, %d violations", st, refused, by, violations)
	}
}

func TestRateLimit(t *testing.T) {
	cfg := testserver.Config{Limits: testserver.Limits{Rate: testserver.Rate{N: 2, Burst: 3}}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		for range 3 {
			if err := send(c, friend); err != nil {
				t.Fatal(err)
			}
		}
		wantReply(t, send(c, friend), 450, "too much mail from 127.0.0.1")
		time.Sleep(500*time.Millisecond - 1)
		wantReply(t, send(c, friend), 450, "too much mail")
		time.Sleep(time.Nanosecond)
		if err := send(c, friend); err != nil {
			t.Error(err)
		}
		wantReply(t, send(c, friend), 450, "too much mail")
		wantRefused(t, srv, testserver.ByRate, 3, 3)
		srv.SetLimits(testserver.Limits{})
		if err := send(c, friend); err != nil {
			t.Errorf("without limits: %v", err)
		}
	})
}

// TestRateIsStrictAndExact lets mail arrive at random and compares with a
// bucket counted in another way: by simulation in small steps of refill.
func TestRateIsStrictAndExact(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	n, burst := 1+r.IntN(50), 1+r.IntN(10)
	cfg := testserver.Config{Limits: testserver.Limits{Rate: testserver.Rate{N: n, Per: time.Duration(n) * 20 * time.Millisecond, Burst: burst}}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		tokens, spent := float64(burst), 0
		last := time.Now()
		for i := range 500 {
			time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
			tokens = min(float64(burst), tokens+float64(time.Since(last))/float64(20*time.Millisecond))
			last = time.Now()
			err := c.Mail(sender, nil)
			if (err == nil) != (tokens >= 1-1e-9) {
				t.Fatalf("seed %d, message %d: %v with %.3f tokens", seed, i, err, tokens)
			}
			if err == nil {
				tokens--
				spent++
				c.Reset()
			}
		}
		if spent == 0 || spent == 500 {
			t.Errorf("seed %d: the limit was never met: %d accepted", seed, spent)
		}
	})
}

func TestRecipientLimits(t *testing.T) {
	cfg := testserver.Config{Limits: testserver.Limits{
		PerMessage: 3, Domains: 2, Recipients: testserver.Rate{N: 1, Per: time.Minute, Burst: 4},
	}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := c.Mail(sender, nil); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Rcpt("a@one.example", nil), c.Rcpt("a@two.example", nil)); err != nil {
			t.Fatal(err)
		}
		wantReply(t, c.Rcpt("a@three.example", nil), 452, "too many recipient domains")
		if err := c.Rcpt("b@ONE.example", nil); err != nil {
			t.Fatal(err)
		}
		wantReply(t, c.Rcpt("b@two.example", nil), 452, "too many recipients")
		w, err := c.Data()
		if err != nil {
			t.Fatalf("DATA after too many recipients: %v", err)
		}
		// The domains count for the whole connection.
		if err := errors.Join(w.Close(), c.Mail(sender, nil)); err != nil {
			t.Fatal(err)
		}
		wantReply(t, c.Rcpt("a@three.example", nil), 452, "too many recipient domains")

		c = dial(t, srv)
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		wantReply(t, send(c, friend), 450, "too many recipients from")
		c.Reset()
		time.Sleep(time.Minute)
		if err := send(c, friend); err != nil {
			t.Error(err)
		}
		wantRefused(t, srv, testserver.ByPerMessage, 1, 1)
		wantRefused(t, srv, testserver.ByDomains, 2, 1)
		wantRefused(t, srv, testserver.ByRecipients, 1, 1)
	})
}

func TestConnectionLimits(t *testing.T) {
	inBubble(t, testserver.Config{Limits: testserver.Limits{MaxConns: 2}}, func(t *testing.T, srv *testserver.Server) {
		one, two := dial(t, srv), dial(t, srv)
		if err := errors.Join(send(one, friend), send(two, friend)); err != nil {
			t.Fatal(err)
		}
		wantReply(t, send(dial(t, srv), friend), 421, "too many connections")
		for range 3 { // whoever says goodbye has freed the slot
			one.Quit()
			one = dial(t, srv)
			if err := send(one, friend); err != nil {
				t.Error(err)
			}
		}
		for range 3 { // whoever just hangs up, too
			one.Close()
			one = dial(t, srv)
			if err := send(one, friend); err != nil {
				t.Error(err)
			}
		}
		wantRefused(t, srv, testserver.ByMaxConns, 1, 1)
		if st := srv.Stats(); st.MostOpen != 2 || st.Conns != 9 {
			t.Errorf("stats %+v", st)
		}
	})
	inBubble(t, testserver.Config{Limits: testserver.Limits{NewConns: testserver.Rate{N: 1, Per: 10 * time.Second, Burst: 2}}}, func(t *testing.T, srv *testserver.Server) {
		for i, want := range []bool{true, true, false, false, true, false} {
			if i == 4 {
				time.Sleep(10 * time.Second)
			}
			err := send(dial(t, srv), friend)
			if (err == nil) != want {
				t.Errorf("connection %d: %v", i+1, err)
			}
		}
		wantRefused(t, srv, testserver.ByNewConns, 3, 3)
	})
}

func TestPerConnection(t *testing.T) {
	limits := testserver.Limits{PerConn: 2}
	inBubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := errors.Join(send(c, friend), send(c, friend)); err != nil {
			t.Fatal(err)
		}
		wantReply(t, send(c, friend), 421, "too many messages in this connection")
		if err := send(c, friend); err == nil {
			t.Error("the connection is still there")
		}
		if err := send(dial(t, srv), friend); err != nil {
			t.Error(err)
		}
		wantRefused(t, srv, testserver.ByPerConn, 1, 1)
	})
	// A reply of one's own need not close.
	limits.Replies = map[testserver.Limit]*testserver.Action{testserver.ByPerConn: testserver.Reply("452 4.5.3 enough from {from} at {ip}, {host}")}
	inBubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := errors.Join(send(c, friend), send(c, friend)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantReply(t, send(c, friend), 452, "enough from a@example.org at 127.0.0.1, mx.example.test")
		}
	})
}

func TestQuota(t *testing.T) {
	cfg := testserver.Config{Limits: testserver.Limits{Quota: testserver.Quota{N: 2}}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		ok := func(want bool) {
			t.Helper()
			if err := send(dial(t, srv), friend); (err == nil) != want {
				t.Error(err)
			}
		}
		ok(true)
		time.Sleep(10 * time.Hour)
		ok(true)
		wantReply(t, send(dial(t, srv), friend), 451, "try again in 50400 seconds") // 14 hours
		time.Sleep(14*time.Hour - 1)
		ok(false)
		time.Sleep(time.Nanosecond)
		ok(true)
		ok(false)
		wantRefused(t, srv, testserver.ByQuota, 3, 3)
	})
}

func TestGreylist(t *testing.T) {
	cfg := testserver.Config{Limits: testserver.Limits{Greylist: 5 * time.Minute}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		wantReply(t, send(c, friend), 450, "<b@example.net>: Recipient address rejected: Greylisted, try again in 300 seconds")
		c.Reset()
		time.Sleep(100*time.Second + time.Millisecond)
		wantReply(t, send(c, friend), 450, "try again in 200 seconds")
		c.Reset()
		wantReply(t, send(c, "other@example.net"), 450, "try again in 300 seconds")
		c.Reset()
		time.Sleep(200 * time.Second)
		for range 2 {
			if err := send(c, friend); err != nil {
				t.Error(err)
			}
		}
		wantRefused(t, srv, testserver.ByGreylist, 3, 0)
	})
}

func TestBox(t *testing.T) {
	limits := testserver.Limits{
		Rate: testserver.Rate{N: 1, Per: time.Minute},
		Box:  testserver.Box{After: 3, Within: 10 * time.Second, For: time.Hour},
	}
	inBubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		for range 6 { // never three within ten seconds
			wantReply(t, send(c, friend), 450, "too much mail")
			time.Sleep(5 * time.Second)
		}
		time.Sleep(time.Minute)
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			wantReply(t, send(c, friend), 450, "too much mail")
		}
		boxed := time.Now()
		wantReply(t, send(c, friend), 421, "too many violations")
		wantReply(t, send(dial(t, srv), friend), 421, "too many violations")
		time.Sleep(time.Until(boxed.Add(time.Hour)) - 1)
		wantReply(t, send(dial(t, srv), friend), 421, "too many violations")
		time.Sleep(time.Nanosecond)
		if err := send(dial(t, srv), friend); err != nil {
			t.Errorf("after the box: %v", err)
		}
		wantRefused(t, srv, testserver.ByBox, 3, 9)
		if st := srv.Stats(); st.Boxes != 1 {
			t.Errorf("stats %+v", st)
		}
	})
	limits.Box.Extends = true
	limits.Replies = map[testserver.Limit]*testserver.Action{testserver.ByBox: testserver.Reply("450 4.7.1 not before {wait} seconds")}
	inBubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			wantReply(t, send(c, friend), 450, "too much mail")
		}
		c.Quit()
		for range 3 { // with a 450 it may connect; each try costs another hour
			wantReply(t, send(dial(t, srv), friend), 450, "not before 3600 seconds")
			time.Sleep(time.Hour - time.Minute)
		}
		time.Sleep(time.Minute)
		if err := send(dial(t, srv), friend); err != nil {
			t.Errorf("after the box: %v", err)
		}
	})
}

// TestRepliesWithoutEnhancedCodes has the limits speak as Exim does.
func TestRepliesWithoutEnhancedCodes(t *testing.T) {
	cfg := testserver.Config{Without: []string{"ENHANCEDSTATUSCODES"}, Limits: testserver.Limits{Rate: testserver.Rate{N: 1, Per: time.Hour}}}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		if err := send(c, friend); err != nil {
			t.Fatal(err)
		}
		wantReply(t, send(c, friend), 450, "Error: too much mail")
		if text := srv.Transcript(); strings.Contains(text, "4.7.1") || strings.Contains(text, "2.1.5") {
			t.Errorf("enhanced codes in\n%s", text)
		}
	})
}
