package smtpretry_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

var (
	limiterSeed  = flag.Uint64("limiter.seed", 0, "replay this seed of the limiter's property tests")
	limiterSeeds = flag.Uint64("limiter.seeds", 2000, "how many seeds the limiter's property tests run")
)

// eachSeed runs f in a bubble of its own for each seed, or each of the first
// share-th part; a failure names the seed and how to replay it.
func eachSeed(t *testing.T, share uint64, f func(t *testing.T, rng *rand.Rand)) {
	first, last := uint64(1), *limiterSeeds/share
	if *limiterSeed != 0 {
		first, last = *limiterSeed, *limiterSeed
	}
	for seed := first; seed <= last; seed++ {
		synctest.Test(t, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("replay with: go test -run '^%s$' -limiter.seed %d .", t.Name(), seed)
				}
			})
			f(t, rand.New(rand.NewPCG(seed, 0)))
		})
		if t.Failed() {
			return
		}
	}
}

// A run is a simulated host with its clients, and a record of what reached it.
type run struct {
	t       *testing.T
	rng     *rand.Rand // before the clients start
	limiter *smtpretry.Limiter
	pools   []*smtpretry.Pool
	begin   time.Time

	teach bool          // clients report what they met, of all kinds
	news  time.Duration // how long it takes until all processes know of a pause

	mu     sync.Mutex
	limits []change // in force from when
	starts []start
	grants []time.Duration // when acquire returned
	pauses []time.Duration // when a pause of at least a second began
	dials  []time.Duration
	open   int // connections
	served int
	over   int // given up: context ended, or deadline too near
}

type change struct {
	at  time.Duration
	lim smtpretry.Limit
}

type start struct {
	granted, at time.Duration
	rcpts       int
}

// A simConn is a connection that takes time to close.
type simConn struct {
	run   *run
	takes time.Duration
	gone  bool // run.mu guards it
}

func (c *simConn) Close() error {
	time.Sleep(c.takes)
	c.vanish()
	return nil
}

// vanish is the end of the connection, whoever closed it.
func (c *simConn) vanish() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if !c.gone {
		c.gone = true
		c.run.open--
	}
}

const slowestClose = 50 * time.Millisecond

func (r *run) now() time.Duration { return time.Since(r.begin) }

// setLimit changes the limit. It is noted first: whoever goes at the same
// moment may go by either.
func (r *run) setLimit(lim smtpretry.Limit) {
	r.mu.Lock()
	r.limits = append(r.limits, change{r.now(), lim})
	r.mu.Unlock()
	if err := r.limiter.SetLimit(host, lim); err != nil {
		r.t.Error(err)
	}
}

// between returns the limits in force at any moment of [from, to].
func (r *run) between(from, to time.Duration) []change {
	list := []change{}
	for i, c := range r.limits {
		if c.at <= to && (i+1 == len(r.limits) || r.limits[i+1].at >= from) {
			list = append(list, c)
		}
	}
	return list
}

// integral returns how much a rate lets through in [from, to]; false if one
// of the limits to consider has none.
func (r *run) integral(from, to time.Duration, during []change, rate func(smtpretry.Limit) smtpretry.Rate) (float64, bool) {
	sum := 0.0
	for i, c := range during {
		a, b := max(from, c.at), to
		if i+1 < len(during) {
			b = min(b, during[i+1].at)
		}
		if rate(c.lim) == 0 {
			return 0, false
		}
		sum += float64(rate(c.lim)) * max(b-a, 0).Seconds()
	}
	return sum, true
}

// check compares each window that begins and ends with a start, which are
// the fullest there are, with its bound.
func (r *run) check() {
	slices.SortFunc(r.starts, func(a, b start) int { return int(a.at - b.at) })
	const rounding = 1e-6
	for i := range r.starts {
		from, granted := r.starts[i].at, r.starts[i].granted
		rcpts, largest := 0, 0
		for j := i; j < len(r.starts); j++ {
			to, n := r.starts[j].at, j-i+1
			granted = min(granted, r.starts[j].granted)
			rcpts += r.starts[j].rcpts
			largest = max(largest, r.starts[j].rcpts)
			burst := 1
			for _, c := range r.between(granted, from) {
				burst = max(burst, c.lim.Burst)
			}
			during := r.between(granted, to)
			if flow, ok := r.integral(from, to, during, func(l smtpretry.Limit) smtpretry.Rate { return l.Rate }); ok {
				if bound := float64(burst) + flow + rounding; float64(n) > bound {
					r.t.Errorf("%d messages in [%v, %v], want at most %.3f", n, from, to, bound)
				}
			}
			if flow, ok := r.integral(from, to, during, func(l smtpretry.Limit) smtpretry.Rate { return l.Recipients }); ok {
				bound := float64(max(burst, largest)) + flow + rounding
				if len(during) > 1 {
					bound = float64(burst+largest) + flow + rounding
				}
				if float64(rcpts) > bound {
					r.t.Errorf("%d recipients in [%v, %v], want at most %.3f", rcpts, from, to, bound)
				}
			}
			r.checkQuotas("messages", n, from, to, during, func(l smtpretry.Limit) []smtpretry.Quota { return l.Quotas })
			r.checkQuotas("recipients", rcpts, from, to, during, func(l smtpretry.Limit) []smtpretry.Quota { return l.RecipientQuotas })
			if r.t.Failed() {
				return
			}
		}
	}
	for _, from := range r.pauses {
		for _, at := range r.grants {
			// What was granted before may have had to close a connection first, and
			// another process may have begun the same pause earlier.
			if at > from+slowestClose+r.news && at < from+time.Second-r.news {
				r.t.Errorf("a permit at %v, in the pause from %v", at, from)
			}
		}
	}
	slices.Sort(r.dials)
	for i, from := range r.dials {
		for j, to := range r.dials[i:] {
			flow, ok := r.integral(from, to, r.between(from, to), func(l smtpretry.Limit) smtpretry.Rate { return l.NewConns })
			if bound := 1 + flow + rounding; ok && float64(j+1) > bound {
				r.t.Errorf("%d new connections in [%v, %v], want at most %.3f", j+1, from, to, bound)
				return
			}
		}
	}
}

// rest closes all pools and waits for an hour, which leaves no connection and no
// host.
func (r *run) rest(limiters ...*smtpretry.Limiter) {
	closeAll(r.pools...)
	time.Sleep(time.Hour)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open != 0 {
		r.t.Errorf("%d connections are left open", r.open)
	}
	for _, l := range limiters {
		if live, rest := l.CountHosts(); live+rest != 0 {
			r.t.Errorf("after an hour of rest: %d hosts live, %d at rest, want none", live, rest)
		}
	}
}

// checkQuotas holds n against each quota that was in force all the time.
func (r *run) checkQuotas(what string, n int, from, to time.Duration, during []change, of func(smtpretry.Limit) []smtpretry.Quota) {
	for _, q := range of(during[0].lim) {
		if to-from > q.Per {
			continue
		}
		most, always := 0, true
		for _, c := range during {
			i := slices.IndexFunc(of(c.lim), func(o smtpretry.Quota) bool { return o.Per == q.Per })
			if i < 0 {
				always = false
				break
			}
			most = max(most, of(c.lim)[i].N)
		}
		if always && n > most {
			r.t.Errorf("%d %s in [%v, %v], want at most %d in any %v", n, what, from, to, most, q.Per)
		}
	}
}

// randomLimit makes a limit of any combination of parts.
func randomLimit(rng *rand.Rand) smtpretry.Limit {
	var lim smtpretry.Limit
	if rng.IntN(4) > 0 {
		lim.Rate = smtpretry.PerSecond(float64(1+rng.IntN(500)) / float64(1+rng.IntN(50)))
	}
	if rng.IntN(3) == 0 {
		lim.Recipients = smtpretry.PerSecond(float64(1+rng.IntN(500)) / float64(1+rng.IntN(20)))
	}
	if lim.Rate+lim.Recipients > 0 && rng.IntN(2) == 0 {
		lim.Burst = rng.IntN(12)
	}
	// Few windows, so that a change often keeps one.
	quotas := func() (list []smtpretry.Quota) {
		for _, per := range []time.Duration{time.Second, 7 * time.Second} {
			if rng.IntN(4) == 0 {
				list = append(list, smtpretry.Quota{N: 8 + rng.IntN(20), Per: per})
			}
		}
		return list
	}
	lim.Quotas, lim.RecipientQuotas = quotas(), quotas()
	if rng.IntN(4) == 0 {
		lim.NewConns = smtpretry.PerSecond(float64(1+rng.IntN(40)) / float64(1+rng.IntN(10)))
	}
	if rng.IntN(2) == 0 {
		lim.MaxConns = 1 + rng.IntN(5)
	}
	return lim
}

// message is one client's message: it may give up at any point.
func (r *run) message(rng *rand.Rand, p *smtpretry.Pool) {
	ctx := r.t.Context()
	switch rng.IntN(6) {
	case 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, randomTime(rng, 3*time.Second))
		defer cancel()
	case 1:
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer time.AfterFunc(randomTime(rng, 3*time.Second), cancel).Stop()
		defer cancel()
	}
	rcpts := 1
	if rng.IntN(3) == 0 {
		rcpts += rng.IntN(8)
	}
	g, err := p.Acquire(ctx, time.Now(), rcpts, nil)
	if err != nil {
		var late *smtpretry.LimitError
		var ended *smtpretry.WaitError
		if !errors.As(err, &late) && !errors.As(err, &ended) {
			r.t.Errorf("acquire: %v", err)
		}
		if errors.As(err, &late) && !errors.Is(err, context.DeadlineExceeded) {
			r.t.Errorf("errors.Is(%v, DeadlineExceeded) = false", err)
		}
		r.mu.Lock()
		r.over++
		r.mu.Unlock()
		return
	}
	r.mu.Lock()
	r.grants = append(r.grants, r.now())
	r.mu.Unlock()
	granted := max(r.now()-slowestClose, 0)
	conn := g.Conn()
	if conn == nil {
		r.dialled(granted)
		conn = &simConn{run: r, takes: randomTime(rng, slowestClose)}
		if rng.IntN(2) == 0 {
			time.Sleep(randomTime(rng, 300*time.Millisecond))
		}
	}
	end := func(keep bool) {
		if keep {
			g.Release(conn)
		} else {
			conn.Close()
			g.Release(nil)
		}
		g.Release(conn) // a second time does nothing
	}
	if rng.IntN(8) == 0 {
		end(rng.IntN(2) == 0)
		return
	}
	r.mu.Lock()
	r.starts = append(r.starts, start{granted, r.now(), rcpts})
	r.served++
	r.mu.Unlock()
	g.Started()
	g.Started()
	if rng.IntN(2) == 0 {
		time.Sleep(randomTime(rng, 200*time.Millisecond))
	}
	if rng.IntN(8) > 0 {
		g.Counted()
		g.Counted()
	}
	if rng.IntN(2) == 0 {
		time.Sleep(randomTime(rng, 500*time.Millisecond))
	}
	if r.teach {
		p.Observe(randomVerdict(rng))
	}
	end(rng.IntN(4) > 0)
	if !r.teach && rng.IntN(40) == 0 {
		paused := p.Paused()
		p.Observe(overloaded)
		if !paused {
			r.mu.Lock()
			r.pauses = append(r.pauses, r.now())
			r.mu.Unlock()
		}
	}
}

// randomVerdict is what a message may meet: mostly success, else anything that
// teaches, and things that do not.
func randomVerdict(rng *rand.Rand) smtpretry.Verdict {
	if rng.IntN(3) > 0 {
		return smtpretry.Verdict{}
	}
	causes := []smtpretry.Cause{smtpretry.CauseRateLimit, smtpretry.CauseConnectionLimit, smtpretry.CauseOverload,
		smtpretry.CauseReputation, smtpretry.CauseNetwork, smtpretry.CauseGreylist}
	stages := []smtpretry.Stage{smtpretry.StageDial, smtpretry.StageGreeting, smtpretry.StageMail, smtpretry.StageDot}
	v := refusal(causes[rng.IntN(len(causes))], []smtpretry.Scope{smtpretry.ScopeHost, smtpretry.ScopeConnection}[rng.IntN(2)],
		stages[rng.IntN(len(stages))], []int{0, 421, 451}[rng.IntN(3)])
	if rng.IntN(4) == 0 {
		v.RetryAfter = randomTime(rng, time.Hour)
	}
	return v
}

// dialled notes a new connection and that there was room for it.
func (r *run) dialled(granted time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials = append(r.dials, r.now())
	r.open++
	most := 0
	for _, c := range r.between(granted, r.now()) {
		if c.lim.MaxConns == 0 {
			return
		}
		most = max(most, c.lim.MaxConns)
	}
	if r.open > most {
		r.t.Errorf("at %v: %d connections open, want at most %d", r.now(), r.open, most)
	}
}

// randomTime returns a time of any order of magnitude up to most.
func randomTime(rng *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(float64(most) * rng.Float64() * rng.Float64() * rng.Float64())
}

// TestLimiterBounds holds what is promised against random limits, clients,
// arrivals, cancellations, refunds, delays and changes of the limit.
func TestLimiterBounds(t *testing.T) {
	served, over := 0, 0
	eachSeed(t, 1, func(t *testing.T, rng *rand.Rand) {
		lim := randomLimit(rng)
		r := &run{t: t, rng: rng, begin: time.Now(), limiter: told(lim)}
		r.limits = []change{{0, lim}}
		for range 1 + rng.IntN(4) {
			r.pools = append(r.pools, r.limiter.Join(host, 1+rng.IntN(4)))
		}
		spread := randomTime(rng, 20*time.Second)
		var wg sync.WaitGroup
		for range 20 + rng.IntN(60) {
			seed, arrival := rng.Uint64(), time.Duration(rng.Float64()*float64(spread))
			p := r.pools[rng.IntN(len(r.pools))]
			wg.Go(func() {
				time.Sleep(arrival)
				r.message(rand.New(rand.NewPCG(seed, 1)), p)
			})
		}
		if rng.IntN(2) == 0 {
			for range rng.IntN(5) {
				wait, lim := randomTime(rng, 5*time.Second), randomLimit(rng)
				wg.Go(func() {
					time.Sleep(wait)
					r.setLimit(lim)
				})
			}
		}
		wg.Wait()
		r.check()
		served, over = served+r.served, over+r.over

		r.rest(r.limiter)
		if e := r.limiter.Explain(host); e.Binding != "" || e.Waiting+e.Open != 0 || e.Tokens != full(e.Limit) {
			t.Errorf("after an hour of rest, all closed:\n%v", e)
		}
	})
	t.Logf("%d messages started, %d gave up waiting", served, over)
}

// full returns what the bucket of messages holds when it is full.
func full(lim smtpretry.Limit) float64 {
	if lim.Rate == 0 {
		return 0
	}
	return float64(max(lim.Burst, 1))
}

// TestLimiterLearns holds the same while what is reported teaches, for a host
// that was told its limits and for one that was not; and everybody who waits
// without a deadline is served.
func TestLimiterLearns(t *testing.T) {
	served, over := 0, 0
	eachSeed(t, 40, func(t *testing.T, rng *rand.Rand) {
		lim := randomLimit(rng)
		r := &run{t: t, rng: rng, begin: time.Now(), teach: true, limiter: told(lim)}
		if rng.IntN(2) == 0 {
			r.limiter = smtpretry.NewLimiter(lim)
		}
		r.limits = []change{{0, lim}}
		for range 1 + rng.IntN(4) {
			r.pools = append(r.pools, r.limiter.Join(host, 1+rng.IntN(4)))
		}
		var wg sync.WaitGroup
		for range 20 + rng.IntN(60) {
			seed, arrival := rng.Uint64(), time.Duration(rng.Float64()*float64(20*time.Second))
			p := r.pools[rng.IntN(len(r.pools))]
			wg.Go(func() {
				time.Sleep(arrival)
				r.message(rand.New(rand.NewPCG(seed, 1)), p)
			})
		}
		for range rng.IntN(3) {
			wait, lim := randomTime(rng, time.Hour), randomLimit(rng)
			wg.Go(func() {
				time.Sleep(wait)
				r.setLimit(lim)
			})
		}
		wg.Wait()
		r.check()
		served, over = served+r.served, over+r.over
		// The longest pause, for each message and one after the other.
		if r.now() > 80*5*time.Hour {
			t.Errorf("it took %v until everybody was served", r.now())
		}
		closeAll(r.pools...)
		time.Sleep(30 * time.Hour) // a learned limit is remembered for a day
		r.mu.Lock()
		defer r.mu.Unlock()
		if live, rest := r.limiter.CountHosts(); r.open != 0 || live+rest != 0 {
			t.Errorf("after a day of rest: %d connections open, %d hosts live, %d at rest, want none", r.open, live, rest)
		}
	})
	t.Logf("%d messages started, %d gave up waiting", served, over)
}
