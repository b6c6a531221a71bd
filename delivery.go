package smtpretry

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/emersion/go-smtp"
)

// A delivery is one message on its way: the loop of Send.
type delivery struct {
	c      *Client
	m      *Message
	policy *Policy
	trace  *Trace // the message's own and the Client's; nil: neither is there
	known  int64  // the size, where it is not to be announced; 0: Message.Size is all that is known
	start  time.Time

	rcpts []recipient   // one for each of m.To
	one   [1]recipient  // room for them
	due   []*recipient  // to be tried now
	offer [1]*recipient // room for them
	place waiter        // in the limiter's line
	waits backoff.BackOff

	doubt   *sameBody // nil: it is not sent again when it is in doubt
	result  *record   // nil: no attempt was made
	links   int       // how often the link broke under the message
	reasons []error   // why recipients are not tried again
	pausing *Wait     // told of and not over, if somebody wants to know when it is
}

// room returns an empty slice with room for n, in one if that is enough. Most
// messages have one recipient and need one attempt, and then no memory of
// their own for the lists of them.
func room[T any](one *[1]T, n int) []T {
	if n <= len(one) {
		return one[:0]
	}
	return make([]T, 0, n)
}

// A recipient is one address on its way.
type recipient struct {
	addr     string
	state    State
	done     bool // it is not tried again
	verdict  Verdict
	err      error      // behind verdict
	attempts int        // that count
	due      time.Time  // when it may be tried
	early    time.Time  // from when on, if the host is seen to work; zero: not before due
	woken    int        // tries that came so early, in vain
	twin     *recipient // stands in m.To before it, and is tried for both; nil: none
}

func newDelivery(c *Client, m *Message, p *Policy, known int64) *delivery {
	d := &delivery{c: c, m: m, policy: p, trace: c.cfg.Trace, known: known, start: time.Now()}
	if m.Trace != nil {
		d.trace = JoinTraces(m.Trace, d.trace)
	}
	d.rcpts = room(&d.one, len(m.To))[:len(m.To)]
	for i, to := range m.To {
		r := &d.rcpts[i]
		r.addr, r.due = to, d.start
	}
	if len(m.To) > 1 {
		d.findTwins()
	}
	if p.NewBackOff != nil {
		d.waits = p.NewBackOff()
	}
	if p.RetryInDoubt {
		d.doubt = &sameBody{seed: maphash.MakeSeed()}
	}
	return d
}

// findTwins lets an address that stands twice be tried once.
func (d *delivery) findTwins() {
	first := make(map[string]*recipient, len(d.rcpts))
	for i := range d.rcpts {
		r := &d.rcpts[i]
		key := addressKey(r.addr)
		if r.twin = first[key]; r.twin == nil {
			first[key] = r
		}
		r.done = r.twin != nil
	}
}

// addressKey is equal for addresses that are the same: domains are compared
// without regard to case, local parts are the receiver's business (RFC 5321
// section 2.4).
func addressKey(addr string) string {
	local := addr[:strings.LastIndexByte(addr, '@')+1]
	domain := addressDomain(addr)
	if addr[len(local):] == domain {
		return addr
	}
	return local + domain
}

// addressDomain is equal for addresses of one domain.
func addressDomain(addr string) string {
	return strings.ToLower(addr[strings.LastIndexByte(addr, '@')+1:])
}

// mailOptions returns what goes with MAIL: the user's options and what the
// message itself calls for.
func mailOptions(m *Message) *smtp.MailOptions {
	utf8 := m.needsUTF8()
	if m.Size == 0 && !utf8 {
		return m.MailOptions
	}
	var o smtp.MailOptions
	if m.MailOptions != nil {
		o = *m.MailOptions
	}
	o.UTF8 = o.UTF8 || utf8
	if o.Size == 0 {
		o.Size = m.Size
	}
	return &o
}

// run tries the message until nothing is left to do, and accounts for it.
func (d *delivery) run(ctx context.Context) (*Result, error) {
	d.c.pool.count(1)
	defer d.c.pool.count(-1)
	for d.isDue(ctx) {
		if d.barred(ctx) {
			continue
		}
		permit, err := d.waiter().acquire(ctx, d.listener())
		d.waited()
		if err != nil {
			d.stop(d.whyNot(ctx, err))
			break
		}
		d.try(ctx, permit)
	}
	return d.account(ctx)
}

// isDue waits until there is somebody to try; false if there is nobody any more.
func (d *delivery) isDue(ctx context.Context) bool {
	for ctx.Err() == nil {
		now, next := time.Now(), d.next()
		if next.IsZero() {
			return false
		}
		if !next.After(now) {
			d.setDue(now)
			return true
		}
		if err := d.sleep(ctx, next); err != nil {
			d.stop(err)
			return false
		}
	}
	d.stop(context.Cause(ctx))
	return false
}

// barred says whether the account is refused, and settles that for all who are
// due.
func (d *delivery) barred(ctx context.Context) bool {
	err := d.c.held(ctx)
	if err != nil {
		d.unconnected(ctx, time.Now(), StageAuth, err)
	}
	return err != nil
}

// try offers the message to as many as the permit is for, over its connection or
// a new one; all who are due meet what keeps that from being made. A panic of a
// function of the caller's, who may go on after it, leaves nothing behind.
func (d *delivery) try(ctx context.Context, permit *permit) {
	start := time.Now()
	cn, reused := permit.conn.(*conn)
	ended := false
	defer func() {
		if ended {
			return
		}
		if !permit.leave() && cn != nil { // else another message is on it
			cn.abort()
		}
		permit.release(nil)
	}()
	if !reused {
		var stage Stage
		var err error
		if cn, stage, err = d.c.dial(ctx, ""); err != nil {
			d.unconnected(ctx, start, stage, err)
			permit.release(nil) // the next one knows what this one met
			ended = true
			return
		}
	}
	d.attempt(ctx, permit, cn, d.due[:permit.rcpts], &Attempt{Start: start, Reused: reused, Addr: cn.addr})
	ended = true
}

// next returns when the next recipient is due, which may be past; zero if all is
// done.
func (d *delivery) next() (at time.Time) {
	for i := range d.rcpts {
		if r := &d.rcpts[i]; !r.done && (at.IsZero() || r.due.Before(at)) {
			at = r.due
		}
	}
	return at
}

// setDue sets who is to be tried now.
func (d *delivery) setDue(now time.Time) {
	d.due = room(&d.offer, len(d.rcpts))
	for i := range d.rcpts {
		if r := &d.rcpts[i]; !r.done && !r.due.After(now) {
			d.due = append(d.due, r)
		}
	}
}

// sleep waits until t, or until the host is seen to work again if somebody was
// deferred because it did not.
func (d *delivery) sleep(ctx context.Context, t time.Time) error {
	d.waiting(ctx, Wait{Host: d.c.host, For: "retry", Until: t})
	defer d.waited()
	early := d.early()
	if early.IsZero() || !early.Before(t) {
		_, err := d.pause(ctx, t, nil)
		return err
	}
	if _, err := d.pause(ctx, early, nil); err != nil {
		return err
	}
	s := d.c.pool.doze(d.start, d.result.Attempts[len(d.result.Attempts)-1].End)
	defer d.c.pool.rise(s)
	woken, err := d.pause(ctx, t, s.done)
	if woken {
		d.wake(time.Now())
	}
	return err
}

// pause waits until t, or until it is woken.
func (d *delivery) pause(ctx context.Context, t time.Time, wake <-chan struct{}) (woken bool, err error) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case <-wake:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-d.c.life.Done():
		return false, ErrClosed
	}
}

// early returns from when on somebody is due as soon as the host is seen to
// work; the zero time if nobody is.
func (d *delivery) early() (at time.Time) {
	for i := range d.rcpts {
		r := &d.rcpts[i]
		if !r.done && !r.early.IsZero() && (at.IsZero() || r.early.Before(at)) {
			at = r.early
		}
	}
	return at
}

// wake makes those due who waited for the host.
func (d *delivery) wake(now time.Time) {
	for i := range d.rcpts {
		r := &d.rcpts[i]
		if !r.done && !r.early.IsZero() && !r.early.After(now) && r.due.After(now) {
			r.due, r.early = now, time.Time{}
			r.woken++
		}
	}
}

// waiter returns what waits for the limiter, with as many of those who are due as
// go into one transaction. That counts as waiting for the next try. The last is
// made at the very end of the policy's time, where there is none left to wait.
func (d *delivery) waiter() *waiter {
	w := d.place.stand(d.c.pool, d.start, d.policy.end(d.start), d.c.pool.perMessage(len(d.due)))
	w.behind = d.c.canDial()
	w.once = d.isTry() || w.until <= d.c.limiter.now()
	return w
}

// isTry says whether the message is one of Try's, which does not wait.
func (d *delivery) isTry() bool { return d.policy == &d.c.once }

// whyNot adds what the caller asks for to the limiter's error: that the
// policy's time was the deadline that would have passed.
func (d *delivery) whyNot(ctx context.Context, err error) error {
	if errors.Is(err, ErrClosed) || ctx.Err() != nil || d.isTry() {
		return err
	}
	until := d.policy.end(d.start)
	if dl, ok := ctx.Deadline(); ok && (until.IsZero() || dl.Before(until)) {
		return err
	}
	return errors.Join(ErrExhausted, err)
}

// stop ends the message. The reason counts if recipients were still open.
func (d *delivery) stop(reason error) {
	if d.end() {
		d.reasons = append(d.reasons, reason)
	}
}

// end closes all recipients and says whether one was open.
func (d *delivery) end() (open bool) {
	for i := range d.rcpts {
		r := &d.rcpts[i]
		open = open || !r.done
		r.done = true
	}
	return open
}

// attempt makes one transaction for batch.
func (d *delivery) attempt(ctx context.Context, p *permit, cn *conn, batch []*recipient, a *Attempt) {
	e, err := d.envelope(p, batch)
	if err != nil {
		p.leave()
		p.release(cn)
		d.stop(err)
		return
	}
	if err := cn.behind(ctx, e); err != nil {
		e.body.close()
		if ctx.Err() == nil {
			d.refused(ctx, batch, a, StageMail, err, 1)
		}
		p.release(nil)
		return
	}
	had, used := cn.delivered, cn.begun
	d.c.prepare(cn)
	o := cn.transact(ctx, e)
	e.body.close()
	if cn.dead {
		p.lost() // lest it be counted as one that works
	}
	a.Stage, a.Queued = o.stage, o.queued
	d.settle(ctx, batch, a, o, had, used)
	d.c.hold.note(cn.print, a.Verdict, a.Err, a.End)
	if cn.dead && !d.c.canDial() && ctx.Err() == nil {
		d.stop(ErrNoReconnect) // no need to wait for it
	}
	d.c.giveBack(ctx, p, cn) // the next one knows what this one met
}

func (d *delivery) envelope(p *permit, batch []*recipient) (*envelope, error) {
	e := &envelope{from: d.m.From, options: mailOptions(d.m), rcpts: batch, rcptOpts: d.m.RcptOptions, size: d.m.Size,
		client: d.c, permit: p}
	if e.size == 0 {
		e.size = d.known
	}
	return e, e.body.open(d.m, d.doubt)
}

// unconnected settles an attempt for which no connection could be had.
//
//go:noinline // or its Attempt is on the stack of everybody who waits
func (d *delivery) unconnected(ctx context.Context, start time.Time, at Stage, err error) {
	d.refused(ctx, d.due, &Attempt{Start: start}, at, err, 0)
}

// refused settles an attempt that ended before a transaction could begin, for
// all who were due alike. The connection had carried so many before.
func (d *delivery) refused(ctx context.Context, due []*recipient, a *Attempt, at Stage, err error, carried int) {
	if errors.Is(err, ErrNoReconnect) {
		d.stop(err)
		return
	}
	a.Stage = at
	o := outcome{replies: make([]answer, len(due)), stage: at}
	d.settle(ctx, due, a, o.all(err, at), carried, carried)
}
