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
	deadline int64         // of its context; never if it has none
	place    int           // in the line of its pool, or among those who wait for the host; -1 when it has left
	behind   bool          // may go behind the final dot of another message
	once     bool          // does not wait but for the store's answer
	done     chan struct{} // permit or err has been set; then, if behind another, its turn has come
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

// acquire waits until a message for rcpts recipients may start and has a
// connection: all of it or nothing. Those who wait are served in the order of
// since; waiting, if not nil, is called once when there is a wait, without any
// lock held. With behind, the permit can be for a connection that another one
// still uses.
//
// The error is a *LimitError when it is certain that the wait would pass the
// context's deadline, a *WaitError when the context has ended, ErrClosed
// after close, and a *tooManyRecipientsError when no wait would help.
func (p *pool) acquire(ctx context.Context, since time.Time, rcpts int, behind bool, waiting func(Wait)) (*permit, error) {
	if ctx.Err() != nil {
		return nil, &WaitError{Host: p.host.key, Err: context.Cause(ctx)}
	}
	h := p.host
	if err := h.limiter.fault; err != nil {
		return nil, err
	}
	h.mu.Lock()
	now := h.limiter.now()
	if p.closed {
		h.mu.Unlock()
		return nil, ErrClosed
	}
	if err := h.bounds.tooMany(h.key, rcpts); err != nil {
		h.mu.Unlock()
		return nil, err
	}
	if h.waiting == 0 {
		if g := h.admit(p, rcpts, now); g != nil {
			h.mu.Unlock()
			return g.ready(), nil
		}
	}
	w := &waiter{
		since:    h.limiter.at(since),
		rcpts:    rcpts,
		behind:   behind,
		deadline: never,
		done:     make(chan struct{}, 2),
	}
	if t, ok := ctx.Deadline(); ok {
		w.deadline = h.limiter.at(t)
	}
	wait, err := h.queue(p, w, now)
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if wait != (Wait{}) && waiting != nil {
		waiting(wait)
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if h.abandon(p, w) {
			return nil, &WaitError{Host: h.key, For: wait.For, Err: context.Cause(ctx)}
		}
		<-w.done
	}
	if w.err != nil {
		return nil, w.err
	}
	if ctx.Err() != nil {
		w.permit.makeRoom()
		w.permit.leave()
		w.permit.release(w.permit.conn)
		return nil, &WaitError{Host: h.key, For: wait.For, Err: context.Cause(ctx)}
	}
	return w.permit.ready(), nil
}

// tryAcquire is acquire without waiting: what cannot be had now is a
// *LimitError.
func (p *pool) tryAcquire(rcpts int) (*permit, error) {
	h := p.host
	if err := h.limiter.fault; err != nil {
		return nil, err
	}
	h.mu.Lock()
	now := h.limiter.now()
	err := h.bounds.tooMany(h.key, rcpts)
	if p.closed {
		err = ErrClosed
	}
	if err != nil {
		h.mu.Unlock()
		return nil, err
	}
	if h.waiting == 0 {
		if g := h.admit(p, rcpts, now); g != nil {
			h.mu.Unlock()
			return g.ready(), nil
		}
	}
	defer h.mu.Unlock()
	at, by := h.blocked(p, rcpts, now)
	if !h.shared() || h.waiting > 0 || len(p.idle) == 0 && p.open >= p.max {
		return nil, h.notYet(at, by)
	}
	w := &waiter{since: now, rcpts: rcpts, deadline: never, once: true, done: make(chan struct{}, 1)}
	_, err = h.queue(p, w, now)
	h.mu.Unlock()
	if err == nil {
		<-w.done
		err = w.err
	}
	if err == nil {
		w.permit.ready()
	}
	h.mu.Lock()
	return w.permit, err
}

// notYet is the refusal of somebody who does not wait.
func (h *host) notYet(at int64, by string) error {
	late := &LimitError{Host: h.key, For: by}
	if at < never {
		late.Until = h.limiter.time(at)
	}
	return late
}

// queue puts w in the line, unless its wait would be too long. The Wait is
// zero if there was none.
func (h *host) queue(p *pool, w *waiter, now int64) (Wait, error) {
	at, by := h.state.ready(&h.bounds, w.rcpts, now)
	if by != "" && at != onEvent && w.deadline <= at {
		return Wait{}, h.tooLate(w.deadline, at, by)
	}
	h.arrivals++
	w.arrival = h.arrivals
	h.waiting++
	if w.once {
		h.once++
	}
	heap.Push(&p.waiters, w)
	h.arrange(p)
	h.dispatch(now)
	if w.place < 0 {
		return Wait{}, w.err
	}
	wait := Wait{Host: h.key}
	if at, wait.For = h.blocked(p, w.rcpts, now); wait.For == "" {
		return Wait{}, nil // for the store's answer only
	}
	if at < never {
		wait.Until = h.limiter.time(at)
	}
	return wait, nil
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

// shared says whether a store decides what may start.
func (p *pool) shared() bool {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.host.shared()
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

// abandon takes w out of the line; false if it has been served meanwhile.
func (h *host) abandon(p *pool, w *waiter) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.place < 0 {
		return false
	}
	h.leave(p, w, nil)
	h.dispatch(h.limiter.now())
	return true
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
