package smtpretry

import (
	"container/heap"
	"context"
	"fmt"
	"time"
)

// A waiter is one call of acquire that could not be served at once, or a
// message that waits for its time and for the host.
type waiter struct {
	since    int64
	arrival  uint64
	failed   int64 // of one that waits for the host: when that failed it
	rcpts    int
	until    int64         // when its own time is over; never if its context ends before
	deadline int64         // the same, or its context's; never if it has none
	pool     *pool         // in whose line it stands
	place    int           // in that, or among those who wait for the host; -1 when it has left
	expires  int           // place in host.expiring, if until is not never
	by       string        // the limit that it waits for; empty: none, or the store's answer only
	at       int64         // until when at least; never if that is not known
	behind   bool          // may go behind the final dot of another message: the permit is for a connection still in use
	once     bool          // does not wait but for the store's answer
	done     chan struct{} // permit or err has been set; then, if behind another, its turn has come. nil: there was no wait
	permit   *permit
	err      error
}

func (w *waiter) before(v *waiter) bool {
	if w.since != v.since {
		return w.since < v.since
	}
	return w.arrival < v.arrival
}

func (w *waiter) setPlace(i int) { w.place = i } //nolint:unused // line calls it

// An expiring is a waiter among those whose time is over before that of their
// context. The host's timer ends their waits; a context with a timer for each
// would take more than all the rest of what a message holds while it waits.
type expiring struct{ *waiter }

func (e expiring) before(f expiring) bool { return e.until < f.until } //nolint:unused // line calls it
func (e expiring) setPlace(i int)         { e.expires = i }            //nolint:unused // line calls it

// stand makes w fit to wait in p's line, with a message for rcpts recipients that
// is there since a moment, until another if that is not zero.
func (w *waiter) stand(p *pool, since, until time.Time, rcpts int) *waiter {
	*w = waiter{pool: p, since: p.host.limiter.at(since), until: never, rcpts: rcpts}
	if !until.IsZero() {
		w.until = p.host.limiter.at(until)
	}
	return w
}

// acquire waits until the message of w may start and has a connection: all of
// it or nothing. Those who wait are served in the order of since; waiting, if
// not nil, is called once when there is a wait, without any lock held.
//
// The error is a *LimitError when it is certain that the wait would pass the
// deadline, or w does not wait; a *WaitError when the time for it, or the context,
// has ended; ErrClosed after close; and a *tooManyRecipientsError when no wait
// would help.
//
// Most of those who wait do it here, within the 2 KiB of stack that a goroutine
// begins with: from Send to here, and in what is called on the way, frames are
// kept small.
func (w *waiter) acquire(ctx context.Context, waiting func(context.Context, Wait)) (*permit, error) {
	err := w.heed(ctx)
	if err == nil {
		err = w.pool.host.enter(w)
	}
	if err != nil {
		return nil, err
	}
	if w.by != "" && waiting != nil {
		w.report(ctx, waiting)
	}
	if w.done != nil {
		select {
		case <-w.done:
		case <-ctx.Done():
			w.pool.host.abandon(w, context.Cause(ctx))
			<-w.done
		}
	}
	return w.served(ctx)
}

// heed takes over the context's deadline. The error says that it has ended.
func (w *waiter) heed(ctx context.Context) error {
	if ctx.Err() != nil {
		return w.ended(context.Cause(ctx))
	}
	w.deadline = never
	if w.once {
		w.until = never
		return nil
	}
	if t, ok := ctx.Deadline(); ok {
		w.deadline = w.pool.host.limiter.at(t)
	}
	if w.until >= w.deadline {
		w.until = never
	} else {
		w.deadline = w.until
	}
	return nil
}

// enter serves w at once or puts it in the line.
func (h *host) enter(w *waiter) error {
	if h.limiter.fault != nil {
		return h.limiter.fault
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p, now := w.pool, h.limiter.now()
	if p.closed {
		return ErrClosed
	}
	if err := h.bounds.tooMany(h.key, w.rcpts); err != nil {
		return err
	}
	if h.waiting == 0 {
		if w.permit = h.admit(p, w.rcpts, now); w.permit != nil {
			return nil
		}
	}
	if w.once {
		at, by := h.blocked(p, w.rcpts, now)
		if !h.shared() || h.waiting > 0 || len(p.idle) == 0 && p.open >= p.max {
			return h.notYet(at, by)
		}
	}
	return h.queue(p, w, now)
}

// notYet is the refusal of somebody who does not wait.
func (h *host) notYet(at int64, by string) error {
	late := &LimitError{Host: h.key, For: by}
	if at < never {
		late.Until = h.limiter.time(at)
	}
	return late
}

// served returns what w was given; its context may have ended meanwhile.
func (w *waiter) served(ctx context.Context) (*permit, error) {
	switch {
	case w.err != nil:
		return nil, w.err
	case w.done != nil && ctx.Err() != nil:
		w.decline()
		return nil, w.ended(context.Cause(ctx))
	}
	return w.permit.ready(), nil
}

// decline hands back what w was given, if anything.
func (w *waiter) decline() {
	if g := w.permit; g != nil {
		g.makeRoom()
		g.leave()
		g.release(g.conn)
	}
}

// ended is the error for a wait that has come to its end.
func (w *waiter) ended(cause error) error {
	return &WaitError{Host: w.pool.host.key, For: w.by, Err: cause}
}

// queue puts w in the line, unless its wait would be too long.
func (h *host) queue(p *pool, w *waiter, now int64) error {
	at, by := h.state.ready(&h.bounds, w.rcpts, now)
	if by != "" && at != onEvent && w.deadline <= at && !h.remote.stale(now) {
		return h.tooLate(w.deadline, at, by)
	}
	w.done = make(chan struct{}, 2)
	h.arrivals++
	w.arrival = h.arrivals
	h.waiting++
	if w.once {
		h.once++
	}
	heap.Push(&p.waiters, w)
	if w.until < never {
		heap.Push(&h.expiring, expiring{w})
	}
	h.arrange(p)
	h.dispatch(now)
	if w.place >= 0 {
		w.at, w.by = h.blocked(p, w.rcpts, now)
	}
	return w.err
}

// report tells what w waits for. A panic of the caller's function, who may go on
// after it, leaves nothing behind.
func (w *waiter) report(ctx context.Context, waiting func(context.Context, Wait)) {
	wait := Wait{Host: w.pool.host.key, For: w.by}
	if w.at < never {
		wait.Until = w.pool.host.limiter.time(w.at)
	}
	ended := false
	defer func() {
		if !ended {
			w.pool.host.abandon(w, nil)
			<-w.done
			w.decline()
		}
	}()
	waiting(ctx, wait)
	ended = true
}

// doze waits for the host, which failed at the given moment: what it returns
// is done when the host has served somebody who came after that. It must rise.
func (p *pool) doze(since, failed time.Time) *waiter {
	h := p.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrivals++
	w := &waiter{since: h.limiter.at(since), arrival: h.arrivals, failed: h.limiter.at(failed), place: -1, done: make(chan struct{}, 1)}
	if h.served > w.failed {
		w.done <- struct{}{}
	} else {
		heap.Push(&h.asleep, w)
	}
	return w
}

// rise ends what doze began.
func (p *pool) rise(w *waiter) {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if w.place >= 0 {
		heap.Remove(&p.host.asleep, w.place)
	}
}

// rouse tells those who wait for the host that it served somebody who came at
// began. Only two are told, the oldest, to stand in the line: when they are
// served they rouse two each, so all are back soon, and never at once.
func (h *host) rouse(began int64) {
	h.served = max(h.served, began)
	for range 2 {
		if len(h.asleep) == 0 || h.asleep[0].failed >= began {
			return
		}
		heap.Pop(&h.asleep).(*waiter).done <- struct{}{}
	}
}

// blocked says what a message in p waits for: the limit that is last to let
// it go, or what the older ones ahead of it wait for.
func (h *host) blocked(p *pool, rcpts int, now int64) (at int64, by string) {
	if h.shared() && h.remote.down != nil {
		return h.remote.again, bindStore
	}
	at, by = h.state.ready(&h.bounds, rcpts, now)
	if by == "" && len(p.idle) == 0 {
		if p.open >= p.max {
			return onEvent, bindConns
		}
		at, by = h.readyToDial(now)
	}
	if by == "" {
		at, by = h.ahead(now)
	}
	return at, by
}

// ahead says what the first in the line waits for.
func (h *host) ahead(now int64) (at int64, by string) {
	p, at, by := h.turn(now)
	if p != nil {
		at, by = h.state.ready(&h.bounds, p.waiters[0].rcpts, now)
	}
	return at, by
}

// abandon takes w out of the line, unless it has left it meanwhile.
func (h *host) abandon(w *waiter, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.place >= 0 {
		h.leave(w, w.ended(cause))
		h.dispatch(h.limiter.now())
	}
}

// expire ends the waits whose time is over.
func (h *host) expire(now int64) {
	for len(h.expiring) > 0 && h.expiring[0].until <= now {
		w := h.expiring[0].waiter
		h.leave(w, w.ended(context.DeadlineExceeded))
	}
}

// A LimitError reports a message that a limit does not let through yet: the
// wait would have passed the context's deadline and was not begun, or not gone
// on with, or [Client.Try] was asked not to wait. For the former two,
// errors.Is(err, [context.DeadlineExceeded]) is true.
type LimitError struct {
	Host     string    // the limiter's key
	For      string    // the limit that binds, in the words of Explanation.Binding
	Until    time.Time // the message could not have started before; zero: when others are done
	Deadline time.Time // the context's; zero for Try
}

// Error says which limit of which host binds, and until when.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("smtpretry: %s does not let the message through", limitOf(e.For, e.Host))
	switch {
	case !e.Deadline.IsZero():
		return fmt.Sprintf("%s before %v after the deadline", text, e.Until.Sub(e.Deadline).Round(time.Millisecond))
	case !e.Until.IsZero():
		return text + " before " + e.Until.Format(time.RFC3339)
	}
	return text + " yet"
}

// Is makes errors.Is(err, context.DeadlineExceeded) true where a deadline
// was in the way.
func (e *LimitError) Is(target error) bool {
	return target == context.DeadlineExceeded && !e.Deadline.IsZero()
}

// A WaitError reports a wait that the context has ended.
type WaitError struct {
	Host string // the limiter's key
	For  string // the limit that was waited for, in the words of Explanation.Binding; empty if there was no wait
	Err  error  // the context's cause
}

// Error says what was waited for, and the context's cause.
func (e *WaitError) Error() string {
	if e.For == "" {
		return fmt.Sprintf("smtpretry: before a message to %s: %v", e.Host, e.Err)
	}
	return fmt.Sprintf("smtpretry: waiting for %s: %v", limitOf(e.For, e.Host), e.Err)
}

// limitOf says what binds.
func limitOf(by, host string) string {
	if by == bindStore {
		return "the limiter's store, which cannot be reached, about " + host
	}
	return "the " + by + " limit of " + host
}

// Unwrap returns the context's cause.
func (e *WaitError) Unwrap() error { return e.Err }

// A tooManyRecipientsError reports a transaction that a quota can never let
// through; with at most max recipients it can.
type tooManyRecipientsError struct {
	host string
	max  int
}

func (e *tooManyRecipientsError) Error() string {
	return fmt.Sprintf("smtpretry: the recipient-quota of %s lets at most %d recipients through at once", e.host, e.max)
}
