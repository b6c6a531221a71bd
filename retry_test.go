package smtpretry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestBackoffDelay(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, tt := range []struct {
		name string
		b    smtpretry.Backoff
		want []time.Duration
	}{
		{"zero", smtpretry.Backoff{}, []time.Duration{5 * s, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 5 * m, 5 * m}},
		{"own", smtpretry.Backoff{Initial: s, Max: 10 * s, Multiplier: 3}, []time.Duration{s, 3 * s, 9 * s, 10 * s, 10 * s}},
		{"constant", smtpretry.Backoff{Initial: 2 * s, Multiplier: 1}, []time.Duration{2 * s, 2 * s, 2 * s}},
		{"first above the default cap", smtpretry.Backoff{Initial: 10 * m}, []time.Duration{10 * m, 10 * m}},
		{"cap below the default first", smtpretry.Backoff{Max: s}, []time.Duration{s, s}},
	} {
		for i, want := range tt.want {
			if got := tt.b.Delay(i + 1); got != want {
				t.Errorf("%s: Delay(%d) = %v, want %v", tt.name, i+1, got, want)
			}
		}
		if got, want := tt.b.Delay(1_000_000_000), tt.want[len(tt.want)-1]; got != want {
			t.Errorf("%s: Delay(1e9) = %v, want %v", tt.name, got, want)
		}
	}
}

func TestBackoffJitter(t *testing.T) {
	for _, tt := range []struct {
		jitter    float64
		low, high time.Duration // of a wait of 100 s
	}{
		{0, 50 * time.Second, 150 * time.Second},
		{0.2, 80 * time.Second, 120 * time.Second},
		{1, 0, 200 * time.Second},
		{-1, 100 * time.Second, 100 * time.Second},
	} {
		b := smtpretry.Backoff{Jitter: tt.jitter}
		if got := b.Spread(100*time.Second, 0); got != tt.low {
			t.Errorf("jitter %v at chance 0: %v, want %v", tt.jitter, got, tt.low)
		}
		if got := b.Spread(100*time.Second, 0.5); got != 100*time.Second {
			t.Errorf("jitter %v at chance 0.5: %v, want 1m40s", tt.jitter, got)
		}
		if got := b.Spread(100*time.Second, 1); got != tt.high {
			t.Errorf("jitter %v at chance 1: %v, want %v", tt.jitter, got, tt.high)
		}
	}
}

func TestDecide(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := start.Add(time.Minute)
	temporary := smtpretry.Verdict{Class: smtpretry.Temporary, Stage: smtpretry.StageRcpt, Rule: "x"}
	with := func(change func(*smtpretry.Verdict)) smtpretry.Verdict {
		v := temporary
		change(&v)
		return v
	}
	told := func(d time.Duration) smtpretry.Verdict {
		return with(func(v *smtpretry.Verdict) { v.RetryAfter = d })
	}
	permanent := func(at smtpretry.Stage) smtpretry.Verdict {
		return with(func(v *smtpretry.Verdict) { v.Class, v.Stage = smtpretry.Permanent, at })
	}
	doubt := with(func(v *smtpretry.Verdict) { v.InDoubt, v.Stage = true, smtpretry.StageDot })
	end := start.Add(15 * time.Minute)

	for _, tt := range []struct {
		name   string
		p      smtpretry.Policy
		h      smtpretry.History
		now    time.Time
		again  time.Duration // after now
		atEnd  bool          // at the very end instead
		reason error
	}{
		{name: "temporary: waits", h: smtpretry.History{Wait: 10 * time.Second, Verdict: temporary}, again: 10 * time.Second},
		{name: "unknown: like temporary", h: smtpretry.History{Wait: 10 * time.Second, Verdict: smtpretry.Verdict{Rule: "x", Stage: smtpretry.StageMail}}, again: 10 * time.Second},
		{name: "a hint raises the wait", h: smtpretry.History{Wait: 10 * time.Second, Verdict: told(time.Minute)}, again: time.Minute},
		{name: "a hint is spread upwards", h: smtpretry.History{Wait: time.Second, Chance: 0.5, Verdict: told(100 * time.Second)}, again: 105 * time.Second},
		{name: "a hint does not lower it", h: smtpretry.History{Wait: time.Minute, Verdict: told(10 * time.Second)}, again: time.Minute},
		{name: "rejected", h: smtpretry.History{Verdict: permanent(smtpretry.StageRcpt)}, reason: smtpretry.ErrRejected},
		{name: "refused at AUTH: says nothing of the recipient", h: smtpretry.History{Verdict: permanent(smtpretry.StageAuth)}, reason: smtpretry.ErrRefused},
		{name: "refused at dialling", h: smtpretry.History{Verdict: permanent(smtpretry.StageDial)}, reason: smtpretry.ErrRefused},
		{name: "in doubt: not again", h: smtpretry.History{Wait: time.Second, Verdict: doubt}, reason: smtpretry.ErrInDoubt},
		{name: "in doubt, allowed", p: smtpretry.Policy{RetryInDoubt: true}, h: smtpretry.History{Wait: time.Second, Verdict: doubt}, again: time.Second},
		{name: "free: at once, even with all attempts used", p: smtpretry.Policy{MaxAttempts: 1}, h: smtpretry.History{Attempts: 1, Free: true, Wait: time.Hour, Verdict: temporary}},
		{name: "free but permanent", h: smtpretry.History{Free: true, Verdict: permanent(smtpretry.StageMail)}, reason: smtpretry.ErrRejected},
		{name: "attempts used up", p: smtpretry.Policy{MaxAttempts: 3}, h: smtpretry.History{Attempts: 3, Wait: time.Second, Verdict: temporary}, reason: smtpretry.ErrExhausted},
		{name: "one attempt left", p: smtpretry.Policy{MaxAttempts: 3}, h: smtpretry.History{Attempts: 2, Wait: time.Second, Verdict: temporary}, again: time.Second},
		{name: "backoff.Stop", h: smtpretry.History{Wait: backoff.Stop, Verdict: temporary}, reason: smtpretry.ErrExhausted},
		{name: "past the end: the last is at the end", h: smtpretry.History{Wait: time.Hour, Verdict: temporary}, atEnd: true},
		{name: "no room for another after it: the end", h: smtpretry.History{Wait: 13 * time.Minute, Verdict: temporary}, atEnd: true},
		{name: "room for another after it", h: smtpretry.History{Wait: 7 * time.Minute, Verdict: temporary}, again: 7 * time.Minute},
		{name: "at the end: over", h: smtpretry.History{Wait: time.Second, Verdict: temporary}, now: end, reason: smtpretry.ErrExhausted},
		{name: "the hint is past the end", h: smtpretry.History{Wait: time.Second, Verdict: told(time.Hour)}, reason: smtpretry.ErrExhausted},
		{name: "the hint's spread is past the end", h: smtpretry.History{Wait: time.Second, Chance: 0.9, Verdict: told(13*time.Minute + 50*time.Second)}, atEnd: true},
		{name: "no time limit", p: smtpretry.Policy{MaxElapsed: -1}, h: smtpretry.History{Wait: 100 * time.Hour, Verdict: temporary}, again: 100 * time.Hour},
		{name: "past the deadline", h: smtpretry.History{Wait: time.Minute, Deadline: now.Add(59 * time.Second), Verdict: temporary}, reason: context.DeadlineExceeded},
		{name: "at the deadline", h: smtpretry.History{Wait: time.Minute, Deadline: now.Add(time.Minute), Verdict: temporary}, reason: context.DeadlineExceeded},
		{name: "before the deadline", h: smtpretry.History{Wait: time.Minute, Deadline: now.Add(61 * time.Second), Verdict: temporary}, again: time.Minute},
	} {
		tt.h.Start = start
		if tt.now.IsZero() {
			tt.now = now
		}
		want := tt.now.Add(tt.again)
		if tt.atEnd {
			want = end
		}
		again, stop := smtpretry.Decide(tt.p, tt.h, tt.now)
		switch {
		case tt.reason != nil:
			if !errors.Is(stop, tt.reason) {
				t.Errorf("%s: stop %v, want %v", tt.name, stop, tt.reason)
			}
		case stop != nil || !again.Equal(want):
			t.Errorf("%s: again %v, stop %v; want again %v", tt.name, again.Sub(start), stop, want.Sub(start))
		}
	}
}

// TestEarly holds which waits end when the host works again, and from when on.
func TestTries(t *testing.T) {
	const s, m = time.Second, time.Minute
	busy := smtpretry.Verdict{Class: smtpretry.Temporary, Rule: "busy"}
	named := smtpretry.Verdict{Class: smtpretry.Temporary, Rule: "greylist", RetryAfter: 5 * m}
	for _, tt := range []struct {
		name string
		p    smtpretry.Policy
		v    smtpretry.Verdict
		want []time.Duration // the first of them, if there are more
	}{
		{"interactive", smtpretry.InteractivePolicy(), busy, []time.Duration{0, s, 3 * s, 7 * s, 15 * s, 25 * s, 30 * s}},
		{"so many", smtpretry.Policy{MaxAttempts: 3}, busy, []time.Duration{0, 5 * s, 15 * s}},
		{"the reply names the wait", smtpretry.Policy{}, named, []time.Duration{0, 5 * m, 10 * m, 15 * m}},
		{"which is too long", smtpretry.InteractivePolicy(), named, []time.Duration{0}},
		{"refused for good", smtpretry.Policy{}, smtpretry.Verdict{Class: smtpretry.Permanent, Rule: "no"}, []time.Duration{0}},
		{"accepted", smtpretry.Policy{}, smtpretry.Verdict{}, []time.Duration{0}},
		{"own", smtpretry.Policy{NewBackOff: func() backoff.BackOff {
			return backoff.WithMaxRetries(backoff.NewConstantBackOff(s), 2)
		}}, busy, []time.Duration{0, s, 2 * s}},
		{"without end", smtpretry.Policy{MaxElapsed: -1, Backoff: smtpretry.Backoff{Initial: s, Multiplier: 1}}, busy,
			[]time.Duration{0, s, 2 * s, 3 * s, 4 * s, 5 * s, 6 * s, 7 * s, 8 * s, 9 * s}},
	} {
		var got []time.Duration
		for at := range tt.p.Tries(tt.v) {
			if got = append(got, at); len(got) == 10 {
				break
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestEarly(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := start.Add(time.Minute)
	busy := overloaded
	hinted := busy
	hinted.RetryAfter = 4 * time.Second
	broken := refusal(smtpretry.CauseNetwork, smtpretry.ScopeConnection, smtpretry.StageBody, 0)
	doubt := broken
	doubt.InDoubt, doubt.Stage = true, smtpretry.StageDot
	at := func(v smtpretry.Verdict, s smtpretry.Stage) smtpretry.Verdict { v.Stage = s; return v }
	const no = -1
	for _, tt := range []struct {
		name  string
		h     smtpretry.History
		after time.Duration
	}{
		{"overload", smtpretry.History{Verdict: busy}, 0},
		{"overload, of somebody woken for nothing", smtpretry.History{Verdict: busy, Woken: 1}, 5 * time.Second},
		{"again", smtpretry.History{Verdict: busy, Woken: 2}, 7500 * time.Millisecond},
		{"often", smtpretry.History{Verdict: busy, Woken: 1000}, no},
		{"a hint", smtpretry.History{Verdict: hinted}, 4 * time.Second},
		{"a long hint", smtpretry.History{Verdict: hinted, Wait: time.Second}, no},
		{"overload at the dot", smtpretry.History{Verdict: at(busy, smtpretry.StageDot)}, no},
		{"no way to connect", smtpretry.History{Verdict: refusal(smtpretry.CauseNetwork, smtpretry.ScopeHost, smtpretry.StageDial, 0)}, 0},
		{"closed without a greeting", smtpretry.History{Verdict: at(broken, smtpretry.StageGreeting), Links: 3}, 0},
		{"one connection too many", smtpretry.History{Verdict: refusal(smtpretry.CauseConnectionLimit, smtpretry.ScopeConnection, smtpretry.StageGreeting, 421)}, 0},
		{"too fast", smtpretry.History{Verdict: refusal(smtpretry.CauseRateLimit, smtpretry.ScopeHost, smtpretry.StageMail, 450)}, 0},
		{"the link broke", smtpretry.History{Verdict: broken, Links: 1}, 0},
		{"the link broke again", smtpretry.History{Verdict: broken, Links: 2}, no},
		{"in doubt", smtpretry.History{Verdict: doubt, Links: 1}, no},
		{"greylisting", smtpretry.History{Verdict: refusal(smtpretry.CauseGreylist, smtpretry.ScopeRecipient, smtpretry.StageRcpt, 450)}, no},
		{"who we are", smtpretry.History{Verdict: refusal(smtpretry.CauseReputation, smtpretry.ScopeHost, smtpretry.StageMail, 421)}, no},
		{"not understood", smtpretry.History{Verdict: refusal(smtpretry.CauseUnknown, smtpretry.ScopeHost, smtpretry.StageMail, 450)}, no},
	} {
		tt.h.Start = start
		if tt.h.Wait == 0 {
			tt.h.Wait = 10 * time.Second
		}
		want := now.Add(tt.after)
		if tt.after == no {
			want = time.Time{}
		}
		if got := smtpretry.Early(smtpretry.Policy{RetryInDoubt: true}, tt.h, now); !got.Equal(want) {
			t.Errorf("%s: from %v on, want %v", tt.name, got, want)
		}
	}
}

// TestDecideProperties: whatever the policy, the last attempt starts at the
// end of its time, never after; no wait is shorter than the server asked for;
// and no two tries come closer than half the shortest wait.
func TestDecideProperties(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := smtpretry.Policy{
			MaxElapsed: time.Duration(1 + rnd.Int64N(int64(100*time.Hour))),
			Backoff:    smtpretry.Backoff{Initial: time.Duration(1 + rnd.Int64N(int64(time.Hour))), Jitter: rnd.Float64() * 0.9, Multiplier: 1 + rnd.Float64()*3},
		}
		p.Backoff.Max = p.Backoff.Initial + time.Duration(rnd.Int64N(int64(4*time.Hour)))
		start := time.Unix(0, 0)
		now := start
		shortest := p.Backoff.Spread(p.Backoff.Delay(1), 0)
		for n := 1; ; n++ {
			v := smtpretry.Verdict{Class: smtpretry.Temporary, Stage: smtpretry.StageMail, Rule: "x"}
			if rnd.IntN(4) == 0 {
				v.RetryAfter = time.Duration(rnd.Int64N(int64(time.Hour)))
			}
			h := smtpretry.History{Start: start, Attempts: n, Chance: rnd.Float64(), Verdict: v}
			h.Wait = p.Backoff.Spread(p.Backoff.Delay(n), h.Chance)
			again, stop := smtpretry.Decide(p, h, now)
			if stop != nil {
				if left := start.Add(p.MaxElapsed).Sub(now); left > 0 && v.RetryAfter <= left {
					t.Fatalf("seed %d: stopped after attempt %d with %v left", seed, n, left)
				}
				break
			}
			if again.Sub(start) > p.MaxElapsed {
				t.Fatalf("seed %d: attempt %d at %v, after the end %v", seed, n+1, again.Sub(start), p.MaxElapsed)
			}
			if gap := again.Sub(now); gap < v.RetryAfter || gap < shortest/2 && n > 1 {
				t.Fatalf("seed %d: attempt %d comes %v after the one before, which asked for %v", seed, n+1, gap, v.RetryAfter)
			}
			now = again
		}
	}
}

// TestPresets runs each preset against a server that never accepts.
func TestPresets(t *testing.T) {
	for _, tt := range []struct {
		name     string
		p        smtpretry.Policy
		whole    time.Duration
		low, top int           // attempts
		shortest time.Duration // gap
	}{
		{"default", smtpretry.Policy{}, 15 * time.Minute, 6, 12, 2500 * time.Millisecond},
		{"interactive", smtpretry.InteractivePolicy(), 30 * time.Second, 5, 10, 500 * time.Millisecond},
		{"queue", smtpretry.QueuePolicy(), 5 * 24 * time.Hour, 25, 45, 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, testserver.Config{Script: testserver.Script{
				testserver.On(testserver.Rcpt, testserver.Reply("451 4.3.0 Try again later")).Always(),
			}}, func(t *testing.T, srv *testserver.Server) {
				c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Policy = tt.p })
				start := time.Now()
				res, err := c.Send(t.Context(), note("you@example.net"))
				if !errors.Is(err, smtpretry.ErrExhausted) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want ErrExhausted alone", err)
				}
				tries := slices.DeleteFunc(slices.Clone(res.Attempts), func(a smtpretry.Attempt) bool { return !a.Charged })
				n := len(tries)
				if n < tt.low || n > tt.top {
					t.Errorf("%d attempts, want %d to %d", n, tt.low, tt.top)
				}
				if last := tries[n-1].Start.Sub(start); last != tt.whole {
					t.Errorf("last attempt after %v, want %v", last, tt.whole)
				}
				for i := 1; i < n; i++ {
					if gap := tries[i].Start.Sub(tries[i-1].End); gap < tt.shortest {
						t.Errorf("attempt %d came %v after the one before, want at least %v", i+1, gap, tt.shortest)
					}
				}
			})
		})
	}
}
