//go:build linux

package realservers_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/smtpretry/smtpretry"
)

// TestRecipients: each recipient of one message gets what the server says to
// it, and nobody waits for another.
func TestRecipients(t *testing.T) {
	t.Parallel()
	s := postfix(t)
	to := []string{"rcpt-a@example.test", "perm1@example.test", "temp1@example.test", "full1@example.test", "blocked1@example.test", "rcpt-b@example.test"}
	c := client(t, s.Addr("postfix"), func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 2 })
	res := send(t, c, note(to...), smtpretry.ErrPartial, smtpretry.ErrRejected, smtpretry.ErrExhausted)
	wantStates(t, res, accepted, rejected, deferred, deferred, rejected, accepted)
	for i, want := range []string{"0 unknown", "550 bad-recipient", "450 bad-recipient", "452 mailbox-full", "554 unknown", "0 unknown"} {
		if v := res.Recipients[i].Verdict; fmt.Sprint(v.Code, " ", v.Cause) != want {
			t.Errorf("%s: the verdict is %v, want %s", to[i], v, want)
		}
	}
	if len(res.Attempts) != 2 {
		t.Fatalf("%d attempts, want 2", len(res.Attempts))
	}
	var again []string
	for _, r := range res.Attempts[1].Recipients {
		again = append(again, r.Address)
	}
	if want := to[2:4]; !slices.Equal(again, want) {
		t.Errorf("the second attempt was for %q, want %q", again, want)
	}
	tookOnce(t, s, postfixTook, []string{to[0], to[5]})
}

// TestRecipientClosesConnection: a 421 to one recipient ends the transaction
// for all, and takes nothing back that was said before it.
func TestRecipientClosesConnection(t *testing.T) {
	t.Parallel()
	s := postfix(t)
	to := []string{"closed-a@example.test", "perm2@example.test", "closing1@example.test", "closed-b@example.test"}
	c := client(t, s.Addr("postfix"), func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 2 })
	res := send(t, c, note(to...), smtpretry.ErrRejected, smtpretry.ErrExhausted)
	wantStates(t, res, deferred, rejected, deferred, deferred)
	if n := len(res.Attempts); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}

	// Without it they get the message, and get it once.
	res = send(t, c, note(to[0], to[3]))
	wantStates(t, res, accepted, accepted)
	tookOnce(t, s, postfixTook, []string{to[0], to[3]})
}

// TestTooManyErrors: a server that hangs up after some refusals keeps nobody
// from having their mail.
func TestTooManyErrors(t *testing.T) {
	t.Parallel()
	s := postfix(t)
	good, bad := names("errors-", 30), names("perm-errors-", 30)
	c := client(t, s.Addr("postfix-errors"), nil)
	res := send(t, c, note(slices.Concat(bad, good)...), smtpretry.ErrPartial, smtpretry.ErrRejected)
	wantStates(t, res, slices.Concat(slices.Repeat([]smtpretry.State{rejected}, 30), slices.Repeat([]smtpretry.State{accepted}, 30))...)
	if v := res.Attempts[0].Verdict; v.Code != 421 {
		t.Errorf("the server did not hang up: %v", v)
	}
	tookOnce(t, s, postfixTook, good)
}

// TestEximRecipients is TestRecipients for Exim, which gives no enhanced codes
// and defers one message after the dot.
func TestEximRecipients(t *testing.T) {
	t.Parallel()
	s := exim(t)
	to := []string{"exim-rcpt-a@example.test", "perm3@example.test", "temp3@example.test", "full3@example.test"}
	c := client(t, s.Addr("exim"), func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 2 })
	res := send(t, c, note(to...), smtpretry.ErrPartial, smtpretry.ErrRejected, smtpretry.ErrExhausted)
	wantStates(t, res, accepted, rejected, deferred, deferred)
	tookOnce(t, s, eximTook, to[:1])

	res = send(t, c, note("late@example.test"), smtpretry.ErrExhausted)
	wantStates(t, res, deferred)
	if v := res.Recipients[0].Verdict; v.Code != 451 || v.Stage != smtpretry.StageDot || v.InDoubt || len(res.Attempts) != 2 {
		t.Errorf("after the dot: %v, %d attempts", v, len(res.Attempts))
	}
}
