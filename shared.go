package smtpretry

import (
	"slices"
	"time"
)

// What several processes know of one host together, and what becomes of it when
// one of them tells what it did and asks for more. It is pure, as bucket.go is, and
// decides by the same functions: a store only has to keep the value and tell the
// time.
//
// Each process tells all that it holds, not what has changed: what was granted
// and never reached it is free again as soon as it tells the next time. Its share
// is its own for a lease. When that has run out, what it held is taken for used.

const (
	// heldFor is how long tokens are a process's own that it does not use. It has
	// them for a moment only, unless it opens a connection, and tells so.
	heldFor = int64(2 * time.Second)

	// askWithin is how late a process may ask that was told when to.
	askWithin = int64(200 * time.Millisecond)
)

// A sharedHost is what a store keeps of one host.
type sharedHost struct {
	seen    int64 // when a process was last here
	skew    int64 // how far the store's clock has gone back in all
	unknown bool  // nobody has told the rate
	limit   Limit // by which state counts: the strictest of the processes', and of what was learned
	state   hostState
	nodes   []node
}

// A node is a process that has something of the host, or waits for it.
type node struct {
	name    string
	request uint64  // its latest
	events  uint64  // how many of its events have been taken over
	heard   int64   // when it was here last
	until   int64   // its connections are its own so long
	ask     int64   // when it was told to ask again
	waits   int64   // since when it has not been granted what it wants; 0: it wants nothing, or has just been
	hungry  int64   // since when it has waited for a connection that others have; 0: it does not
	part    float64 // of the limits, that it keeps to without asking; 0: it asks
	told    bool    // by SetLimit
	own     Limit
	share   share
}

// A share is what one process holds, or some together.
type share struct {
	msgs, rcpts, learned, dials int64 // tokens
	open, proven                int   // connections
	unanswered                  int64
	probe                       bool
}

func (a share) plus(b share) share {
	return share{a.msgs + b.msgs, a.rcpts + b.rcpts, a.learned + b.learned, a.dials + b.dials,
		a.open + b.open, a.proven + b.proven, a.unanswered + b.unanswered, a.probe || b.probe}
}

func (a share) minus(b share) share {
	return share{a.msgs - b.msgs, a.rcpts - b.rcpts, a.learned - b.learned, a.dials - b.dials,
		a.open - b.open, a.proven - b.proven, a.unanswered - b.unanswered, a.probe && !b.probe}
}

// conns returns the part of a share that is no matter of a moment.
func (a share) conns() share { return share{open: a.open, proven: a.proven} }

// share returns what is held of s.
func (s *hostState) share() share {
	return share{s.msgs.held, s.rcpts.held, s.learned.rate.bucket.held, s.dials.held, s.open, s.proven, s.unanswered, s.probe}
}

func (s *hostState) setShare(x share) {
	s.msgs.held, s.rcpts.held, s.learned.rate.bucket.held, s.dials.held = x.msgs, x.rcpts, x.learned, x.dials
	s.open, s.proven, s.unanswered, s.probe = x.open, x.proven, x.unanswered, x.probe
}

// An event is what a process does to what all know of a host.
type event struct {
	kind  eventKind
	msgs  int64  // that were charged
	rcpts int64  // of these
	from  int64  // when an attempt began
	at    int64  // when it ended
	back  int64  // when those come back who were refused; never: others are there
	what  report // of the attempt
}

type eventKind uint8

const (
	eventAlone    eventKind = iota // messages, some time ago: nobody was asked, or it was not heard
	eventCharged                   // a message
	eventStarted                   // likewise, for what was learned
	eventDialled                   // a connection
	eventProven                    // the host took a connection
	eventReported                  // an attempt has ended
)

// apply does to s what e says.
func (s *hostState) apply(e *event, b *bounds, now int64) {
	switch e.kind {
	case eventAlone:
		msgs, rcpts := s.msgs, s.rcpts // its part of them came in meanwhile
		s.charge(b, e.msgs, e.rcpts, now)
		s.msgs, s.rcpts = msgs, rcpts
	case eventCharged:
		s.charge(b, e.msgs, e.rcpts, now)
	case eventStarted:
		s.learned.charge(now)
	case eventDialled:
		s.dials = s.dials.charge(b.dials, 1, now)
	case eventProven:
		s.dialPause.row = 0
		s.learned.conns = s.learned.conns.take(s.proven)
	case eventReported:
		s.observe(&e.what, e.from, e.at, e.back)
	}
}

// add counts what was charged with e among the messages of an eventAlone.
func (e *event) add(o event) { e.msgs, e.rcpts = e.msgs+o.msgs, e.rcpts+o.rcpts }

// A want is a message that a process would start.
type want struct {
	any   bool
	rcpts int  // 0: just a connection
	dial  bool // over a new connection
	room  bool // for which it would close an idle one
}

// A sharedRequest is what a process tells and asks.
type sharedRequest struct {
	node   string
	number uint64 // the next after its last
	lease  int64
	told   bool
	own    Limit
	share  share
	first  uint64 // how many events it had told before
	events []event
	missed bool    // the store was away or has forgotten: what it says was saved may have been used
	served uint64  // the last that was answered
	seen   int64   // when that was served, by the store's clock; 0: there was none
	known  int64   // the store must know of the process until then, as it has something
	part   float64 // of the limits, that it keeps to without asking; 0: it asks
	want   *want
}

// A sharedReply is what it is told beside the state.
type sharedReply struct {
	seen    int64 // now, by the store's clock
	share   share // what is taken for its own now
	late    bool  // the request was overtaken by a later one of the same process
	granted bool
	at      int64 // it will not be before, if not; onEvent: that is not known
	ask     int64 // when to ask again: others have waited longer
	by      string
	others  share
	hungry  int // other processes that wait for a connection
	nodes   int // processes with connections, or waiting for one
}

// lacks says whether s knows less of a process than it had confirmed; another one may
// have been here since.
func (s *sharedHost) lacks(r *sharedRequest, now int64) bool {
	i := s.find(r.node)
	return i < 0 && now < r.known || i >= 0 && s.nodes[i].request < r.served
}

func (s *sharedHost) find(name string) int {
	return slices.IndexFunc(s.nodes, func(n node) bool { return n.name == name })
}

// serve takes over what a process tells, and grants what it asks for, or not.
func (s *sharedHost) serve(r *sharedRequest, now int64) sharedReply {
	b := s.bounds()
	s.expire(&b, r.lease, now)
	s.seen = now
	i := s.find(r.node)
	if i < 0 {
		i = len(s.nodes)
		s.nodes = append(s.nodes, node{name: r.node, events: r.first})
	}
	n := &s.nodes[i]
	if n.request >= r.number {
		return sharedReply{late: true}
	}
	n.request, n.heard, n.until, n.part, n.told, n.own, n.share = r.number, now, later(now, r.lease), r.part, r.told, r.own, r.share
	s.total()
	for j := range r.events {
		if r.first+uint64(j) >= n.events { //nolint:gosec // an index
			s.state.apply(&r.events[j], &b, now)
			s.total() // what is charged is not held any more, which the share says too
		}
	}
	n.events = r.first + uint64(len(r.events))
	b = s.compose(b, now) // a store that has forgotten all has no limit before
	if r.missed {
		s.state.drain(&b, now)
	}
	s.total()

	var p sharedReply
	if r.want != nil {
		p.at, p.by = s.grant(&b, n, r.want, now)
		p.granted = p.at <= now
		s.total()
	}
	if r.want == nil || p.granted {
		n.waits = 0
	} else if n.waits == 0 {
		n.waits = now
	}
	p.ask = s.turn(&b, n, p.at, p.by, now)
	n.ask = p.ask
	if hungry := r.want != nil && !p.granted && r.want.dial && p.by == bindConns; !hungry {
		n.hungry = 0
	} else if n.hungry == 0 {
		n.hungry = now
	}
	for _, o := range s.nodes {
		if o.name != r.node {
			p.others = p.others.plus(o.share)
			if o.hungry > 0 {
				p.hungry++
			}
		}
		if o.share.open > 0 || o.hungry > 0 {
			p.nodes++
		}
	}
	p.share = n.share
	if n.share == (share{}) && r.want == nil && r.part == 0 { // else the others have to leave it its part
		s.nodes = slices.Delete(s.nodes, i, i+1)
	}
	return p
}

// grant gives n what it wants if it can be had, else it says from when.
func (s *sharedHost) grant(b *bounds, n *node, w *want, now int64) (at int64, by string) {
	if at, by = s.state.ready(b, w.rcpts, now); at > now {
		return at, by
	}
	room := w.room && b.maxConns > 0 && s.state.open >= b.maxConns
	if w.dial {
		open := s.state.open
		if room {
			open--
		}
		if at, by = s.state.readyToDial(b, open, now); at > now {
			return at, by
		}
		// Who has waited longer goes first.
		older := 0
		for _, o := range s.nodes {
			if o.name != n.name && o.hungry > 0 && (n.hungry == 0 || o.hungry < n.hungry) {
				older++
			}
		}
		if b.maxConns > 0 && !room && s.state.open+older >= b.maxConns {
			return onEvent, bindConns
		}
		n.share.dials++
		if !room {
			n.share.open++
		}
	}
	if w.rcpts > 0 {
		n.share.msgs++
		n.share.rcpts += int64(w.rcpts)
		n.share.learned++
		n.share.probe = n.share.probe || s.state.pause.row > 0
	}
	return now, ""
}

// turn returns when n, who will not be granted anything before at, best asks again:
// so much later as those who have waited longer will take, unless they seem to be
// gone.
func (s *sharedHost) turn(b *bounds, n *node, at int64, by string, now int64) int64 {
	every := int64(0)
	switch {
	case at == onEvent:
	case by == bindRate:
		every = b.msgs.every
	case by == bindLearned:
		every = s.state.learned.rate.pace.every
	}
	for _, o := range s.nodes {
		if o.waits > 0 && o.waits < n.waits && now < later(o.ask, askWithin) {
			at = later(at, every)
		}
	}
	return at
}

// expire takes away what processes hold that have not been heard of for long:
// tokens first, since others need them soon, and connections after a lease. If
// nobody was heard of, the store was away, or there was nothing to do: then the time
// begins anew.
func (s *sharedHost) expire(b *bounds, lease, now int64) {
	silent := now - s.seen
	s.total()
	for i := range s.nodes {
		n := &s.nodes[i]
		if silent > lease {
			n.until = max(n.until, later(now, lease)) // its own may be longer
		}
		if silent > heldFor {
			n.heard = now
		}
		if later(n.heard, heldFor) > now && n.until > now {
			continue
		}
		s.state.charge(b, n.share.msgs, n.share.rcpts, now)
		s.state.learned.rate.bucket = s.state.learned.rate.bucket.charge(s.state.learned.rate.pace, n.share.learned, now)
		s.state.dials = s.state.dials.charge(b.dials, n.share.dials, now)
		n.share = n.share.conns()
	}
	s.nodes = slices.DeleteFunc(s.nodes, func(n node) bool { return n.until <= now })
	s.total()
}

// total counts together what the processes hold.
func (s *sharedHost) total() {
	var all share
	for _, n := range s.nodes {
		all = all.plus(n.share)
	}
	s.state.setShare(all)
}

// compose puts the strictest in force of what the processes go by, and of what
// was learned. Processes that are not there have no say.
func (s *sharedHost) compose(from bounds, now int64) bounds {
	var lim Limit
	told := false
	for i, n := range s.nodes {
		if told = told || n.told; i == 0 {
			lim = n.own.clone()
		} else {
			lim, _ = stricter(lim, n.own)
		}
	}
	if unknown := !told && lim.Rate == 0; unknown != s.unknown {
		s.unknown = unknown
		s.state.learned.forget(unknown)
	}
	lim, _ = stricter(lim, s.state.learned.sizes())
	same := lim.equal(s.limit)
	s.limit = lim
	to := s.bounds()
	if !same || to.msgs != from.msgs || to.rcpts != from.rcpts || to.dials != from.dials || to.whole != from.whole {
		s.state.carry(&from, &to, now)
	}
	return to
}

// bounds returns the limit made ready for deciding, less what processes have that
// do not ask.
func (s *sharedHost) bounds() bounds {
	b := newBounds(s.limit)
	b.gentle = s.limit.MaxConns == 0
	rest := 1.0
	for _, n := range s.nodes {
		b.gentle = b.gentle && !n.told
		rest -= n.part
	}
	if rest < 1 {
		b = b.part(max(rest, 1e-6))
	}
	return b
}

// keep is how long what is known of the host matters to anybody.
func (s *sharedHost) keep() int64 {
	most := 2 * lessonMemory
	for _, list := range [][]Quota{s.limit.Quotas, s.limit.RecipientQuotas} {
		for _, q := range list {
			most = max(most, 2*int64(q.Per))
		}
	}
	return min(most, int64(longestSaved))
}

func (lim Limit) equal(o Limit) bool {
	same := slices.Equal(lim.Quotas, o.Quotas) && slices.Equal(lim.RecipientQuotas, o.RecipientQuotas)
	return same && lim.Rate == o.Rate && lim.Burst == o.Burst && lim.Recipients == o.Recipients && lim.NewConns == o.NewConns &&
		lim.MaxConns == o.MaxConns && lim.PerConn == o.PerConn && lim.PerMessage == o.PerMessage
}
