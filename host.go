package smtpretry

import (
	"container/heap"
	"io"
	"sync"
	"time"
)

// idleMax is how long a connection is kept without use. Servers close idle
// ones: Comcast after 30 s (KumoMTA's shaping rules), and what RFC 5321
// section 4.5.3.2.7 asks of them, five minutes, few grant.
const idleMax = 15 * time.Second

// A host is one key of the limiter while something is going on there: its
// state, the line of those who wait, and the connections that are kept.
//
// The line is ordered by the time since when a message has been waiting. A
// pool of connections stands in it with its oldest waiter: under warm when it
// has an idle connection, under cold when it would have to open one, and
// nowhere while all that its client may open are in use. So the next to go is
// found at the top of two heaps, however many wait.
type host struct {
	limiter *Limiter
	key     string

	mu        sync.Mutex
	own       Limit // by SetLimit, the default and the provider
	told      bool  // by SetLimit: what it leaves out is no limit, rather than an unknown one
	origins   []Origin
	announced ehloLimits
	limit     Limit // in force: own, and what is announced
	bounds    bounds
	state     hostState
	pools     map[*pool]struct{}
	warm      line[*pool]
	cold      line[*pool]
	waiting   int
	expiring  line[expiring] // of those waiting, whose own time ends
	asleep    line[*waiter]  // those who wait for the host to work again
	served    int64          // when the latest message came that it served
	messages  int            // in Send, wherever they wait
	once      int            // of those in the line, who do not wait
	remote    *remote        // of a limiter that is shared; nil: it is not
	arrivals  uint64
	idle      idleList
	closing   int   // open connections that are being closed
	mailTrip  int64 // the last round trip of MAIL

	timer   *time.Timer
	timerAt int64 // when it fires; never: not set
}

// dispatch serves those in the line who can go now, oldest first, and sets
// the timer for the next. It follows every change.
func (h *host) dispatch(now int64) {
	defer h.talk(now)
	if h.shared() {
		wake := h.ask(now)
		if wake <= now {
			wake = onEvent // it is being asked
		}
		h.arm(now, wake)
		return
	}
	wake := onEvent
	for h.waiting > 0 {
		p, at, by := h.turn(now)
		if p == nil {
			// With a connection of its own that may come back, when a new one
			// could be opened is not the earliest moment.
			if len(h.cold) > 0 && h.cold[0].open == 0 && h.sendAway(h.cold[0], at, by) {
				continue
			}
			wake = at
			break
		}
		wake = at
		if at, by = h.state.ready(&h.bounds, p.waiters[0].rcpts, now); at > now {
			if h.sendAway(p, at, by) {
				continue
			}
			wake = min(wake, at)
			break
		}
		w := h.next(p)
		w.permit = h.take(p, w.rcpts)
		w.done <- struct{}{}
		wake = onEvent
	}
	h.arm(now, wake)
}

// next takes p's oldest waiter out of the line.
func (h *host) next(p *pool) *waiter {
	w := p.waiters[0]
	h.unqueue(w)
	return w
}

// unqueue takes w out of the line.
func (h *host) unqueue(w *waiter) {
	heap.Remove(&w.pool.waiters, w.place)
	if w.until < never {
		heap.Remove(&h.expiring, w.expires)
	}
	h.waiting--
	if w.once {
		h.once--
	}
	h.arrange(w.pool)
}

// turn returns the pool whose oldest waiter is the next to go as far as
// connections are concerned. When an older one has to wait for a connection,
// at says until when and by which limit.
func (h *host) turn(now int64) (p *pool, at int64, by string) {
	if len(h.warm) > 0 {
		p = h.warm[0]
	}
	if len(h.cold) > 0 && (p == nil || h.cold[0].before(p)) {
		if at, by := h.readyToDial(now); at > now {
			return p, at, by
		}
		p = h.cold[0]
	}
	return p, onEvent, ""
}

// readyToDial is hostState.readyToDial, with room made by an idle connection
// that would be closed.
func (h *host) readyToDial(now int64) (at int64, by string) {
	open := h.state.open
	if h.idle.oldest != nil {
		open--
	}
	if r := h.remote; r != nil && r.alone && h.bounds.maxConns > 0 && now < r.calm {
		return r.calm, bindStore
	}
	return h.state.readyToDial(&h.bounds, open, now)
}

// sendAway ends the wait of p's oldest waiter if its deadline comes before
// the moment at which it could be served.
func (h *host) sendAway(p *pool, at int64, by string) bool {
	w := p.waiters[0]
	if at == onEvent || w.deadline > at {
		return false
	}
	h.leave(w, h.tooLate(w.deadline, at, by))
	return true
}

func (h *host) tooLate(deadline, at int64, by string) error {
	return &LimitError{Host: h.key, For: by, Until: h.limiter.time(at), Deadline: h.limiter.time(deadline)}
}

// leave takes w out of the line and tells it why.
func (h *host) leave(w *waiter, err error) {
	h.unqueue(w)
	w.err = err
	w.done <- struct{}{}
}

// arrange puts p where it belongs in the line after a change of its waiters
// or connections.
func (h *host) arrange(p *pool) {
	var to *line[*pool]
	switch {
	case len(p.waiters) == 0:
	case len(p.idle) > 0:
		to = &h.warm
	case p.open < p.max:
		to = &h.cold
	}
	if p.line != nil && p.line == to {
		heap.Fix(to, p.place)
		return
	}
	if p.line != nil {
		heap.Remove(p.line, p.place)
	}
	if p.line = to; to != nil {
		heap.Push(to, p)
	}
}

// take gives p what a message for rcpts recipients needs, which must be
// there: the tokens, and an idle connection or the slot for a new one.
func (h *host) take(p *pool, rcpts int) *permit {
	g := p.newPermit()
	g.rcpts = rcpts
	h.state.hold(rcpts)
	if h.state.pause.row > 0 && rcpts > 0 {
		g.probe, h.state.probe = true, true
	}
	if n := len(p.idle); n > 0 {
		g.link = p.idle[n-1] // the last used is the least likely to be stale
		g.conn = g.link.conn
		h.unkeep(g.link)
		h.arrange(p)
		return g
	}
	g.link = &link{pool: p, opened: h.limiter.now()}
	g.dialling = true
	if victim := h.idle.oldest; victim != nil && h.bounds.maxConns > 0 && h.state.open >= h.bounds.maxConns {
		h.unkeep(victim)
		h.drop(victim)
		g.evicted = victim.conn
	}
	p.open++
	h.state.open++
	h.state.dials.held++
	h.arrange(p)
	return g
}

// admit is take if all is there, else nil.
func (h *host) admit(p *pool, rcpts int, now int64) *permit {
	if at, _ := h.state.ready(&h.bounds, rcpts, now); at > now || h.shared() {
		return nil
	}
	if len(p.idle) == 0 {
		if p.open >= p.max {
			return nil
		}
		if at, _ := h.readyToDial(now); at > now {
			return nil
		}
	}
	return h.take(p, rcpts)
}

// keep makes l's connection an idle one.
func (h *host) keep(l *link, conn io.Closer, now int64) {
	l.conn, l.since = conn, now
	h.prove(l)
	l.pool.idle = append(l.pool.idle, l)
	if !l.adopted {
		h.idle.push(l)
	}
	h.arrange(l.pool)
}

// unkeep takes an idle connection out of its pool, either the last used or
// the first.
func (h *host) unkeep(l *link) {
	p := l.pool
	if last := len(p.idle) - 1; p.idle[last] == l {
		p.idle[last] = nil
		p.idle = p.idle[:last]
	} else {
		copy(p.idle, p.idle[1:])
		p.idle[last] = nil
		p.idle = p.idle[:last]
	}
	if !l.adopted {
		h.idle.remove(l)
	}
}

// drop frees the slot of a connection that is closed.
func (h *host) drop(l *link) {
	l.pool.open--
	h.state.open--
	h.unprove(l)
	h.arrange(l.pool)
}

// arm sets the timer to go off at the latest at the given moment, and when
// the oldest idle connection is due or the first wait is over. It is left alone when it goes off
// earlier: it then finds nothing to do, which is cheaper than to move it with
// each message.
func (h *host) arm(now, at int64) {
	if l := h.idle.oldest; l != nil {
		at = min(at, later(l.since, int64(idleMax)))
		if h.crowded() > 0 || h.unwanted() {
			at = now
		}
		if h.shared() && now < h.remote.lease {
			at = min(at, h.remote.lease) // it is not to outlive it
		}
	}
	if len(h.expiring) > 0 {
		at = min(at, h.expiring[0].until)
	}
	at = min(at, h.remote.rest())
	if at >= never || at >= h.timerAt {
		return
	}
	h.timerAt = at
	switch wait := time.Duration(at - now); {
	case wait <= 0:
		// Not by the timer: one that is due when it is set is run there by whoever sets
		// it, and in a synctest bubble the race detector of Go 1.26 crashes when two do
		// so at a time.
		go h.ring()
	case h.timer == nil:
		h.timer = time.AfterFunc(wait, h.ring)
	default:
		h.timer.Reset(wait)
	}
}

// crowded returns how many more connections are open than may be, after
// MaxConns was lowered; those that are being closed do not count.
func (h *host) crowded() int {
	switch {
	case h.lapsed():
		return max(h.mine().open-h.closing, 0)
	case h.bounds.maxConns == 0 && !h.bounds.noConns:
		return 0
	}
	return max(h.state.open-h.closing-h.bounds.maxConns, 0)
}

// ring is called by the timer.
func (h *host) ring() {
	h.mu.Lock()
	now := h.limiter.now()
	h.timerAt = never
	var due []*link
	for l := h.idle.oldest; l != nil; l = h.idle.oldest {
		if h.crowded() == 0 && !h.unwanted() && later(l.since, int64(idleMax)) > now {
			break
		}
		h.unkeep(l)
		h.arrange(l.pool)
		h.closing++
		due = append(due, l)
	}
	h.expire(now)
	h.dispatch(now)
	h.mu.Unlock()
	for _, l := range due {
		_ = h.hangUp(l, io.Closer.Close)
	}
}

// hangUp closes the connection of a link that is already counted as closing,
// which takes as long as it takes, and then frees its slot.
func (h *host) hangUp(l *link, how func(io.Closer) error) error {
	err := how(l.conn)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closing--
	h.drop(l)
	h.dispatch(h.limiter.now())
	return err
}

// setLimit puts another limit in force. Those who wait are planned anew, and
// those who cannot be served before their deadline any more are told. What was
// learned under the old one is void.
func (h *host) setLimit(lim Limit, origins []Origin, told bool, now int64) {
	h.own, h.origins, h.told = lim, origins, told
	h.state.learned.forget(h.unknownRate())
	h.compose(now)
}

// unknownRate says whether how much the host takes has to be found out.
func (h *host) unknownRate() bool { return !h.told && h.own.Rate == 0 }

// compose puts the strictest of all that is known of the host in force.
func (h *host) compose(now int64) {
	h.limit, _ = stricter(h.own, h.announced.limit())
	h.limit, _ = stricter(h.limit, h.state.learned.sizes())
	to := newBounds(h.limit)
	to.gentle = !h.told && h.own.MaxConns == 0
	if r := h.remote; r != nil {
		r.news = r.number > 0 // else it is told with the first message
		if r.alone {
			to = to.part(r.sharing.alone)
		}
	}
	h.state.carry(&h.bounds, &to, now)
	h.bounds = to
	h.replan(now)
}

// replan sends everyone away who can no longer be served in time, and serves
// who can go. It looks at each waiter, so it is for rare events.
func (h *host) replan(now int64) {
	type refusal struct {
		w   *waiter
		err error
	}
	var late []refusal
	for p := range h.pools {
		for _, w := range p.waiters {
			at, by := h.state.ready(&h.bounds, w.rcpts, now)
			if err := h.bounds.tooMany(h.key, w.rcpts); err != nil {
				late = append(late, refusal{w, err})
			} else if by != "" && at != onEvent && w.deadline <= at {
				late = append(late, refusal{w, h.tooLate(w.deadline, at, by)})
			}
		}
	}
	for _, r := range late {
		h.leave(r.w, r.err)
	}
	h.dispatch(now)
}

// line is a heap of waiters or pools that know their place in it.
type line[T interface {
	comparable
	before(T) bool
	setPlace(int)
}] []T

func (l line[T]) Len() int           { return len(l) }
func (l line[T]) Less(i, j int) bool { return l[i].before(l[j]) }

func (l line[T]) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].setPlace(i)
	l[j].setPlace(j)
}

func (l *line[T]) Push(x any) {
	x.(T).setPlace(len(*l))
	*l = append(*l, x.(T))
}

func (l *line[T]) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	var none T
	(*l)[last] = none
	*l = (*l)[:last]
	x.setPlace(-1)
	return x
}
