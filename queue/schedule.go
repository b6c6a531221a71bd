package queue

import (
	"time"

	"github.com/smtpretry/smtpretry"
)

// again says when a recipient is tried again after its attempt of the given
// number, or that it is given up. It is pure: chance, in [0,1), picks the point
// in the ranges of jitter. The rules are those of smtpretry's own loop, for waits
// that a process need not outlive.
func again(p *smtpretry.Policy, tries int, v smtpretry.Verdict, now, until time.Time, chance float64) (at time.Time, ok bool) {
	switch {
	case v.InDoubt && !p.RetryInDoubt:
		return time.Time{}, false
	case p.MaxAttempts > 0 && tries >= p.MaxAttempts:
		return time.Time{}, false
	case !now.Before(until):
		return time.Time{}, false
	}
	wait := spread(p.Backoff, tries, chance)
	// The server's own word for the wait is a floor; those who were told the
	// same do not all come back at the same moment.
	hint := v.RetryAfter + time.Duration(chance*float64(v.RetryAfter)/10)
	wait = max(wait, hint)
	at = now.Add(wait)
	switch {
	case now.Add(v.RetryAfter).After(until):
		return time.Time{}, false
	case until.Sub(at) < wait/2:
		// No room for another one after it: this is the last, and the last is
		// made at the very end.
		at = until
	}
	return at, true
}

// spread is the wait after the nth attempt with its jitter.
func spread(b smtpretry.Backoff, n int, chance float64) time.Duration {
	j := b.Jitter
	switch {
	case j == 0:
		j = 0.5 // the default of smtpretry.Backoff
	case j < 0:
		j = 0
	}
	return time.Duration(float64(b.Delay(n)) * (1 - j + 2*j*chance))
}

// isRefusal says whether a verdict is about the account, the certificate or the
// host, and final: it says nothing about recipients, who stay open.
func isRefusal(v smtpretry.Verdict) bool {
	return v.Class == smtpretry.Permanent && v.Stage != smtpretry.StageUnknown && v.Stage < smtpretry.StageMail
}
