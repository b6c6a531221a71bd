package smtpretry_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

// send starts messages for rcpts recipients as early as the limit lets it,
// and returns when each went.
func send(t *testing.T, c *smtpretry.Core, from time.Duration, rcpts ...int) (at []time.Duration, by []string) {
	now := int64(from)
	for _, n := range rcpts {
		ready, binds := c.Ready(n, now)
		if ready == smtpretry.OnEvent {
			t.Fatalf("waits for an event with nothing held")
		}
		now = max(now, ready)
		if again, still := c.Ready(n, now); still != "" {
			t.Fatalf("not ready at %v as said: %v, %q", time.Duration(now), time.Duration(again), still)
		}
		c.Hold(n)
		c.Charge(n, now)
		at, by = append(at, time.Duration(now)), append(by, binds)
	}
	return at, by
}

func TestLimitSpacing(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		lim   smtpretry.Limit
		rcpts []int
		want  []time.Duration
		by    string // what the last waited for
	}{
		{"no limit", smtpretry.Limit{}, []int{1, 9, 1}, []time.Duration{0, 0, 0}, ""},
		{"rate", smtpretry.Limit{Rate: 10}, []int{1, 1, 1}, []time.Duration{0, 100 * ms, 200 * ms}, "rate"},
		{"burst", smtpretry.Limit{Rate: 10, Burst: 3}, []int{1, 1, 1, 1, 1}, []time.Duration{0, 0, 0, 100 * ms, 200 * ms}, "rate"},
		{"recipients", smtpretry.Limit{Recipients: 10}, []int{1, 5, 1}, []time.Duration{0, 100 * ms, 600 * ms}, "recipients"},
		{"recipients within a burst", smtpretry.Limit{Recipients: 10, Burst: 6}, []int{3, 3, 2}, []time.Duration{0, 0, 200 * ms}, "recipients"},
		{"recipients beyond a burst", smtpretry.Limit{Recipients: 10, Burst: 4}, []int{10, 4, 1}, []time.Duration{0, 1000 * ms, 1100 * ms}, "recipients"},
		{"quota", smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 2, Per: time.Minute}}}, []int{1, 1, 7}, []time.Duration{0, 0, time.Minute + 1}, "quota"},
		{"recipient quota", smtpretry.Limit{RecipientQuotas: []smtpretry.Quota{{N: 5, Per: time.Minute}}}, []int{3, 2, 1}, []time.Duration{0, 0, time.Minute + 1}, "recipient-quota"},
		{"strictest of several", smtpretry.Limit{Rate: 1, Recipients: 1, Quotas: []smtpretry.Quota{{N: 2, Per: time.Hour}, {N: 2, Per: time.Minute}}}, []int{1, 3, 1}, []time.Duration{0, time.Second, time.Hour + 1}, "quota"},
	} {
		got, by := send(t, smtpretry.NewCore(c.lim), 0, c.rcpts...)
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: message %d goes at %v, want %v", c.name, i+1, got[i], c.want[i])
			}
		}
		if last := by[len(by)-1]; last != c.by {
			t.Errorf("%s: the last waits for %q, want %q", c.name, last, c.by)
		}
	}
}

// TestQuotaWindow fills one window and looks at the next: what was sent
// spread out comes free spread out.
func TestQuotaWindow(t *testing.T) {
	c := smtpretry.NewCore(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 3, Per: time.Hour}}})
	for _, at := range []time.Duration{0, 20 * time.Minute, 40 * time.Minute} {
		send(t, c, at, 1)
	}
	got, _ := send(t, c, 41*time.Minute, 1, 1)
	if want := time.Hour + 1; got[0] != want {
		t.Errorf("the fourth goes at %v, want %v", got[0], want)
	}
	if want := 80*time.Minute + 1; got[1] != want {
		t.Errorf("the fifth goes at %v, want %v", got[1], want)
	}
}

// TestQuotaMemory holds that a large quota takes little memory, and still
// gives at least 99 % of itself and never more.
func TestQuotaMemory(t *testing.T) {
	const n = 100_000
	c := smtpretry.NewCore(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: n, Per: 24 * time.Hour}}})
	rng := rand.New(rand.NewPCG(1, 1))
	now, most := int64(0), 0
	var sent []int64
	const days = 10
	for now < int64(days*24*time.Hour) {
		now += rng.Int64N(int64(time.Second)) // twice as many as the quota allows
		if at, by := c.Ready(1, now); by != "" {
			now = at
		}
		c.Hold(1)
		c.Charge(1, now)
		sent = append(sent, now)
		most = max(most, c.Stamps())
	}
	if most > 300 {
		t.Errorf("%d entries kept, want at most 300", most)
	}
	if len(sent) < days*n*99/100 {
		t.Errorf("%d sent in %d days, want about %d", len(sent), days, days*n)
	}
	for i := n; i < len(sent); i++ {
		if sent[i]-sent[i-n] <= int64(24*time.Hour) {
			t.Fatalf("%d sent within %v", n+1, time.Duration(sent[i]-sent[i-n]))
		}
	}
}

// TestHeld holds that what is held is not there for others, and is back when
// it is let go, to the nanosecond.
func TestHeld(t *testing.T) {
	c := smtpretry.NewCore(smtpretry.Limit{Rate: 1, Burst: 2, Recipients: 1, RecipientQuotas: []smtpretry.Quota{{N: 10, Per: time.Hour}}})
	c.Hold(1)
	c.Hold(1)
	for _, now := range []time.Duration{0, time.Minute, time.Hour} {
		if at, by := c.Ready(1, int64(now)); at != smtpretry.OnEvent || by != "rate" {
			t.Errorf("at %v with all held: ready at %v by %q, want when something is counted or let go", now, at, by)
		}
	}
	c.LetGo(1)
	c.LetGo(1)
	if got, _ := send(t, c, time.Hour, 1, 1, 1); got[0] != time.Hour || got[1] != time.Hour || got[2] != time.Hour+time.Second {
		t.Errorf("after everything was let go: sent at %v, want a whole burst", got)
	}
}

// TestCarry holds that a change of the limit takes over what is left.
func TestCarry(t *testing.T) {
	slow := smtpretry.Limit{Rate: 1, Burst: 5}
	for _, c := range []struct {
		name string
		sent int
		to   smtpretry.Limit
		want time.Duration // when the next may go
	}{
		{"nothing is topped up", 5, smtpretry.Limit{Rate: 10, Burst: 5}, 100 * time.Millisecond},
		{"a larger burst starts with what there is", 5, smtpretry.Limit{Rate: 10, Burst: 500}, 100 * time.Millisecond},
		{"what is left stays", 4, smtpretry.Limit{Rate: 0.001, Burst: 5}, 0},
		{"a smaller burst cuts what is left", 0, smtpretry.Limit{Rate: 0.001}, 0},
		{"a slower rate", 5, smtpretry.Limit{Rate: 0.1, Burst: 5}, 10 * time.Second},
		{"the same limit", 5, slow, time.Second},
		{"no limit", 5, smtpretry.Limit{}, 0},
	} {
		core := smtpretry.NewCore(slow)
		for range c.sent {
			send(t, core, 0, 1)
		}
		core.SetLimit(c.to, 0)
		if got, _ := send(t, core, 0, 1); got[0] != c.want {
			t.Errorf("%s: the next goes at %v, want %v", c.name, got[0], c.want)
		}
	}
	// Back and forth without end gives no more than the faster rate.
	core := smtpretry.NewCore(smtpretry.Limit{Rate: 10, Burst: 10})
	sent := 0
	for now := int64(0); now < int64(10*time.Second); now += int64(7 * time.Millisecond) {
		core.SetLimit([]smtpretry.Limit{{Rate: 10, Burst: 10}, {Rate: 3, Burst: 70}, {Rate: 7, Burst: 1}}[sent%3], now)
		if _, by := core.Ready(1, now); by == "" {
			core.Hold(1)
			core.Charge(1, now)
			sent++
		}
	}
	if sent > 110 {
		t.Errorf("%d sent in 10 s through changes, want at most 110", sent)
	}
}

// TestCarryQuota holds that a changed quota knows what was sent before.
func TestCarryQuota(t *testing.T) {
	quota := func(list ...smtpretry.Quota) smtpretry.Limit { return smtpretry.Limit{Quotas: list} }
	hour, day := time.Hour, 24*time.Hour
	for _, c := range []struct {
		name     string
		from, to smtpretry.Limit
		want     time.Duration
	}{
		{"the same window", quota(smtpretry.Quota{N: 4, Per: hour}), quota(smtpretry.Quota{N: 4, Per: hour}), hour + 1},
		{"a smaller number", quota(smtpretry.Quota{N: 9, Per: hour}), quota(smtpretry.Quota{N: 2, Per: hour}), hour + 1},
		{"a longer window", quota(smtpretry.Quota{N: 4, Per: hour}), quota(smtpretry.Quota{N: 4, Per: day}), day + 1},
		{"a shorter window", quota(smtpretry.Quota{N: 9, Per: day}), quota(smtpretry.Quota{N: 4, Per: hour}), hour + 1},
		{"another order", quota(smtpretry.Quota{N: 9, Per: day}, smtpretry.Quota{N: 4, Per: hour}), quota(smtpretry.Quota{N: 4, Per: hour}, smtpretry.Quota{N: 9, Per: day}), hour + 1},
		{"more room", quota(smtpretry.Quota{N: 4, Per: hour}), quota(smtpretry.Quota{N: 5, Per: hour}), 0},
	} {
		core := smtpretry.NewCore(c.from)
		send(t, core, 0, 1, 1, 1, 1)
		core.SetLimit(c.to, 0)
		if got, _ := send(t, core, 0, 1); got[0] != c.want {
			t.Errorf("%s: the next goes at %v, want %v", c.name, got[0], c.want)
		}
	}
	// The longest window remembers what the others have forgotten.
	core := smtpretry.NewCore(quota(smtpretry.Quota{N: 9, Per: hour}, smtpretry.Quota{N: 9, Per: day}, smtpretry.Quota{N: 9, Per: 4 * hour}))
	send(t, core, 0, 1, 1, 1)
	send(t, core, 5*hour, 1)
	core.SetLimit(quota(smtpretry.Quota{N: 4, Per: 8 * hour}), int64(5*hour))
	if got, _ := send(t, core, 5*hour, 1); got[0] != 8*hour+1 {
		t.Errorf("a window between: the next goes at %v, want %v", got[0], 8*hour+1)
	}
}

// TestExtremes holds that no number overflows into permission: whatever the
// limit, time moves forward and the number of messages stays below the bound.
func TestExtremes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	extreme := func() float64 { return math.Exp(rng.Float64()*45 - 20) } // 2e-9 to 7e10
	for range 20_000 {
		lim := smtpretry.Limit{Rate: smtpretry.Rate(extreme()), Burst: int(math.Exp(rng.Float64() * 43)), Recipients: smtpretry.Rate(extreme())}
		if rng.IntN(2) == 0 {
			lim.Quotas = []smtpretry.Quota{{N: 1 + int(math.Exp(rng.Float64()*43)), Per: time.Duration(math.Exp(14 + rng.Float64()*29))}}
		}
		if err := lim.Validate(); err != nil {
			t.Fatal(err)
		}
		c := smtpretry.NewCore(lim)
		now := int64(0)
		for i := range 30 {
			n := 1 + int(math.Exp(rng.Float64()*20))
			at, by := c.Ready(n, now)
			if at < now || at > smtpretry.Never && at != smtpretry.OnEvent {
				t.Fatalf("%+v: ready at %d, now %d", lim, at, now)
			}
			if at >= smtpretry.Never/2 { // no process gets there
				break
			}
			now = max(now, at)
			if bound := float64(max(lim.Burst, 1)) + float64(lim.Rate)*float64(now)/1e9; float64(i+1) > bound*(1+1e-9)+1e-6 {
				t.Fatalf("%+v: message %d at %v by %q, above %g", lim, i+1, time.Duration(now), by, bound)
			}
			c.Hold(n)
			c.Charge(n, now)
			if rng.IntN(5) == 0 {
				lim.Rate, lim.Burst = lim.Rate/smtpretry.Rate(1+rng.Float64()), 1+lim.Burst/2
				if lim.Validate() != nil {
					break
				}
				c.SetLimit(lim, now)
				break
			}
		}
	}
}
