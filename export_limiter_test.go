package smtpretry

import (
	"context"
	"io"
	"time"
)

// What tests outside the package need of the limiter's inside.

type (
	Pool   = pool
	Permit = permit
	Waiter = waiter
)

var (
	HostKey = func(host string) string { key, _ := hostKey(host); return key }
)

const IdleMax = idleMax

func (l *Limiter) Join(host string, max int) *Pool { return l.join(host, max) }

func (p *pool) PerMessage(rcpts int) int { return p.perMessage(rcpts) }

func (p *pool) Acquire(ctx context.Context, since time.Time, rcpts int, waiting func(Wait)) (*Permit, error) {
	return p.AcquireAt(ctx, new(waiter), since, rcpts, waiting)
}

// AcquireAt is Acquire with the place in the line that a message has for all its
// tries.
func (p *pool) AcquireAt(ctx context.Context, w *Waiter, since time.Time, rcpts int, waiting func(Wait)) (*Permit, error) {
	tell := func(_ context.Context, w Wait) { waiting(w) }
	if waiting == nil {
		tell = nil
	}
	return w.stand(p, since, time.Time{}, rcpts).acquire(ctx, tell)
}

// Doze waits for the host, which has failed now, until it is woken or told not
// to.
func (p *pool) Doze(since time.Time, enough <-chan struct{}) (woken bool) {
	w := p.doze(since, time.Now())
	defer p.rise(w)
	select {
	case <-w.done:
		return true
	case <-enough:
		return false
	}
}

// Asleep returns how many wait for the host to work.
func (p *pool) Asleep() int {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return len(p.host.asleep)
}

func (p *pool) Observe(v Verdict) {
	p.observe(report{verdict: v, accepted: v == Verdict{}, began: time.Now(), at: time.Now()})
}

// Paused reports whether the host pauses, whatever else binds for longer.
func (p *pool) Paused() bool {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.host.state.pause.until > p.host.limiter.now()
}

func (p *pool) Close() (idle []io.Closer) {
	for _, c := range p.close() {
		idle = append(idle, closer{c})
	}
	return idle
}

type closer struct{ lastClose }

func (c closer) Close() error { return c.end(io.Closer.Close) }

func (g *permit) Conn() io.Closer        { return g.conn }
func (g *permit) Started()               { g.started() }
func (g *permit) Counted()               { g.counted(true) }
func (g *permit) Release(conn io.Closer) { g.release(conn) }

// MaxRecipients returns what a tooManyRecipientsError allows, or 0.
func MaxRecipients(err error) int {
	if e, ok := err.(*tooManyRecipientsError); ok {
		return e.max
	}
	return 0
}

// CountHosts returns how many hosts are held live, and how many at rest.
func (l *Limiter) CountHosts() (live, rest int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		live += len(s.live)
		rest += len(s.rest)
		s.mu.Unlock()
	}
	return live, rest
}

// Published lists what is applied for each provider of providers.json.
func Published() map[string][]string {
	all := make(map[string][]string)
	for _, p := range published().all {
		all[p.name] = nil
		for _, o := range origins(p.limit, func(string) (string, string) { return "", "" }) {
			all[p.name] = append(all[p.name], o.Field+" "+o.Value)
		}
	}
	return all
}

// A Core is one host's state under a limit, without locks, waiters and clock.
type Core struct {
	state  hostState
	bounds bounds
}

func NewCore(lim Limit) *Core {
	c := &Core{bounds: newBounds(lim)}
	c.state.carry(&bounds{}, &c.bounds, 0)
	return c
}

func (c *Core) SetLimit(lim Limit, now int64) {
	to := newBounds(lim)
	c.state.carry(&c.bounds, &to, now)
	c.bounds = to
}

func (c *Core) Ready(rcpts int, now int64) (int64, string) {
	return c.state.ready(&c.bounds, rcpts, now)
}

func (c *Core) Hold(rcpts int)  { c.state.hold(rcpts) }
func (c *Core) LetGo(rcpts int) { c.state.letGo(rcpts) }
func (c *Core) Charge(rcpts int, now int64) {
	c.state.learned.charge(now)
	c.state.charge(&c.bounds, 1, int64(rcpts), now)
}

// Stamps returns how many entries the quotas keep.
func (c *Core) Stamps() (n int) {
	for _, l := range c.state.quotas {
		n += len(l.stamps)
	}
	return n
}

const (
	Never   = never
	OnEvent = onEvent
)
