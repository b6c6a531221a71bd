package smtpretry

import (
	"io"
	"slices"
	"time"
)

// A pool is one client's connections to one host. Its methods are safe for
// concurrent use; its fields are guarded by the host's mutex.
type pool struct {
	host    *host
	max     int
	open    int     // connections, idle ones and those being closed included
	idle    []*link // the last used at the end
	waiters line[*waiter]
	line    *line[*pool] // of the host's, that it stands in; nil: none
	place   int          // in it
	closed  bool
	spare   []permit
}

func (p *pool) before(q *pool) bool { return p.waiters[0].before(q.waiters[0]) }
func (p *pool) setPlace(i int)      { p.place = i } //nolint:unused // line calls it

// A link is one connection, from the permission to open it to its end.
type link struct {
	pool       *pool
	conn       io.Closer // while it is idle
	since      int64     // when it became idle
	opened     int64     // when its slot was taken
	proven     bool      // MAIL was answered on it: the host took it
	adopted    bool      // cannot be replaced: is never closed for being idle or in the way
	prev, next *link     // in the host's list of idle connections
}

// A permit allows one message to start, over one connection.
type permit struct {
	conn io.Closer // the idle connection to use; nil: open one

	link       *link
	rcpts      int
	stage      permitStage
	dialling   bool      // holds a token for a new connection
	evicted    io.Closer // has to be closed first: the new connection gets its slot
	startedAt  int64
	unanswered bool // MAIL has gone out and has no reply yet
	probe      bool // others wait for what it meets

	next   *permit       // whose message follows the dot of this one's
	behind bool          // this one's did
	turn   chan struct{} // tells it that it has the connection now; nil: it has, or has left
	there  chan struct{} // tells the one before that group is set, or will not be
	group  []byte        // its commands, to go out with that one's dot
	late   bool          // the dot is on its way: nothing can go with it
	left   bool          // it has not waited for its turn
	wrote  bool          // but its commands have gone out
	gone   bool          // the connection has ended before
}

// A permitStage says what became of a permit so far.
type permitStage uint8

const (
	permitHeld    permitStage = iota // the message has not been offered
	permitStarted                    // MAIL has gone out, not charged yet
	permitCharged                    // MAIL has gone out and is charged
	permitEnded                      // released
)

// perMessage returns how many of rcpts recipients one transaction may have: the
// quotas let no more through at once than they hold.
func (p *pool) perMessage(rcpts int) int {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if most := p.host.limit.PerMessage; most > 0 {
		rcpts = min(rcpts, most)
	}
	for _, q := range p.host.limit.RecipientQuotas {
		rcpts = min(rcpts, q.N)
	}
	return rcpts
}

// perConn returns how many messages a connection may carry; 0: any number.
func (p *pool) perConn() int {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.host.limit.PerConn
}

// adopt takes over a connection that exists, as an idle one. If it is the
// only one there will ever be, it stays until close.
func (p *pool) adopt(conn io.Closer, only bool) {
	h := p.host
	h.mu.Lock()
	defer h.mu.Unlock()
	p.open++
	h.state.open++
	h.keep(&link{pool: p, adopted: only}, conn, h.limiter.now())
	h.dispatch(h.limiter.now())
}

// newPermit returns a fresh permit. They are made in small batches and not
// used again: a late second release must not end another message's permit.
func (p *pool) newPermit() *permit {
	if len(p.spare) == 0 {
		p.spare = make([]permit, 16)
	}
	g := &p.spare[0]
	p.spare = p.spare[1:]
	return g
}

// ready does what is left before g can be used. A new connection is charged
// at the end of it, when whoever holds g is about to open it.
func (g *permit) ready() *permit {
	if !g.dialling {
		return g
	}
	g.makeRoom()
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.limiter.now()
	g.dialling = false
	h.state.dials = h.state.dials.charge(h.bounds.dials, 1, now)
	h.tell(event{kind: eventDialled})
	if h.waiting > 0 {
		h.dispatch(now)
	}
	return g
}

// lower hands back what g holds for more than n recipients, before the
// message is started.
func (g *permit) lower(n int) {
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if n >= g.rcpts || g.stage != permitHeld {
		return
	}
	h.state.rcpts.held -= int64(g.rcpts - n)
	g.rcpts = n
	h.dispatch(h.limiter.now())
}

// announce tells the host's limits as a server has announced them.
func (p *pool) announce(a ehloLimits) {
	h := p.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.announced != a {
		h.announced = a
		h.compose(h.limiter.now())
	}
}

// makeRoom closes the connection whose slot g was given.
func (g *permit) makeRoom() {
	if g.evicted != nil {
		_ = g.evicted.Close() // it was idle: no message is under way on it
		g.evicted = nil
	}
}

// started is called right before MAIL is written.
func (g *permit) started() {
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.stage == permitHeld {
		h.start(g)
	}
}

// start counts g's message as begun.
func (h *host) start(g *permit) {
	g.stage, g.unanswered = permitStarted, true
	h.state.unanswered++
	g.startedAt = h.limiter.now()
	h.state.learned.charge(g.startedAt)
	h.tell(event{kind: eventStarted})
	if !g.behind && h.mailTrip >= h.bounds.grace {
		h.charge(g, g.startedAt)
	} else if h.waiting > 0 {
		h.dispatch(g.startedAt)
	}
}

// prove notes that the host has taken a connection.
func (h *host) prove(l *link) {
	if l.proven {
		return
	}
	l.proven = true
	s := &h.state
	s.proven++
	s.dialPause.row = 0
	s.learned.conns = s.learned.conns.take(s.proven)
	h.tell(event{kind: eventProven})
}

// lost notes that the permit's connection cannot be used any more, before
// release says so too.
func (g *permit) lost() {
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unprove(g.link)
}

func (h *host) unprove(l *link) {
	if l.proven {
		l.proven = false
		h.state.proven--
	}
}

// works says whether the host serves other connections, so that one refused
// was one too many.
func (p *pool) works() bool {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.host.state.proven > 0
}

// counted is called when the reply to MAIL has been read. After a refusal the
// others have to wait for what it teaches.
func (g *permit) counted(taken bool) {
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.stage != permitStarted && g.stage != permitCharged {
		return
	}
	now := h.limiter.now()
	if !g.behind {
		h.mailTrip = now - g.startedAt
	}
	h.prove(g.link)
	if g.stage == permitStarted {
		h.spend(g, now)
	}
	if !taken {
		return
	}
	g.answer()
	if h.waiting > 0 {
		h.dispatch(now)
	}
}

// answer notes that MAIL has its reply, or gets none any more.
func (g *permit) answer() {
	if g.unanswered {
		g.unanswered = false
		g.link.pool.host.state.unanswered--
	}
}

// charge counts g's message, after which others may know when to go.
func (h *host) charge(g *permit, now int64) {
	h.spend(g, now)
	if h.waiting > 0 {
		h.dispatch(now)
	}
}

func (h *host) spend(g *permit, now int64) {
	g.stage = permitCharged
	h.state.charge(&h.bounds, 1, int64(g.rcpts), now)
	h.tell(event{kind: eventCharged, msgs: 1, rcpts: int64(g.rcpts)})
}

// release ends the permit; a second call does nothing. If conn is not nil it
// is kept as an idle connection, or closed if there is no place for it. If
// the message was never started, its share of the limits is handed back; a
// connection that was opened stays counted, as the server has seen it.
func (g *permit) release(conn io.Closer) {
	l := g.link
	h := l.pool.host
	h.mu.Lock()
	if g.stage == permitEnded {
		h.mu.Unlock()
		return
	}
	now := h.limiter.now()
	switch g.stage {
	case permitHeld:
		h.state.letGo(g.rcpts)
	case permitStarted:
		h.spend(g, now)
	}
	g.stage = permitEnded
	g.answer()
	if g.probe {
		h.state.probe = false
	}
	if g.dialling {
		h.state.dials.held--
		g.dialling = false
	}
	g.conn = nil
	if g.gone {
		conn = nil
	}
	how := io.Closer.Close // no message is under way on it
	cut := g.next != nil && g.next.wrote
	if cut {
		how = cutOff
	}
	hangUp := conn != nil && (cut || l.pool.closed || (h.crowded() > 0 || h.yields(l, now)) && !l.adopted)
	switch {
	case g.left || g.giveTurn(conn): // it is another one's
		hangUp = false
	case hangUp:
		l.conn = conn
		h.closing++
	case conn != nil:
		h.keep(l, conn, now)
	default:
		h.drop(l)
	}
	h.dispatch(now)
	h.mu.Unlock()
	if hangUp {
		_ = h.hangUp(l, how)
	}
}

// A report is what the limiter is told of an attempt.
type report struct {
	verdict  Verdict // the gravest; zero: none
	accepted bool    // by at least one recipient
	began    time.Time
	at       time.Time
	back     time.Time // when those come back who were refused; zero: they do not
	carried  int       // transactions on the connection before this one, whose MAIL was taken
	most     int       // recipients that were taken when one more was too many; 0: none was
}

// count notes that a message for the host is there, or settled.
func (p *pool) count(by int) {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	p.host.messages += by
}

// observe tells the limiter what an attempt met. A refusal that is about the
// whole host pauses it once for everybody, longer each time it is the next in
// a row.
func (p *pool) observe(r report) {
	h := p.host
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.limiter.at(r.at)
	paused, sizes := h.state.pause.until, h.state.learned.sizes()
	back := never
	if h.messages <= 1 && !r.back.IsZero() {
		back = h.limiter.at(r.back)
	}
	h.state.observe(&r, h.limiter.at(r.began), now, back)
	h.tell(event{kind: eventReported, from: h.limiter.at(r.began), at: now, back: back, what: r})
	if r.serves() {
		h.rouse(h.limiter.at(r.began))
	}
	switch after := h.state.learned.sizes(); {
	case after.PerConn != sizes.PerConn || after.PerMessage != sizes.PerMessage || !slices.Equal(after.Quotas, sizes.Quotas):
		h.compose(now)
	case h.state.pause.until > paused:
		h.replan(now)
	case h.waiting > 0:
		h.dispatch(now)
	}
}

// close ends the pool: those who wait in it get ErrClosed, and what is
// released later is not kept. The idle connections are for the caller to
// close; each keeps its slot until its Close has returned.
func (p *pool) close() []lastClose {
	h := p.host
	h.mu.Lock()
	p.closed = true
	for len(p.waiters) > 0 {
		h.leave(p.waiters[0], ErrClosed)
	}
	var idle []lastClose
	for len(p.idle) > 0 {
		l := p.idle[len(p.idle)-1]
		h.unkeep(l)
		h.closing++
		idle = append(idle, lastClose{l})
	}
	delete(h.pools, p)
	h.dispatch(h.limiter.now())
	h.mu.Unlock()
	h.limiter.park(h)
	return idle
}

// A lastClose is an idle connection of a pool that is closed.
type lastClose struct{ link *link }

// end closes it in the caller's way.
func (c lastClose) end(how func(io.Closer) error) error {
	h := c.link.pool.host
	err := h.hangUp(c.link, how)
	h.limiter.park(h)
	return err
}

// An idleList holds the idle connections of all pools of a host in the order
// in which they became idle.
type idleList struct{ oldest, newest *link }

func (l *idleList) push(x *link) {
	x.prev, x.next = l.newest, nil
	if l.newest != nil {
		l.newest.next = x
	} else {
		l.oldest = x
	}
	l.newest = x
}

func (l *idleList) remove(x *link) {
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		l.oldest = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		l.newest = x.prev
	}
	x.prev, x.next = nil, nil
}
