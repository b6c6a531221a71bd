package smtpretry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// How one process talks with the store of a shared limiter about one host: the
// shell around what shared.go decides.

const (
	storeTimeout = 2 * time.Second              // for one Update
	storeAgain   = int64(time.Second)           // before the store is asked again after a failure
	storePoll    = int64(50 * time.Millisecond) // until others may have given something back
	storeLook    = int64(30 * time.Second)      // until what was said may have changed
	idleLook     = int64(time.Second)           // whether others want the connections that are idle here
	turnFor      = int64(2 * time.Second)       // a connection is used at least, when there are fewer than processes
	aloneFor     = 4 * int64(time.Second)       // after the store is back, so that all know of all who are alone
	mostEvents   = 1000                         // kept for a store that cannot be reached
)

// A remote is what a host of a shared limiter has told the store and heard from
// it. The host's own state is what the store said last, with what this process
// has done since. The host's mutex guards it.
type remote struct {
	*sharing
	node    string        // this host here, and no other that ever was: its numbers begin anew
	talking bool          // a conversation with the store is under way
	quiet   chan struct{} // is closed when that ends
	number  uint64        // of the last request
	served  uint64        // of the last that was answered
	seen    int64         // when that was served, by the store's clock

	told   share // what the store takes for this process's share
	others share
	hungry int // other processes that wait for a connection
	nodes  int

	events []event // that the store does not know
	first  uint64  // how many it was told before
	lone   event   // an eventAlone, of the messages that are none of the events

	want    want // of the first in line
	waits   bool // the store takes this process for one that wants something
	asked   bool // it has answered, with:
	granted bool
	at      int64 // ask again then
	until   int64 // it will not be granted before; onEvent: that is not known
	by      string

	heard int64 // when the store answered last
	lease int64 // its connections are its own so long
	held  int64 // likewise the tokens it holds
	renew int64
	down  error // the store's, since it was last reached
	news  bool  // h's own limit may have changed
	again int64 // when it is asked again
	alone bool  // this process keeps to its own part
	cut   bool  // so does h's state
	calm  int64 // it opens no connection before: others close what is beyond their part
	back  int64 // then it asks again; 0: the store is away
	left  bool  // the others leave it its part
}

// busy says whether the store still has to hear of h.
func (h *host) busy() bool {
	r := h.remote
	return r != nil && (r.talking || r.left || len(r.events) > 0 || r.lone.msgs > 0 || r.told != (share{}) || h.mine() != (share{}))
}

// mine returns what this process holds of h.
func (h *host) mine() share { return h.state.share().minus(h.remote.others) }

// shared says whether the store decides what may start.
func (h *host) shared() bool { return h.remote != nil && !h.remote.alone }

// tell notes for the store what was done to h's state.
func (h *host) tell(e event) {
	r := h.remote
	if r == nil {
		return
	}
	if r.alone && e.kind != eventReported {
		r.lone.add(e)
		return
	}
	if r.events = append(r.events, e); len(r.events) > mostEvents {
		r.lone.add(r.events[0]) // it is still counted, though not when it was
		r.events = slices.Clone(r.events[1:])
		r.first++
	}
	h.talk(h.limiter.now())
}

// oldest returns the pool whose oldest waiter is the first in line.
func (h *host) oldest() *pool {
	var p *pool
	if len(h.warm) > 0 {
		p = h.warm[0]
	}
	if len(h.cold) > 0 && (p == nil || h.cold[0].before(p)) {
		p = h.cold[0]
	}
	return p
}

// ask is dispatch where the store decides: it serves who has been granted, and
// says when the store is to be asked, or asked again.
func (h *host) ask(now int64) (wake int64) {
	r := h.remote
	for {
		p := h.oldest()
		if p == nil {
			h.refuseOnce(onEvent, bindConns)
			r.want, r.asked, r.granted = want{}, false, false
			return onEvent
		}
		w := p.waiters[0]
		is := want{any: true, rcpts: w.rcpts, dial: len(p.idle) == 0, room: h.idle.oldest != nil}
		if is != r.want {
			r.want, r.asked, r.granted, r.at, r.until, r.by = is, false, false, now, onEvent, ""
		}
		switch {
		case r.down != nil:
			h.refuseOnce(r.again, bindStore)
			return r.again
		case r.granted:
			r.granted, r.asked, r.at = false, false, now
			h.next(p)
			w.permit = h.take(p, w.rcpts)
			w.done <- struct{}{}
		case r.asked && r.until != onEvent && w.deadline <= r.until:
			h.leave(w, h.tooLate(w.deadline, r.until, r.by))
		default:
			if r.asked && r.at > now {
				h.refuseOnce(r.until, r.by)
			}
			if h.oldest() == p && p.waiters[0] == w {
				return r.at
			}
		}
	}
}

// refuseOnce sends those away who do not wait.
func (h *host) refuseOnce(at int64, by string) {
	if h.once == 0 {
		return
	}
	for p := range h.pools {
		for _, w := range slices.Clone(p.waiters) {
			if w.once {
				h.leave(w, h.notYet(at, by))
			}
		}
	}
}

// talk sees to it that the store is told and asked what there is.
func (h *host) talk(now int64) {
	if r := h.remote; r != nil && !r.talking && h.due(now) {
		r.talking, r.quiet = true, make(chan struct{})
		go h.converse()
	}
}

// due says whether there is something to tell or to ask.
func (h *host) due(now int64) bool {
	r := h.remote
	switch {
	case r.down != nil:
		return now >= r.again
	case r.alone:
		return now >= r.renew
	}
	wants := r.want.any && !r.granted && r.at <= now || r.waits && !r.want.any
	return r.news || len(r.events) > 0 || wants || h.mine() != r.told || r.told != (share{}) && now >= r.renew
}

// rest returns when something is due that time brings.
func (r *remote) rest() int64 {
	switch {
	case r == nil || r.talking:
		return onEvent
	case r.down != nil:
		return r.again
	case r.alone || r.told != (share{}):
		return r.renew
	}
	return onEvent
}

// converse talks with the store as long as there is something to say.
func (h *host) converse() {
	r := h.remote
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.due(h.limiter.now()) {
		q, sent := h.request(), h.limiter.now()
		h.mu.Unlock()
		s, p, err := r.update(h, &q)
		h.mu.Lock()
		now := h.limiter.now()
		if err != nil {
			h.lose(err, now)
		} else if !p.late {
			h.hear(&q, &s, &p, sent, now)
		}
	}
	r.talking = false
	close(r.quiet)
	h.arm(h.limiter.now(), onEvent) // for what is due later
}

// request makes the next one.
func (h *host) request() sharedRequest {
	r := h.remote
	own, _ := stricter(h.own, h.announced.limit())
	if r.alone && r.back > 0 && h.limiter.now() >= r.back {
		r.alone = false
	}
	r.number++
	r.news = false
	if r.down == nil && r.lone.msgs > 0 { // else it would be one more event with each try
		r.events = append(r.events, r.lone)
		r.lone = event{}
	}
	q := sharedRequest{node: r.node, number: r.number, lease: r.sharing.lease, told: h.told, own: own, share: h.mine(),
		first: r.first, events: r.events[:len(r.events):len(r.events)], missed: r.down != nil, served: r.served, seen: r.seen}
	if r.told != (share{}) {
		q.known = r.lease
	}
	if r.alone {
		q.part = r.sharing.alone
	} else if w := r.want; w.any {
		q.want = &w
	}
	r.waits = r.waits || q.want != nil
	return q
}

// update brings a request to the store. What the store said is on h's clock.
func (r *remote) update(h *host, q *sharedRequest) (s sharedHost, p sharedReply, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err = r.store.Update(ctx, h.key, func(stored []byte, at time.Time) ([]byte, time.Duration, error) {
		now := h.limiter.now()
		var shift int64
		var err error
		if s, shift, err = decodeShared(stored, at.UnixNano()-sharedEpoch, now); err != nil {
			return nil, 0, err
		}
		if q.seen != 0 && (len(stored) == 0 || s.seen-shift < q.seen || s.lacks(q, now)) && now-shift < later(q.seen, s.keep()) {
			q.missed = true // it has forgotten what it had confirmed
		}
		p = s.serve(q, now)
		p.seen = s.seen - shift
		return s.encode(shift), time.Duration(s.keep()), nil
	})
	return s, p, err
}

// sharedEpoch is what stored moments count from: the beginning of 2026.
const sharedEpoch = 1767225600 * int64(time.Second)

// lose notes that the store cannot be reached.
func (h *host) lose(err error, now int64) {
	r := h.remote
	r.down, r.again = err, later(now, storeAgain)
	r.granted, r.asked, r.back = false, false, 0
	if r.sharing.alone > 0 && !r.alone {
		r.alone = true
		h.part(now)
	}
	h.dispatch(now)
	if r.alone { // then who waits is in no hurry to be answered
		at, by := h.ahead(now)
		h.refuseOnce(at, cmp.Or(by, bindConns))
	}
}

// part leaves h's state the part that this process keeps to by itself.
func (h *host) part(now int64) {
	r := h.remote
	if r.cut {
		return
	}
	mine := h.mine()
	r.cut, r.others, r.hungry, r.calm = true, share{}, 0, later(now, aloneFor)
	h.state.setShare(mine)
	h.state.shrink(r.sharing.alone, now)
	h.state.drain(&h.bounds, now)
	h.compose(now)
}

// hear takes over what the store said to q, which was sent at the given moment.
func (h *host) hear(q *sharedRequest, s *sharedHost, p *sharedReply, sent, now int64) {
	r := h.remote
	mine := h.mine()
	r.down, r.heard = nil, now
	if known := q.first + uint64(len(q.events)); known > r.first {
		r.events = slices.Clone(r.events[known-r.first:])
		r.first = known
	}
	r.served, r.seen = q.number, p.seen
	r.told, r.waits = p.share, q.want != nil && !p.granted
	r.lease = sent + r.sharing.lease - r.sharing.lease/10
	r.held = sent + heldFor - heldFor/10
	r.renew = later(now, r.sharing.lease/3)
	r.left = r.alone
	if r.alone {
		if r.back == 0 {
			r.back = later(now, aloneFor)
		}
		r.renew = min(r.renew, later(now, storeAgain), r.back)
		if q.missed && r.lone.msgs > 0 { // q came while the store was away, without them
			r.renew = now
		}
		h.dispatch(now)
		return
	}
	r.cut, r.back = false, 0
	r.others, r.hungry, r.nodes = p.others, p.hungry, p.nodes
	if p.share != p.share.conns() {
		r.renew = min(r.renew, later(now, heldFor/3))
	}
	if h.idle.oldest != nil {
		r.renew = min(r.renew, later(now, idleLook))
	}
	if q.want != nil && *q.want == r.want {
		r.asked, r.granted, r.until, r.by = true, p.granted, p.at, p.by
		switch {
		case p.granted:
		case p.at == onEvent:
			r.at = later(now, storePoll)
		default:
			r.at = min(p.ask, later(now, storeLook))
		}
	}
	was, limit := h.state.pause, h.limit
	h.state, h.bounds, h.limit = s.state, s.bounds(), s.limit
	held := p.others.plus(mine)
	h.state.setShare(held)
	for i := range r.events { // which came after q
		h.state.apply(&r.events[i], &h.bounds, now)
	}
	h.state.setShare(held) // what is charged is no part of it any more
	if was.row > 0 && h.state.pause.row == 0 {
		h.rouse(now) // others have seen it work
	}
	if !limit.equal(h.limit) || h.state.pause.until > was.until {
		h.replan(now)
	} else {
		h.dispatch(now)
	}
}

// yields says whether l's connection is to be closed for another process.
func (h *host) yields(l *link, now int64) bool {
	r := h.remote
	return r != nil && r.hungry > 0 && h.bounds.maxConns > 0 && h.mine().open > h.bounds.maxConns/max(r.nodes, 1) && now-l.opened >= turnFor
}

// unwanted says whether the connections that are idle here are better used by
// other processes.
func (h *host) unwanted() bool { return h.remote != nil && h.remote.hungry > 0 && h.waiting == 0 }

// stale says whether the store is better asked again before somebody is sent away
// for what it said: a limit of another process may not be in force any more.
func (r *remote) stale(now int64) bool {
	return r != nil && !r.alone && r.down == nil && now >= later(r.heard, storeLook)
}

// lapsed says whether the store may have given away what this process holds. It
// cannot if it was not told of anything.
func (h *host) lapsed() bool {
	return h.shared() && h.remote.told.open > 0 && h.limiter.now() >= h.remote.lease
}

// void says that g's message must not be started any more.
func (g *permit) void() bool {
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lapsed() || h.shared() && h.limiter.now() >= h.remote.held
}

// errLapsed: no message is sent by a permit that others may have by now.
var errLapsed = &fault{rule: ruleLapsed, class: Temporary, cause: CauseNetwork, scope: ScopeMessage,
	msg: "the limiter's store was not reached in time, so that what it had granted may be another process's"}

const ruleLapsed = "lease-lapsed"

// farewell waits until the store knows what was given back, for a second at most.
func (h *host) farewell() {
	if h.remote == nil {
		return
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		h.mu.Lock()
		h.talk(h.limiter.now())
		quiet, talking := h.remote.quiet, h.remote.talking
		h.mu.Unlock()
		if !talking {
			return
		}
		select {
		case <-quiet:
		case <-timer.C:
			return
		}
	}
}

// sharingText says for people how h is shared.
func (h *host) sharingText() string {
	r := h.remote
	switch {
	case r == nil:
		return ""
	case r.alone && r.down == nil:
		return fmt.Sprintf("is back: until all others know, this process keeps to %g of each limit", r.sharing.alone)
	case r.alone:
		return fmt.Sprintf("cannot be reached (%v): this process keeps to %g of each limit", r.down, r.sharing.alone)
	case r.down != nil:
		return fmt.Sprintf("cannot be reached (%v): nothing is sent", r.down)
	case r.number == 0:
		return "has not been asked yet"
	}
	return fmt.Sprintf("knows of %d connections of other processes", r.others.open)
}
