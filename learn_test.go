package smtpretry_test

import (
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

// refusal makes a temporary verdict.
func refusal(cause smtpretry.Cause, scope smtpretry.Scope, at smtpretry.Stage, code int) smtpretry.Verdict {
	return smtpretry.Verdict{Class: smtpretry.Temporary, Cause: cause, Scope: scope, Stage: at, Code: code, Rule: "test"}
}

// unknown returns a host of which nothing was known, after it has taken some
// messages as fast as it was sent them.
func unknown(now int64) (*smtpretry.Core, int64) {
	core := smtpretry.NewCore(smtpretry.Limit{})
	core.Unknown()
	for range 20 {
		at, _ := core.Ready(1, now)
		now = max(now, at)
		core.Hold(1)
		core.Charge(1, now)
		core.Learn(smtpretry.Lesson{Accepted: true}, now)
	}
	return core, now
}

// TestLessons holds what each refusal lowers, and that it lowers nothing else.
func TestLessons(t *testing.T) {
	const now = int64(time.Hour)
	rate := refusal(smtpretry.CauseRateLimit, smtpretry.ScopeHost, smtpretry.StageMail, 450)
	with := func(v smtpretry.Verdict, change func(*smtpretry.Verdict)) smtpretry.Verdict {
		change(&v)
		return v
	}
	for _, c := range []struct {
		name   string
		lesson smtpretry.Lesson
		lower  bool // is the rate lower then?
		lim    smtpretry.Limit
		all    [2]time.Duration // the pause of everything is from, to
		dials  time.Duration    // the pause of new connections
	}{
		{"accepted", smtpretry.Lesson{Accepted: true}, false, smtpretry.Limit{}, [2]time.Duration{}, 0},
		{"rate", smtpretry.Lesson{Verdict: rate}, true, smtpretry.Limit{}, [2]time.Duration{2 * time.Second, 8 * time.Second}, 0},
		{"rate, of the account", smtpretry.Lesson{Verdict: with(rate, func(v *smtpretry.Verdict) { v.Scope = smtpretry.ScopeAccount })},
			true, smtpretry.Limit{}, [2]time.Duration{2 * time.Second, 8 * time.Second}, 0},
		{"rate, with a hint", smtpretry.Lesson{Verdict: with(rate, func(v *smtpretry.Verdict) { v.RetryAfter = 9 * time.Minute })},
			true, smtpretry.Limit{}, [2]time.Duration{9 * time.Minute, 9 * time.Minute}, 0},
		{"a quota: a longer pause, and a ramp after it", smtpretry.Lesson{Verdict: with(rate, func(v *smtpretry.Verdict) { v.RetryAfter = 20 * time.Minute })},
			true, smtpretry.Limit{}, [2]time.Duration{21 * time.Minute, 21 * time.Minute}, 0},
		{"one recipient's rate", smtpretry.Lesson{Verdict: with(rate, func(v *smtpretry.Verdict) { v.Scope = smtpretry.ScopeRecipient })},
			false, smtpretry.Limit{}, [2]time.Duration{}, 0},
		{"refused for good", smtpretry.Lesson{Verdict: with(rate, func(v *smtpretry.Verdict) { v.Class = smtpretry.Permanent })},
			false, smtpretry.Limit{}, [2]time.Duration{}, 0},
		{"one connection too many", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseConnectionLimit, smtpretry.ScopeConnection, smtpretry.StageGreeting, 421)},
			false, smtpretry.Limit{MaxConns: 2}, [2]time.Duration{}, time.Second},
		{"enough on this connection", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseConnectionLimit, smtpretry.ScopeConnection, smtpretry.StageMail, 421), Carried: 7},
			false, smtpretry.Limit{PerConn: 7}, [2]time.Duration{}, 0},
		{"the same on a new one", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseConnectionLimit, smtpretry.ScopeConnection, smtpretry.StageMail, 421)},
			true, smtpretry.Limit{}, [2]time.Duration{time.Second, time.Second}, 0},
		{"enough recipients", smtpretry.Lesson{Accepted: true, Most: 4}, false, smtpretry.Limit{PerMessage: 4}, [2]time.Duration{}, 0},
		{"overload", smtpretry.Lesson{Verdict: overloaded}, true, smtpretry.Limit{}, [2]time.Duration{time.Second, time.Second}, 0},
		{"overload, on a connection that has carried messages", smtpretry.Lesson{Verdict: overloaded, Carried: 3},
			false, smtpretry.Limit{}, [2]time.Duration{}, 0},
		{"overload, and nobody else waits", smtpretry.Lesson{Verdict: overloaded, Back: 300 * time.Millisecond},
			true, smtpretry.Limit{}, [2]time.Duration{300 * time.Millisecond, 300 * time.Millisecond}, 0},
		{"a hint holds for one alone, too", smtpretry.Lesson{Verdict: with(overloaded, func(v *smtpretry.Verdict) { v.RetryAfter = time.Minute }), Back: time.Second},
			true, smtpretry.Limit{}, [2]time.Duration{time.Minute, time.Minute}, 0},
		{"nobody answers", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseNetwork, smtpretry.ScopeHost, smtpretry.StageDial, 0)},
			true, smtpretry.Limit{}, [2]time.Duration{time.Second, time.Second}, 0},
		{"a link that breaks, the first time on its connection", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseNetwork, smtpretry.ScopeConnection, smtpretry.StageMail, 0)},
			true, smtpretry.Limit{}, [2]time.Duration{time.Second, time.Second}, 0},
		{"later", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseNetwork, smtpretry.ScopeConnection, smtpretry.StageMail, 0), Carried: 1},
			false, smtpretry.Limit{}, [2]time.Duration{}, 0},
		{"no greeting, while others work", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseNetwork, smtpretry.ScopeConnection, smtpretry.StageGreeting, 0)},
			false, smtpretry.Limit{}, [2]time.Duration{}, time.Second},
		{"a link that breaks", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseNetwork, smtpretry.ScopeConnection, smtpretry.StageBody, 0)},
			false, smtpretry.Limit{}, [2]time.Duration{}, 0},
		{"who we are", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseReputation, smtpretry.ScopeHost, smtpretry.StageMail, 421), Back: time.Second},
			false, smtpretry.Limit{}, [2]time.Duration{5 * time.Minute, 5 * time.Minute}, 0},
		{"greylisting", smtpretry.Lesson{Verdict: refusal(smtpretry.CauseGreylist, smtpretry.ScopeRecipient, smtpretry.StageRcpt, 450)},
			false, smtpretry.Limit{}, [2]time.Duration{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			core, now := unknown(now)
			core.Connections(3, 2)
			before := core.Learned(now).Rate
			core.Learn(c.lesson, now)
			got := core.Learned(now)
			if got.Rate < before != c.lower || got.Rate > before && c.lower {
				t.Errorf("the rate was %v and is %v, want a lower one: %v", before, got.Rate, c.lower)
			}
			if got.MaxConns != c.lim.MaxConns || got.PerConn != c.lim.PerConn || got.PerMessage != c.lim.PerMessage {
				t.Errorf("learned %+v, want %+v", got, c.lim)
			}
			all, dials := core.PausedUntil()
			if d := time.Duration(max(all-now, 0)); d < c.all[0] || d > c.all[1] {
				t.Errorf("pauses for %v, want %v", d, c.all)
			}
			if d := time.Duration(max(dials-now, 0)); d != c.dials {
				t.Errorf("opens no connection for %v, want %v", d, c.dials)
			}
			core.Forget()
			if got := core.Learned(now); got.Rate+smtpretry.Rate(got.MaxConns+got.PerConn+got.PerMessage) != 0 {
				t.Errorf("%+v is left after all is forgotten", got)
			}
		})
	}
}

// TestRateAfterOutage: a rate that is refused before anything was taken after a
// pause is lowered, and still a rate.
func TestRateAfterOutage(t *testing.T) {
	core, now := unknown(int64(time.Hour))
	most := core.Learned(now).Rate
	v := refusal(smtpretry.CauseRateLimit, smtpretry.ScopeHost, smtpretry.StageMail, 450)
	for range 5 {
		for _, v := range []smtpretry.Verdict{v, overloaded, v} {
			core.Learn(smtpretry.Lesson{Accepted: v.Cause == overloaded.Cause}, now)
			core.Learn(smtpretry.Lesson{Verdict: v}, now)
			if got := core.Learned(now).Rate; got <= 0 || got >= most {
				t.Errorf("after %v the rate is %v, want less than %v", v, got, most)
			}
			now += int64(10 * time.Minute)
		}
	}
}

// TestLeastRate: however often it is refused, a rate is left, and it is above
// nothing by far.
func TestLeastRate(t *testing.T) {
	core, now := unknown(int64(time.Hour))
	most := core.Learned(now).Rate
	v := refusal(smtpretry.CauseRateLimit, smtpretry.ScopeHost, smtpretry.StageMail, 450)
	for range 200 {
		if at, _ := core.Ready(1, now); at != smtpretry.OnEvent {
			now = max(now, at)
		}
		core.Hold(1)
		core.Charge(1, now)
		core.Learn(smtpretry.Lesson{Verdict: v}, now)
		got := core.Learned(now).Rate
		if least := smtpretry.PerHour(1) * 99 / 100; got < least || got > most {
			t.Fatalf("the rate is %v, want between 1/h and %v", got, most)
		}
	}
	if all, _ := core.PausedUntil(); time.Duration(all-now) > 4*time.Hour {
		t.Errorf("the last pause is of %v, want 4 h at most", time.Duration(all-now))
	}
}

// TestCeiling holds when a number of connections that was learned is asked
// again.
func TestCeiling(t *testing.T) {
	asked := func(t *testing.T, c *smtpretry.Ceiling, most int, at time.Duration) {
		t.Helper()
		if m, a := c.Asked(); m != most || a != at {
			t.Errorf("holds at %d until %v, want %d until %v", m, a, most, at)
		}
	}
	t.Run("rarely, doubling", func(t *testing.T) {
		var c smtpretry.Ceiling
		c.Take(3)
		now := time.Hour
		for _, wait := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour} {
			c.Refuse(3, now)
			asked(t, &c, 3, now+wait)
			c.Refuse(3, now+wait-1) // begun before it was known
			asked(t, &c, 3, now+wait)
			now += wait
		}
	})
	t.Run("soon, where it took more before", func(t *testing.T) {
		var c smtpretry.Ceiling
		c.Take(5)
		c.Refuse(2, 0)
		asked(t, &c, 2, time.Minute)
	})
	t.Run("gone when one more is taken", func(t *testing.T) {
		var c smtpretry.Ceiling
		c.Take(2)
		c.Refuse(2, 0)
		c.Refuse(2, 30*time.Minute)
		c.Take(2)
		asked(t, &c, 2, 90*time.Minute)
		c.Take(3)
		asked(t, &c, 0, 0)
		c.Refuse(3, 2*time.Hour)
		asked(t, &c, 3, 150*time.Minute)
	})
	t.Run("lower at once", func(t *testing.T) {
		var c smtpretry.Ceiling
		c.Take(4)
		c.Refuse(4, 0)
		c.Refuse(2, time.Second)
		if m, _ := c.Asked(); m != 2 {
			t.Errorf("holds at %d, want 2", m)
		}
	})
}

// TestForgotten: what was learned is remembered without use for a day, and not
// longer.
func TestForgotten(t *testing.T) {
	const day = int64(24 * time.Hour)
	for name, l := range map[string]smtpretry.Lesson{
		"rate":       {Verdict: refusal(smtpretry.CauseRateLimit, smtpretry.ScopeHost, smtpretry.StageMail, 450)},
		"connection": {Verdict: refusal(smtpretry.CauseConnectionLimit, smtpretry.ScopeConnection, smtpretry.StageMail, 421), Carried: 7},
		"recipients": {Accepted: true, Most: 4},
	} {
		t.Run(name, func(t *testing.T) {
			core := smtpretry.NewCore(smtpretry.Limit{})
			core.Learn(l, 1)
			if core.Forgotten(day) {
				t.Error("forgotten within a day")
			}
			if !core.Forgotten(1 + day) {
				t.Error("not forgotten after a day")
			}
		})
	}
}
