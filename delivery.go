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
	policy Policy
	wait   bool  // false: Try
	known  int64 // the size, where it is not to be announced; 0: Message.Size is all that is known
	start  time.Time
	until  time.Time // when the policy's time is over; zero: never

	opts   *smtp.MailOptions
	rcpts  []recipient // one for each of m.To
	waits  backoff.BackOff
	seed   maphash.Seed
	sum    uint64 // of the body that is in doubt
	summed bool

	attempts []Attempt
	queued   string  // the server's words to the last accepted transaction
	links    int     // how often the link broke under the message
	reasons  []error // why recipients are not tried again
}

// A recipient is one address on its way.
type recipient struct {
	addr     string
	state    State
	verdict  Verdict
	err      error      // behind verdict
	attempts int        // that count
	due      time.Time  // when it may be tried
	early    time.Time  // from when on, if the host is seen to work; zero: not before due
	woken    int        // tries that came so early, in vain
	done     bool       // it is not tried again
	twin     *recipient // stands in m.To before it, and is tried for both; nil: none
}

func newDelivery(c *Client, m *Message, p Policy) *delivery {
	d := &delivery{c: c, m: m, policy: p, start: time.Now(), rcpts: make([]recipient, len(m.To))}
	d.until = p.end(d.start)
	for i, to := range m.To {
		d.rcpts[i] = recipient{addr: to, due: d.start}
	}
	if len(m.To) > 1 {
		d.findTwins()
	}
	d.opts = mailOptions(m)
	if p.NewBackOff != nil {
		d.waits = p.NewBackOff()
	}
	if p.RetryInDoubt {
		d.seed = maphash.MakeSeed()
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

// run tries the message until nothing is left to do.
func (d *delivery) run(ctx context.Context) {
	for {
		if ctx.Err() != nil {
			d.stop(context.Cause(ctx))
			return
		}
		due, next := d.due(time.Now())
		if len(due) == 0 {
			if next.IsZero() {
				return
			}
			if err := d.sleep(ctx, next); err != nil {
				d.stop(err)
				return
			}
			continue
		}
		if err := d.c.held(ctx); err != nil {
			d.refused(ctx, due, &Attempt{Start: time.Now()}, StageAuth, err, 0)
			continue
		}
		batch := due
		if most := d.c.pool.limit().PerMessage; most > 0 && most < len(due) {
			batch = due[:most]
		}
		permit, err := d.acquire(ctx, len(batch))
		if err != nil {
			d.stop(d.whyNot(ctx, err))
			return
		}
		d.try(ctx, permit, due, batch)
	}
}

// try offers the message to batch, over the permit's connection or a new one;
// all who are due meet what keeps that from being made. A panic of a function
// of the caller's, who may go on after it, leaves nothing behind.
func (d *delivery) try(ctx context.Context, permit *permit, due, batch []*recipient) {
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
			d.refused(ctx, due, &Attempt{Start: start}, stage, err, 0)
			permit.release(nil) // the next one knows what this one met
			ended = true
			return
		}
	}
	d.attempt(ctx, permit, cn, batch, &Attempt{Start: start, Reused: reused, Addr: cn.addr})
	ended = true
}

// due returns the recipients to try now, or when the next is due; neither if
// all is done.
func (d *delivery) due(now time.Time) (due []*recipient, next time.Time) {
	for i := range d.rcpts {
		r := &d.rcpts[i]
		switch {
		case r.done:
		case !r.due.After(now):
			if due == nil {
				due = make([]*recipient, 0, len(d.rcpts)-i)
			}
			due = append(due, r)
		case next.IsZero() || r.due.Before(next):
			next = r.due
		}
	}
	return due, next
}

// sleep waits until t, or until the host is seen to work again if somebody was
// deferred because it did not.
func (d *delivery) sleep(ctx context.Context, t time.Time) error {
	d.waiting(Wait{Host: d.c.host, For: "retry", Until: t})
	early := d.early()
	if early.IsZero() || !early.Before(t) {
		_, err := d.pause(ctx, t, nil)
		return err
	}
	if _, err := d.pause(ctx, early, nil); err != nil {
		return err
	}
	s := d.c.pool.doze(d.start, d.attempts[len(d.attempts)-1].End)
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

// acquire waits for the limiter. The last try of all is made at the very end
// of the policy's time, where there is none left to wait.
func (d *delivery) acquire(ctx context.Context, rcpts int) (*permit, error) {
	last := !d.wait || !d.until.IsZero() && !time.Now().Before(d.until)
	if last || !d.c.pool.shared() { // else the store would be asked twice
		p, err := d.c.pool.tryAcquire(rcpts)
		var late *LimitError
		if last || !errors.As(err, &late) {
			return p, err
		}
	}
	if !d.until.IsZero() {
		// Waiting for limits counts too.
		within, cancel := context.WithDeadline(ctx, d.until)
		defer cancel()
		ctx = within
	}
	return d.c.pool.acquire(ctx, d.start, rcpts, d.c.canDial(), d.waiting)
}

// whyNot adds what the caller asks for to the limiter's error: that the
// policy's time was the deadline that would have passed.
func (d *delivery) whyNot(ctx context.Context, err error) error {
	if errors.Is(err, ErrClosed) || ctx.Err() != nil || !d.wait {
		return err
	}
	if dl, ok := ctx.Deadline(); ok && (d.until.IsZero() || dl.Before(d.until)) {
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
	e := &envelope{from: d.m.From, options: d.opts, rcptOpts: d.m.RcptOptions, size: d.m.Size,
		client: d.c, permit: p}
	if e.size == 0 {
		e.size = d.known
	}
	e.rcpts = make([]string, len(batch))
	for i, r := range batch {
		e.rcpts[i] = r.addr
	}
	var sum *maphash.Hash
	if d.policy.RetryInDoubt {
		sum = new(maphash.Hash)
		sum.SetSeed(d.seed)
		e.same = func() error {
			if d.summed && sum.Sum64() != d.sum {
				return &FieldError{Field: "Message.Body", Reason: "has changed since an attempt that is in doubt"}
			}
			d.sum, d.summed = sum.Sum64(), true
			return nil
		}
	}
	var err error
	e.body, err = openBody(d.m, sum)
	return e, err
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
