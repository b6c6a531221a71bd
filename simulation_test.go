//go:build !race

package smtpretry_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

var (
	simSeeds = flag.Uint64("simulation.seeds", 5, "seeds of each family of hidden policies")
	simSeed  = flag.Uint64("simulation.seed", 0, "run only this seed")
	simOnly  = flag.String("simulation.family", "", "run only this family")
)

// A hidden is a host with a policy that the sender is not told, as it
// changes over time.
type hidden struct {
	cfg      testserver.Config
	phases   []phase         // in the order of time; the first begins at 0
	latency  time.Duration   // one way
	known    smtpretry.Limit // the limits, for a sender that is told
	tellable bool
	others   float64       // messages per second of another sender behind the same limit
	rcpts    int           // recipients of each message; 0: 1
	conns    int           // connections that it takes; 0: 20
	each     time.Duration // what it takes to accept a message
	begins   time.Duration // after a full hour
	lasts    time.Duration // at least
}

// A phase is a policy, and how many messages per second it lets through.
type phase struct {
	from   time.Duration
	limits testserver.Limits
	rate   float64
	down   bool
}

// A family makes providers with policies of one kind.
type family struct {
	name  string
	least float64 // the median share that is reached untold
	most  float64 // violations per limit, likewise
	make  func(rng *rand.Rand) hidden
}

func logUniform(rng *rand.Rand, from, to float64) float64 {
	return from * math.Exp(rng.Float64()*math.Log(to/from))
}

func bucketOf(rate float64, burst int) testserver.Rate {
	return testserver.Rate{N: 1000, Per: time.Duration(1000 / rate * float64(time.Second)), Burst: burst}
}

func one(l testserver.Limits, rate float64) []phase { return []phase{{limits: l, rate: rate}} }

var families = []family{
	{"bucket", 0.9, 2, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 0.5, 30)
		burst := int(1 + r*logUniform(rng, 0.2, 20))
		return hidden{phases: one(testserver.Limits{Rate: bucketOf(r, burst)}, r),
			tellable: true, known: smtpretry.Limit{Rate: smtpretry.Rate(r), Burst: burst}}
	}},
	{"fixed window", 0.93, 2, func(rng *rand.Rand) hidden {
		q := testserver.Quota{N: int(logUniform(rng, 20, 600)), Per: time.Minute, Fixed: true}
		return hidden{begins: time.Duration(rng.Int64N(int64(q.Per))), phases: one(testserver.Limits{Quota: q}, float64(q.N)/60),
			tellable: true, known: smtpretry.Limit{Quotas: []smtpretry.Quota{{N: q.N, Per: q.Per}}}}
	}},
	{"rolling window", 0.93, 2, func(rng *rand.Rand) hidden {
		q := testserver.Quota{N: int(logUniform(rng, 20, 600)), Per: time.Minute}
		return hidden{phases: one(testserver.Limits{Quota: q}, float64(q.N)/60),
			tellable: true, known: smtpretry.Limit{Quotas: []smtpretry.Quota{{N: q.N, Per: q.Per}}}}
	}},
	{"connections", 0.98, 1, func(rng *rand.Rand) hidden {
		n, each := 1+rng.IntN(8), time.Duration(100+rng.IntN(900))*time.Millisecond
		p := hidden{conns: n, each: each, phases: one(testserver.Limits{MaxConns: n}, math.Inf(1)),
			tellable: true, known: smtpretry.Limit{MaxConns: n}}
		p.cfg.Script = testserver.Script{testserver.On(testserver.Dot, testserver.Pass().After(each)).Always()}
		return p
	}},
	{"messages per connection", 0.9, 2, func(rng *rand.Rand) hidden {
		n, r := 2+rng.IntN(40), logUniform(rng, 1, 20)
		return hidden{conns: 3, phases: one(testserver.Limits{PerConn: n, MaxConns: 3, Rate: bucketOf(r, int(1+r))}, r),
			tellable: true, known: smtpretry.Limit{PerConn: n, MaxConns: 3, Rate: smtpretry.Rate(r), Burst: int(1 + r)}}
	}},
	{"recipients", 0.9, 3, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 3, 30)
		return hidden{rcpts: 3, phases: one(testserver.Limits{Recipients: bucketOf(r, int(3+2*r))}, r/3),
			tellable: true, known: smtpretry.Limit{Recipients: smtpretry.Rate(r), Burst: int(3 + 2*r)}}
	}},
	{"long quota", 0.97, 5, func(rng *rand.Rand) hidden {
		q := testserver.Quota{N: int(logUniform(rng, 500, 3000)), Per: 20 * time.Minute}
		// All at once when a window begins, which is twice after the first minute.
		lim := testserver.Limits{Quota: q}
		return hidden{phases: []phase{{limits: lim, rate: 2 * float64(q.N) / (59 * time.Minute).Seconds()}, {from: 45 * time.Minute, limits: lim, rate: 2 * float64(q.N) / (59 * time.Minute).Seconds()}},
			tellable: true, known: smtpretry.Limit{Quotas: []smtpretry.Quota{{N: q.N, Per: q.Per}}}}
	}},
	{"box", 0.84, 2, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 1, 30)
		burst := int(1 + r*logUniform(rng, 0.2, 5))
		return hidden{conns: 5, phases: one(testserver.Limits{Rate: bucketOf(r, burst), MaxConns: 5,
			Box: testserver.Box{After: 5, Within: 10 * time.Second, For: time.Minute, Extends: rng.IntN(2) == 0}}, r),
			tellable: true, known: smtpretry.Limit{Rate: smtpretry.Rate(r), Burst: burst, MaxConns: 5}}
	}},
	{"changes", 0.9, 2, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 2, 10)
		p := hidden{begins: time.Duration(rng.Int64N(int64(40 * time.Minute))), lasts: 3 * time.Hour}
		p.lasts -= p.begins
		for i := range 3 {
			p.phases = append(p.phases, phase{from: max(time.Duration(i)*time.Hour-p.begins, 0), rate: r,
				limits: testserver.Limits{Rate: bucketOf(r, int(1+r*2))}})
			r *= []float64{0.5, 2}[rng.IntN(2)]
		}
		return p
	}},
	{"greylisting", 0.88, 2, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 1, 20)
		return hidden{phases: one(testserver.Limits{Greylist: time.Duration(3+rng.IntN(30)) * time.Second, Rate: bucketOf(r, int(1+r))}, r)}
	}},
	{"outages", 0.88, 2, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 1, 20)
		lim := testserver.Limits{Rate: bucketOf(r, int(1+2*r)), MaxConns: 5}
		p := hidden{conns: 5, tellable: true, known: smtpretry.Limit{Rate: smtpretry.Rate(r), Burst: int(1 + 2*r), MaxConns: 5}}
		at := time.Duration(0)
		for range 3 {
			p.phases = append(p.phases, phase{from: at, limits: lim, rate: r})
			at += time.Duration(2+rng.IntN(4)) * time.Minute
			p.phases = append(p.phases, phase{from: at, limits: lim, down: true})
			at += time.Duration(logUniform(rng, 1, 60) * float64(time.Second))
		}
		p.phases = append(p.phases, phase{from: at, limits: lim, rate: r})
		return p
	}},
	{"another sender", 0.85, 3, func(rng *rand.Rand) hidden {
		r := logUniform(rng, 2, 20)
		return hidden{others: r / 2, phases: one(testserver.Limits{Rate: bucketOf(r, int(1+r))}, r/2)}
	}},
}

// An outcome is what came of one run.
type simulated struct {
	share      float64 // of what was possible, after the first minute
	violations float64 // per limit that was in force
	perMille   float64 // violations per 1,000 messages
	boxes      int
	recovery   time.Duration // longest from the end of an outage to the next message accepted
	worst      time.Duration // longest from Send to its end
	sent       int
}

// simulate sends as much as it can for as long as the policies are set, and
// not less than 15 minutes.
func simulate(t *testing.T, p hidden, tell bool) (out simulated) {
	lasts := max(p.lasts, p.phases[len(p.phases)-1].from+15*time.Minute)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(p.begins) // a bubble's clock begins at a full hour
		start := time.Now()
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		var now atomic.Int64 // the phase in force
		cfg := p.cfg
		cfg.Limits = p.phases[0].limits
		var accepted []time.Duration // when
		var mu sync.Mutex
		cfg.Hook = func(at testserver.At) *testserver.Action {
			if p.phases[now.Load()].down && (at.Stage == testserver.Greeting || at.Stage == testserver.Mail) {
				return testserver.Close()
			}
			return nil
		}
		if *simSeed != 0 {
			cfg.OnEvent = func(e testserver.Event) {
				if e.Kind == testserver.Refused {
					t.Logf("%9.3fs  refused by %s at %v, connection %d", time.Since(start).Seconds(), e.Text, limiter.Explain("127.0.0.1").Limit.Rate, e.Conn)
				}
			}
		}
		srv := testserver.Start(t, cfg)
		srv.Network().SetDelay(p.latency)
		ctx, cancel := context.WithTimeout(t.Context(), lasts)
		defer cancel()
		if tell {
			setLimit(t, limiter, srv.Addr(), p.known)
		}
		c := client(t, srv, func(cfg *smtpretry.Config) {
			cfg.MaxConns, cfg.Limiter = 20, limiter
			cfg.Policy.MaxElapsed = 4 * time.Hour
		})
		var wg sync.WaitGroup
		for i := range 25 {
			wg.Go(func() {
				for ctx.Err() == nil {
					m := note(fmt.Sprintf("u%d@example.net", i))
					for r := 1; r < p.rcpts; r++ {
						m.To = append(m.To, fmt.Sprintf("u%d.%d@example.net", i, r))
					}
					began := time.Now()
					_, err := c.Send(ctx, m)
					mu.Lock()
					if err != nil && ctx.Err() == nil {
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("%v after %v", err, time.Since(began))
						}
						mu.Unlock()
						<-ctx.Done()
						return
					}
					if err == nil {
						accepted = append(accepted, time.Since(start))
						out.worst = max(out.worst, time.Since(began))
					}
					mu.Unlock()
				}
			})
		}
		if p.others > 0 {
			wg.Go(func() { sendSteadily(ctx, t, srv, p.others) })
		}
		wg.Go(func() {
			for i, ph := range p.phases {
				select {
				case <-time.After(time.Until(start.Add(ph.from))):
				case <-ctx.Done():
					return
				}
				srv.SetLimits(ph.limits)
				now.Store(int64(i))
			}
		})
		wg.Wait()
		st := srv.Stats()
		limits := inForce(p.phases[0].limits)
		possible := 0.0
		for i, ph := range p.phases {
			to := lasts
			if i+1 < len(p.phases) {
				to = p.phases[i+1].from
			}
			rate := min(ph.rate, float64(cmp.Or(p.conns, 20))/(4*p.latency+p.each).Seconds()) // the commands, the message, and their replies
			possible += rate * max(to-max(ph.from, time.Minute), 0).Seconds()
			if i > 0 && ph.rate != p.phases[i-1].rate && !ph.down && !p.phases[i-1].down {
				limits++
			}
			if i > 0 && p.phases[i-1].down {
				j, _ := slices.BinarySearch(accepted, ph.from)
				if j < len(accepted) {
					out.recovery = max(out.recovery, accepted[j]-ph.from)
				}
			}
		}
		j, _ := slices.BinarySearch(accepted, time.Minute)
		out.share = float64(len(accepted)-j) / possible
		out.violations = float64(st.Violations) / float64(limits)
		out.sent = len(accepted)
		out.perMille = 1000 * float64(st.Violations) / float64(max(st.Accepted, 1))
		out.boxes = st.Boxes
		c.Close()
	})
	return out
}

// inForce counts the limits that a sender can run into.
func inForce(l testserver.Limits) (n int) {
	for _, set := range []bool{l.Rate.N > 0, l.Recipients.N > 0, l.MaxConns > 0, l.Quota.N > 0} {
		if set {
			n++
		}
	}
	return n
}

// sendSteadily is another sender behind the same limit: it sends at an even
// rate and does not try again.
func sendSteadily(ctx context.Context, t *testing.T, srv *testserver.Server, rate float64) {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	setLimit(t, limiter, srv.Addr(), smtpretry.Limit{})
	c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Limiter, cfg.Policy.MaxAttempts = limiter, 1 })
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.Send(ctx, note("other@example.net"))
		case <-ctx.Done():
			c.Close()
			return
		}
	}
}

// TestSimulation plays families of hidden policies to a sender that is told
// nothing, and to one that is told all.
func TestSimulation(t *testing.T) {
	for _, f := range families {
		if *simOnly != "" && *simOnly != f.name {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, tell := range []bool{false, true} {
				f.play(t, tell)
			}
		})
	}
}

// play runs the seeds of a family and holds what they promise together.
func (f family) play(t *testing.T, tell bool) {
	first, last := uint64(1), *simSeeds
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var all []simulated
	for seed := first; seed <= last; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := f.make(rng)
		p.latency = time.Duration(logUniform(rng, 1, 50) * float64(time.Millisecond))
		if tell && !p.tellable {
			return
		}
		out := simulate(t, p, tell)
		all = append(all, out)
		if *simSeed != 0 {
			t.Logf("told %v: %+v", tell, out)
		}
		if !tell && out.boxes > 1 || tell && (out.violations > 0 || out.share < 0.97) {
			t.Errorf("told %v: %+v; replay with: go test -v -run '^TestSimulation$' -simulation.family %q -simulation.seed %d .", tell, out, f.name, seed)
		}
	}
	spread := func(get func(simulated) float64) (xs []float64) {
		for _, o := range all {
			xs = append(xs, get(o))
		}
		slices.Sort(xs)
		return xs
	}
	shares := spread(func(o simulated) float64 { return o.share })
	violations := spread(func(o simulated) float64 { return o.violations })
	perMille := spread(func(o simulated) float64 { return o.perMille })
	boxes := spread(func(o simulated) float64 { return float64(o.boxes) })
	recovery := spread(func(o simulated) float64 { return o.recovery.Seconds() })
	worst := spread(func(o simulated) float64 { return o.worst.Seconds() })
	mid, end := len(all)/2, len(all)-1
	if median := shares[mid]; !tell && median < f.least {
		t.Errorf("the median share is %.3f, want at least %.2f", median, f.least)
	}
	if median := violations[mid]; !tell && median > f.most {
		t.Errorf("in the median %.1f violations per limit, want at most %.1f", median, f.most)
	}
	summary.Add(t, "told %-5v %d seeds; share: median %.3f, least %.3f; violations per limit: median %.1f, most %.1f, per 1,000 messages %.1f; boxes: most %.0f; recovery from an outage: median %.1fs, most %.1fs; longest Send %.0fs",
		tell, len(all), shares[mid], shares[0], violations[mid], violations[end], perMille[mid], boxes[end], recovery[mid], recovery[end], worst[end])
}
