package smtpretry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

var overloaded = smtpretry.Verdict{Class: smtpretry.Temporary, Cause: smtpretry.CauseOverload, Scope: smtpretry.ScopeHost, Stage: smtpretry.StageMail,
	Code: 421, Enhanced: smtp.EnhancedCode{4, 3, 2}, Text: "Busy", Rule: "test"}

// pauseAfter tells p of verdicts and returns how long the host then pauses.
func pauseAfter(t *testing.T, p *smtpretry.Pool, verdicts ...smtpretry.Verdict) time.Duration {
	t.Helper()
	for _, v := range verdicts {
		p.Observe(v)
	}
	begin := time.Now()
	g, err := p.Acquire(t.Context(), begin, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Release(nil)
	return time.Since(begin)
}

func TestCoolDown(t *testing.T) {
	with := func(change func(v *smtpretry.Verdict)) smtpretry.Verdict {
		v := overloaded
		change(&v)
		return v
	}
	for _, c := range []struct {
		name string
		v    smtpretry.Verdict
		want time.Duration
	}{
		{"success", smtpretry.Verdict{}, 0},
		{"overload", overloaded, time.Second},
		{"a hint", with(func(v *smtpretry.Verdict) { v.RetryAfter = 5 * time.Minute }), 5 * time.Minute},
		{"the connection", with(func(v *smtpretry.Verdict) { v.Scope = smtpretry.ScopeConnection }), time.Second},
		{"the account", with(func(v *smtpretry.Verdict) { v.Scope, v.Cause = smtpretry.ScopeAccount, smtpretry.CauseAuth }), time.Second},
		{"a rate limit with a hint", with(func(v *smtpretry.Verdict) { v.Cause, v.RetryAfter = smtpretry.CauseRateLimit, time.Minute }), time.Minute},
		{"a quota", with(func(v *smtpretry.Verdict) { v.Cause, v.RetryAfter = smtpretry.CauseRateLimit, 20*time.Hour }), 21 * time.Hour},
		{"reputation", with(func(v *smtpretry.Verdict) { v.Cause = smtpretry.CauseReputation }), 5 * time.Minute},
		{"too many connections, none open", with(func(v *smtpretry.Verdict) { v.Cause, v.Stage = smtpretry.CauseConnectionLimit, smtpretry.StageGreeting }), time.Second},
		{"one message too many, the first on its connection", with(func(v *smtpretry.Verdict) { v.Cause = smtpretry.CauseConnectionLimit }), time.Second},
		{"dial", with(func(v *smtpretry.Verdict) { v.Cause, v.Stage = smtpretry.CauseNetwork, smtpretry.StageDial }), time.Second},
		{"a broken link later", with(func(v *smtpretry.Verdict) { v.Cause, v.Stage = smtpretry.CauseNetwork, smtpretry.StageBody }), 0},
		{"greylisting", with(func(v *smtpretry.Verdict) { v.Cause = smtpretry.CauseGreylist }), 0},
		{"one recipient's rate", with(func(v *smtpretry.Verdict) { v.Cause, v.Scope = smtpretry.CauseRateLimit, smtpretry.ScopeRecipient }), 0},
		{"permanent", with(func(v *smtpretry.Verdict) { v.Class = smtpretry.Permanent }), 0},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			l := told(smtpretry.Limit{})
			if got := pauseAfter(t, l.Join(host, 1), c.v); got != c.want {
				t.Errorf("paused %v, want %v", got, c.want)
			}
			if got := pauseAfter(t, l.Join("other.example", 1)); got != 0 {
				t.Errorf("another host paused %v", got)
			}
		})
	}
	for _, c := range []struct {
		name        string
		v           smtpretry.Verdict
		first, most time.Duration
	}{
		{"overload", overloaded, time.Second, time.Hour},
		{"nobody answers", with(func(v *smtpretry.Verdict) { v.Cause, v.Stage, v.Code = smtpretry.CauseNetwork, smtpretry.StageDial, 0 }), time.Second, 5 * time.Minute},
		{"reputation", with(func(v *smtpretry.Verdict) { v.Cause = smtpretry.CauseReputation }), 5 * time.Minute, 4 * time.Hour},
	} {
		inBubble(t, "longer each time: "+c.name, func(t *testing.T) {
			p := told(smtpretry.Limit{}).Join(host, 1)
			for i := range 16 {
				want := min(c.first<<i, c.most)
				// While the host pauses, more of the same adds nothing.
				if got := pauseAfter(t, p, c.v, c.v, c.v); got != want {
					t.Errorf("pause %d takes %v, want %v", i+1, got, want)
				}
			}
			p.Observe(smtpretry.Verdict{})
			if got := pauseAfter(t, p, c.v); got != c.first {
				t.Errorf("after a success: paused %v, want %v", got, c.first)
			}
		})
	}
	inBubble(t, "a rate limit: for some seconds, and for all", func(t *testing.T) {
		p := told(smtpretry.Limit{}).Join(host, 1)
		v := with(func(v *smtpretry.Verdict) { v.Cause = smtpretry.CauseRateLimit })
		if got := pauseAfter(t, p, v, v, v); got < 2*time.Second || got > 8*time.Second {
			t.Errorf("paused %v, want 2 to 8 s", got)
		}
	})
	inBubble(t, "for all, and never shortened", func(t *testing.T) {
		l := told(smtpretry.Limit{})
		p, other := l.Join(host, 1), l.Join(host, 1)
		hint := overloaded
		hint.RetryAfter = time.Minute
		p.Observe(hint)
		p.Observe(smtpretry.Verdict{})
		time.Sleep(30 * time.Second)
		other.Observe(overloaded)
		if got := pauseAfter(t, other); got != 30*time.Second {
			t.Errorf("the rest of the pause takes %v, want 30s", got)
		}
	})
	inBubble(t, "one connection too many does not stop the others", func(t *testing.T) {
		p := told(smtpretry.Limit{}).Join(host, 2)
		deliver(t, p, &fakeConn{})
		tooMany := overloaded
		tooMany.Cause, tooMany.Scope, tooMany.Stage = smtpretry.CauseConnectionLimit, smtpretry.ScopeConnection, smtpretry.StageGreeting
		if got := pauseAfter(t, p, tooMany); got != 0 {
			t.Errorf("paused %v with a connection that works", got)
		}
	})
	inBubble(t, "those who cannot wait that long are told", func(t *testing.T) {
		l := told(smtpretry.Limit{Rate: 1})
		p := l.Join(host, 1)
		deliver(t, p, &fakeConn{})
		hint := overloaded
		hint.RetryAfter = time.Minute
		time.AfterFunc(time.Second/2, func() { p.Observe(hint) })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := p.Acquire(ctx, begin, 1, nil)
		var late *smtpretry.LimitError
		if !errors.As(err, &late) || late.For != "cool-down" || time.Since(begin) != time.Second/2 {
			t.Errorf("got %v after %v, want a LimitError for the cool-down at once", err, time.Since(begin))
		}
	})
}
