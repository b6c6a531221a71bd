package smtpretry

import (
	"crypto/rand"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// A Limiter decides when a message to a host may start, and over which of how
// many connections. Clients that share a Limiter share its limits: give the
// same one to every client of a process that sends from the same addresses
// and accounts.
//
// It promises, for each host and over all clients: in any window of length w,
// at most Burst + Rate·w messages start, at most N in any window of a quota,
// and the like for recipients, new connections and connections at once (see
// [Limit]). That holds whatever is cancelled, handed back or sent at the same
// time. Across a change of a limit, it is Burst as it was when the window
// began (for recipients, beside one transaction) and the rates as they were in
// its course; what was saved is carried over, never topped up; a message that
// had been let through before the change still goes by the limit of that time.
//
// What is not known of a host is found out gently: it is sent 2 messages per
// second at first, after a burst of 3, one after the other, over one connection
// more at a time, and more as it takes them. What it refuses teaches exactly what was refused: the rate,
// connections at once, messages on a connection, recipients in a transaction.
// A refusal of everything pauses the host once for all, longer each time, and
// after the pause one message goes first. [Limiter.SetLimit] tells all about a
// host: then there is nothing to find out, though refusals still teach.
// [Limiter.Explain] shows what was learned, [Limiter.Save] and [Limiter.Load]
// keep it.
//
// Hosts are told apart by name: upper and lower case, a final dot, a port and
// brackets make no difference, and all MX names of a known provider are one
// host. Those that have been idle long enough to carry no information are
// forgotten. The published limits of known providers apply by default.
//
// The zero Limiter is NewLimiter(Limit{}). A Limiter must not be copied; it is
// safe for concurrent use.
type Limiter struct {
	def   Limit
	fault error // of def

	sharing *sharing // nil: it is not shared

	once   sync.Once
	base   time.Time // what the times of all states count from, a full hour
	seed   maphash.Seed
	shards [shardCount]shard

	sweepMu sync.Mutex
	sweeper *time.Timer
	armed   bool
	next    int           // the shard to sweep
	rest    time.Duration // before that
}

// A shard holds the hosts of one part of the names.
type shard struct {
	mu   sync.Mutex
	set  map[string]Limit // by SetLimit
	live map[string]*host // with clients, or with more to remember than a bucket
	rest map[string]int64 // of the others: when the bucket of messages is full
	peak int              // the largest that rest has been since it was made
}

const shardCount = 64

// NewLimiter returns a Limiter that follows def for every host without a
// limit of its own, together with the published limits of known providers:
// for each field the stricter of the two.
//
// If def is not valid (see [Limit.Validate]), [New] and [Wrap] report it for
// every client with this Limiter, and nothing is sent.
func NewLimiter(def Limit) *Limiter {
	return &Limiter{def: def.clone(), fault: def.Validate()}
}

// init makes the zero Limiter ready.
func (l *Limiter) init() {
	l.once.Do(func() {
		now := time.Now()
		l.base = now.Add(-now.Sub(now.Truncate(time.Hour)))
		l.seed = maphash.MakeSeed()
	})
}

// now returns the time as all states count it. It is monotonic.
func (l *Limiter) now() int64 { return int64(time.Since(l.base)) }

func (l *Limiter) at(t time.Time) int64    { return int64(t.Sub(l.base)) }
func (l *Limiter) time(at int64) time.Time { return l.base.Add(time.Duration(at)) }

// SetLimit puts lim in force for host, instead of the default and of what its
// provider publishes; in lim, zero means no limit. What was learned of the
// host is forgotten, and it is not started gently. It takes effect at once,
// also for those who wait. A limit that is not valid (see [Limit.Validate])
// is an error and changes nothing.
func (l *Limiter) SetLimit(host string, lim Limit) error {
	if err := lim.Validate(); err != nil {
		return err
	}
	l.init()
	key, provider := hostKey(host)
	s := l.shard(key)
	s.mu.Lock()
	before, _ := l.effective(s, key, provider)
	if s.set == nil {
		s.set = make(map[string]Limit)
	}
	s.set[strings.Clone(key)] = lim.clone()
	after, origins := l.effective(s, key, provider)
	if full, ok := s.rest[key]; ok {
		s.rest[key] = bucket{full: full}.carry(newBounds(before).msgs, newBounds(after).msgs, l.now()).full
	}
	h := s.live[key]
	if h == nil {
		s.mu.Unlock()
		return nil
	}
	// Planning anew may take a while; other hosts need not wait for it.
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Unlock()
	h.setLimit(after, origins, true, l.now())
	return nil
}

// shard returns the part that key belongs to.
func (l *Limiter) shard(key string) *shard {
	return &l.shards[maphash.String(l.seed, key)%shardCount]
}

// join returns a pool of at most limit connections to host.
func (l *Limiter) join(name string, limit int) *pool {
	l.init()
	key, provider := hostKey(name)
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.live[key]
	if h == nil {
		h = l.wake(s, key, provider)
	}
	p := &pool{host: h, max: max(limit, 1)}
	h.mu.Lock()
	h.pools[p] = struct{}{}
	h.mu.Unlock()
	return p
}

// wake makes a live host of what is remembered of key.
func (l *Limiter) wake(s *shard, key string, p *provider) *host {
	h := l.newHost(s, strings.Clone(key), p)
	delete(s.rest, key)
	if s.live == nil {
		s.live = make(map[string]*host)
	}
	s.live[h.key] = h
	return h
}

// newHost returns a host as it is remembered, which no one else knows.
func (l *Limiter) newHost(s *shard, key string, p *provider) *host {
	h := &host{limiter: l, key: key, pools: make(map[*pool]struct{}), timerAt: never}
	if l.sharing != nil {
		h.remote = &remote{sharing: l.sharing, node: rand.Text()}
	}
	h.own, h.origins = l.effective(s, key, p)
	_, h.told = s.set[key]
	h.state.learned.forget(h.unknownRate())
	h.bounds = newBounds(h.own)
	h.state.quotas = make([]quotaLog, len(h.own.Quotas))
	h.state.rcptQuotas = make([]quotaLog, len(h.own.RecipientQuotas))
	h.state.msgs.full = s.rest[key]
	h.compose(l.now())
	return h
}

// park forgets h, or all but one number of it, if nothing more is needed.
func (l *Limiter) park(h *host) {
	s := l.shard(h.key)
	s.mu.Lock()
	left := s.settle(h, l.now())
	s.mu.Unlock()
	if left {
		l.sweepLater()
	}
}

// settle moves h from live to rest, or out, if it can. It reports whether
// there is something left of it to look at later.
func (s *shard) settle(h *host, now int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pools) > 0 || s.live[h.key] != h {
		return false
	}
	if h.busy() || h.remote == nil && !h.state.plain(&h.bounds, now) {
		return true
	}
	if h.timer != nil {
		h.timer.Stop()
	}
	delete(s.live, h.key)
	if h.remote != nil || h.state.msgs.full <= now {
		return false
	}
	if s.rest == nil {
		s.rest = make(map[string]int64)
	}
	s.rest[h.key] = h.state.msgs.full
	s.peak = max(s.peak, len(s.rest))
	return true
}

// The sweeper waits for sweepPause between two shards, and longer, up to
// sweepRest, while it finds nothing to forget.
const (
	sweepPause = time.Second
	sweepRest  = time.Minute
)

// sweepLater makes sure that the sweeper runs.
func (l *Limiter) sweepLater() {
	l.sweepMu.Lock()
	defer l.sweepMu.Unlock()
	if l.armed {
		return
	}
	l.armed = true
	l.rest = max(l.rest, sweepPause)
	if l.sweeper == nil {
		l.sweeper = time.AfterFunc(l.rest, l.sweep)
	} else {
		l.sweeper.Reset(l.rest)
	}
}

// sweep forgets what has become meaningless in the next shard that has any
// host without a client, and comes back as long as there is one.
func (l *Limiter) sweep() {
	l.sweepMu.Lock()
	l.armed = false
	start := l.next
	l.sweepMu.Unlock()
	for i := range shardCount {
		n := (start + i) % shardCount
		looked, forgot := l.shards[n].sweep(l.now())
		if !looked {
			continue
		}
		l.sweepMu.Lock()
		l.next = (n + 1) % shardCount
		if l.rest = min(2*l.rest, sweepRest); forgot {
			l.rest = sweepPause
		}
		l.sweepMu.Unlock()
		l.sweepLater()
		return
	}
}

// sweep looks at every host without a client. It reports whether there were
// any, and whether one could be forgotten.
func (s *shard) sweep(now int64) (looked, forgot bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, full := range s.rest {
		looked = true
		if full <= now {
			delete(s.rest, key)
			forgot = true
		}
	}
	for _, h := range s.live {
		h.mu.Lock()
		unused := len(h.pools) == 0
		h.mu.Unlock()
		if unused {
			looked = true
			s.settle(h, now)
			forgot = forgot || s.live[h.key] == nil
		}
	}
	// A map does not shrink by itself.
	switch {
	case len(s.rest) == 0:
		s.rest, s.peak = nil, 0
	case len(s.rest) < s.peak/4:
		rest := make(map[string]int64, len(s.rest))
		for key, full := range s.rest {
			rest[key] = full
		}
		s.rest, s.peak = rest, len(rest)
	}
	return looked, forgot
}
