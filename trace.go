package smtpretry

import (
	"context"
	"time"
)

// A Trace is told what happens to messages as it happens: to all of a Client in
// Config.Trace, to one of them in Message.Trace. Of a message that
// [Message.Validate] refuses nothing is told. Any field may be
// nil, and a nil *Trace is fine. The functions run on the goroutine of the
// Send they tell of, between two steps of it, which may hold a connection:
// they must not block or send with the same Client, and they must be safe for
// concurrent use when several messages are sent at once.
type Trace struct {
	// Began is told of a message that Send or Try has been called for. The context
	// that it returns must be ctx, or be derived from it; the call goes on with it,
	// and the Context methods below return it, so that a span can be handed on.
	// Message.Trace is asked first.
	Began func(ctx context.Context, m *Message) context.Context

	Attempted func(Attempt) // an attempt has ended and what comes next is decided
	Waiting   func(Wait)    // a wait begins that is longer than zero
	Waited    func(Wait)    // that wait is over, whatever ended it
	Finished  func(Finish)  // the call is about to return; not if a function of the caller's panics
}

// An Attempt is one transaction, or one failure to get that far.
type Attempt struct {
	Number     int         // 1 for the first of its message
	Charged    bool        // counts against Policy.MaxAttempts
	Host       string      // the limiter's key
	Addr       string      // the server's network address; empty when not connected or not known
	Start      time.Time   // when a connection was asked for
	End        time.Time   // when the last reply was read, or the failure seen
	Reused     bool        // over a connection that was kept from an earlier message
	Stage      Stage       // how far it got
	Recipients []Recipient // those it was for, with what it settled for each
	Verdict    Verdict     // the refusal that decides what comes next; zero when all were accepted
	Queued     string      // the server's words to the final dot, cleaned as Verdict.Text is
	Err        error       // the error behind Verdict, with the server's words as they came; nil when all were accepted
	Next       time.Time   // when the next attempt may start, or earlier if the host is seen to work again; zero: there is none

	ctx context.Context
}

// Context returns the context of the call of Send or Try that a was part of, within
// Trace.Attempted; otherwise, and in a Result, the background context.
func (a Attempt) Context() context.Context { return orBackground(a.ctx) }

// A Wait is a pause before an attempt.
type Wait struct {
	Host  string    // the limiter's key
	For   string    // what is waited for: "retry", or the limit that binds, in the words of Explanation.Binding
	Start time.Time // when it began
	Until time.Time // when it ends at the earliest, if the host does not come back before; zero if that is not known
	End   time.Time // when it was over; zero in Waiting

	ctx context.Context
}

// Context returns the context of the call of Send or Try that waits.
func (w Wait) Context() context.Context { return orBackground(w.ctx) }

// A Finish is how a call of Send or Try ended.
type Finish struct {
	Host   string    // the limiter's key
	Start  time.Time // of the call
	End    time.Time
	Result *Result // what it returns, and must not be changed
	Err    error   // what it returns beside Result

	ctx context.Context
}

// Context returns the context of the call.
func (f Finish) Context() context.Context { return orBackground(f.ctx) }

func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

func (d *delivery) began(ctx context.Context) context.Context {
	if t := d.trace; t != nil && t.Began != nil {
		return t.Began(ctx, d.m)
	}
	return ctx
}

// listener is waiting, nil if nobody wants to know.
func (d *delivery) listener() func(context.Context, Wait) {
	if d.trace == nil && d.c.cfg.Logger == nil {
		return nil
	}
	return d.waiting
}

func (d *delivery) waiting(ctx context.Context, w Wait) {
	w.Start, w.ctx = time.Now(), ctx
	if t := d.trace; t != nil && t.Waited != nil {
		kept := w
		d.pausing = &kept
	}
	d.c.waiting(d.trace, w)
}

// waited ends the wait that was told of last, if it has not ended.
func (d *delivery) waited() {
	if w := d.pausing; w != nil {
		d.pausing = nil
		d.trace.waited(w)
	}
}

// waited tells that a wait is over, if it had begun.
//
//go:noinline // or a Wait is on the stack of everybody who waits
func (t *Trace) waited(w *Wait) {
	if t != nil && t.Waited != nil && !w.Start.IsZero() {
		w.End = time.Now()
		t.Waited(*w)
	}
}

func (c *Client) waiting(t *Trace, w Wait) {
	if t != nil && t.Waiting != nil {
		t.Waiting(w)
	}
	if l := c.cfg.Logger; l != nil {
		l.Debug("smtp wait", "host", w.Host, "for", w.For, "until", w.Until)
	}
}

func (d *delivery) attempted(ctx context.Context, a Attempt) {
	a.ctx = ctx
	if t := d.trace; t != nil && t.Attempted != nil {
		t.Attempted(a)
	}
	l := d.c.cfg.Logger
	if l == nil {
		return
	}
	attrs := []any{"host", a.Host, "addr", a.Addr, "attempt", a.Number, "recipients", len(a.Recipients),
		"stage", a.Stage, "took", a.End.Sub(a.Start)}
	v := a.Verdict
	if v.Rule == "" {
		l.Debug("smtp attempt accepted", append(attrs, "queued", a.Queued)...)
		return
	}
	attrs = append(attrs, "class", v.Class, "cause", v.Cause, "scope", v.Scope, "code", v.Code, "reply", v.Text, "rule", v.Rule)
	if !a.Next.IsZero() {
		attrs = append(attrs, "next", a.Next)
	}
	l.Info("smtp attempt failed", attrs...)
}

// finished tells how a message ended.
func (d *delivery) finished(ctx context.Context, r *Result, err error) {
	c, l := d.c, d.c.cfg.Logger
	if t := d.trace; t != nil && t.Finished != nil {
		t.Finished(Finish{Host: c.host, Start: d.start, End: time.Now(), Result: r, Err: err, ctx: ctx})
	}
	switch {
	case l == nil:
	case err == nil:
		l.Info("smtp message sent", "host", c.host, "recipients", len(r.Recipients), "attempts", len(r.Attempts), "queued", r.Queued)
	default:
		l.Warn("smtp message not sent to all", "host", c.host, "outcome", r.String(), "attempts", len(r.Attempts), "error", err)
	}
}

// JoinTraces returns a Trace that tells each of the given ones, in their order, such
// as those of metrics and of a status page. Nil ones are left out.
func JoinTraces(traces ...*Trace) *Trace {
	var all Trace
	for _, t := range traces {
		if t == nil {
			continue
		}
		if first, then := all.Began, t.Began; first == nil {
			all.Began = then
		} else if then != nil {
			all.Began = func(ctx context.Context, m *Message) context.Context { return then(first(ctx, m), m) }
		}
		all.Attempted = both(all.Attempted, t.Attempted)
		all.Waiting = both(all.Waiting, t.Waiting)
		all.Waited = both(all.Waited, t.Waited)
		all.Finished = both(all.Finished, t.Finished)
	}
	return &all
}

// both returns a function that calls two, nil if neither is there.
func both[T any](first, then func(T)) func(T) {
	switch {
	case first == nil:
		return then
	case then == nil:
		return first
	}
	return func(x T) {
		first(x)
		then(x)
	}
}
