//go:build linux

package realservers_test

import (
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

// TestConnectionLimit: a client that may open more connections than the
// server takes meets its 421 and delivers everything.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	t.Run("Postfix", func(t *testing.T) {
		t.Parallel()
		s, seen := postfix(t), new(attempts)
		to := names("postfix-conn-", 60)
		c := client(t, s.Addr("postfix-conn"), func(cfg *smtpretry.Config) { cfg.MaxConns, cfg.Trace = 5, seen.trace() })
		sendEach(t, c, to, 10)
		if seen.met(replied(421, smtpretry.StageGreeting, smtpretry.CauseConnectionLimit)) == 0 {
			t.Errorf("no 421 was met:%s", seen.verdicts())
		}
		tookOnce(t, s, postfixTook, to)
	})
	t.Run("Exim", func(t *testing.T) {
		t.Parallel()
		s, seen := exim(t), new(attempts)
		to := names("exim-conn-", 60)
		c := client(t, s.Addr("exim-perhost"), func(cfg *smtpretry.Config) { cfg.MaxConns, cfg.Trace = 5, seen.trace() })
		sendEach(t, c, to, 10)
		if seen.met(replied(421, smtpretry.StageGreeting, smtpretry.CauseConnectionLimit)) == 0 {
			t.Errorf("no 421 was met:%s", seen.verdicts())
		}
		tookOnce(t, s, eximTook, to)
	})
}

// TestRates: limits per time are met, waited out, and nothing is lost.
func TestRates(t *testing.T) {
	t.Parallel()
	onePerConn := smtpretry.NewLimiter(smtpretry.Limit{PerConn: 1})
	for _, test := range []struct {
		listener string
		server   func(*testing.T) *realservers.Server
		limiter  *smtpretry.Limiter
		code     int
		at       smtpretry.Stage
		cause    smtpretry.Cause
	}{
		{"postfix-connrate", postfix, onePerConn, 421, smtpretry.StageGreeting, smtpretry.CauseConnectionLimit},
		{"postfix-msgrate", postfix, nil, 450, smtpretry.StageMail, smtpretry.CauseRateLimit},
		{"postfix-rcptrate", postfix, nil, 450, smtpretry.StageRcpt, smtpretry.CauseRateLimit},
		{"exim-ratelimit", exim, nil, 451, smtpretry.StageMail, smtpretry.CauseRateLimit},
	} {
		t.Run(test.listener, func(t *testing.T) {
			t.Parallel()
			s, seen := test.server(t), new(attempts)
			to := names(test.listener+"-", 20)
			c := client(t, s.Addr(test.listener), func(cfg *smtpretry.Config) {
				cfg.Limiter, cfg.Trace = test.limiter, seen.trace()
			})
			sendEach(t, c, to, 4)
			if seen.met(replied(test.code, test.at, test.cause)) == 0 {
				t.Errorf("no %d at %v for %v was met:%s", test.code, test.at, test.cause, seen.verdicts())
			}
			tookOnce(t, s, took(test.listener), to)
		})
	}
}

// TestRecipientRate: the recipients that were within the rate get the message
// at once, the others when the window is over.
func TestRecipientRate(t *testing.T) {
	t.Parallel()
	s := postfix(t)
	c := client(t, s.Addr("postfix-rcptrate"), nil)
	to := names("rcptrate-one-", 16)
	res := send(t, c, note(to...))
	if first := res.Attempts[0]; first.Verdict.Cause != smtpretry.CauseRateLimit || first.Recipients[0].State != accepted || first.Recipients[15].State != deferred {
		t.Errorf("the first attempt is %+v", first)
	}
	tookOnce(t, s, postfixTook, to)
}

// TestGreylist: the wait that the reply names is waited, no less.
func TestGreylist(t *testing.T) {
	t.Parallel()
	s := postfix(t)
	c := client(t, s.Addr("postfix-greylist"), nil)
	to := "grey@example.test"
	res := send(t, c, note(to))
	wantStates(t, res, accepted)
	if len(res.Attempts) != 2 {
		t.Fatalf("%d attempts, want 2: %+v", len(res.Attempts), res.Attempts)
	}
	first, second := res.Attempts[0], res.Attempts[1]
	if v := first.Verdict; v.Cause != smtpretry.CauseGreylist || v.RetryAfter != realservers.GreyDelay {
		t.Errorf("the verdict is %v, a wait of %v; want greylist, %v", v, v.RetryAfter, realservers.GreyDelay)
	}
	if waited := second.Start.Sub(first.End); waited < realservers.GreyDelay {
		t.Errorf("it came again after %v", waited)
	}
	tookOnce(t, s, postfixTook, []string{to})
}

// TestTooManyRecipients: what is beyond the server's number goes at once, in
// further transactions.
func TestTooManyRecipients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listener string
		server   func(*testing.T) *realservers.Server
	}{
		{"postfix", postfix},
		{"exim", exim},
		{"opensmtpd", openSMTPD},
	} {
		t.Run(test.listener, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			// Any wait would be longer than the test.
			c := client(t, s.Addr(test.listener), func(cfg *smtpretry.Config) {
				cfg.Policy.Backoff = smtpretry.Backoff{Initial: time.Hour, Max: time.Hour}
			})
			to := names(test.listener+"-many-", 25)
			res := send(t, c, note(to...))
			if len(res.Attempts) != 3 {
				t.Errorf("%d transactions, want 3: %+v", len(res.Attempts), res.Attempts)
			}
			tookOnce(t, s, took(test.listener), to)
		})
	}
}

// TestMessagesPerConnection: a server that takes some messages on one
// connection, and says so at MAIL, gets the others on the next.
func TestMessagesPerConnection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listener  string
		server    func(*testing.T) *realservers.Server
		code, per int
	}{
		{"exim", exim, 421, 10}, // and leaves the connection open
		{"opensmtpd", openSMTPD, 452, 5},
	} {
		t.Run(test.listener, func(t *testing.T) {
			t.Parallel()
			s, seen := test.server(t), new(attempts)
			c := client(t, s.Addr(test.listener), func(cfg *smtpretry.Config) { cfg.Trace = seen.trace() })
			to := names(test.listener+"-session-", 2*test.per+2)
			sendEach(t, c, to, 1)
			n := seen.met(func(v smtpretry.Verdict) bool { return v.Code == test.code && v.Stage == smtpretry.StageMail })
			if n != 1 { // and the number is known from then on
				t.Errorf("%d refusals with %d at MAIL, want 1:%s", n, test.code, seen.verdicts())
			}
			for _, a := range seen.list {
				if a.Charged && a.Err != nil {
					t.Errorf("an attempt was charged that another connection cures: %v", a.Verdict)
				}
			}
			tookOnce(t, s, took(test.listener), to)
		})
	}
}
