package smtpretry

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// A step is what the decisions after one attempt have in common.
type step struct {
	now      time.Time
	deadline time.Time // the context's; zero: none
	chance   float64   // in [0,1)
	wait     time.Duration
	drawn    bool // wait was asked of the user's BackOff, once for all recipients
}

// settle accounts for an attempt and decides what comes next for each of its
// recipients. Before it, the connection had delivered had messages, of used whose
// MAIL was taken.
func (d *delivery) settle(ctx context.Context, batch []*recipient, a *Attempt, o outcome, had, used int) {
	s := &step{now: time.Now(), chance: rand.Float64()}
	s.deadline, _ = ctx.Deadline()
	accepted, cut, broke := false, false, false
	var first *recipient // to come back of those refused
	res := d.record()
	if res.Attempts == nil {
		res.Attempts = res.attempts[:0]
		a.Recipients = room(&res.offered, len(batch))
	} else {
		a.Recipients = make([]Recipient, 0, len(batch))
	}
	for i, r := range batch {
		rep := o.replies[i]
		if rep.unasked {
			continue // due as it was
		}
		if rep.err == nil {
			r.state, r.verdict, r.err, r.done = Accepted, Verdict{}, nil, true
			accepted, a.Charged = true, true
			a.Recipients = append(a.Recipients, Recipient{Address: r.addr, State: Accepted})
			continue
		}
		v := d.c.classify(rep.err, rep.stage)
		ended := v.Code == 0 && ctx.Err() != nil
		if ended {
			// The link broke because we cut it.
			v, rep.err, cut = d.c.classify(ctx.Err(), rep.stage), context.Cause(ctx), true
		}
		v.InDoubt = rep.inDoubt
		if !broke && v.Cause == CauseNetwork && v.Code == 0 && v.Stage > StageMail {
			d.links++
			broke = true
		}
		free := isFree(v, rep.err, a.Reused, had) || isOneTooMany(v) && d.c.pool.works()
		if !free {
			r.attempts++
			a.Charged = true
		}
		if worse(v, a.Verdict) {
			a.Verdict, a.Err = v, rep.err
		}
		ours := (ended || o.body != nil && v.Code == 0) && !v.InDoubt // not the server's doing
		if !ours || r.err == nil {
			r.verdict, r.err = v, rep.err
		}
		if !ours {
			d.decide(r, s, free)
		}
		a.Recipients = append(a.Recipients, Recipient{Address: r.addr, State: r.state, Verdict: v})
		if !r.done && (a.Next.IsZero() || r.due.Before(a.Next)) {
			a.Next, first = r.due, r
		}
	}
	switch {
	case o.body != nil:
		d.stop(o.body)
	case cut:
		d.end()
		d.reasons = append(d.reasons, context.Cause(ctx))
	case slices.Contains(d.reasons, ErrRefused):
		d.end() // the others would meet the same
	case first != nil && !accepted && (a.Verdict.ConnDead || isWide(a.Verdict)):
		for i := range d.rcpts { // likewise
			r := &d.rcpts[i]
			if r.due.Before(first.due) {
				r.due, r.early = first.due, first.early
			}
		}
	}
	offered := a.Recipients
	for i, r := range batch {
		if o.replies[i].unasked {
			continue
		}
		if !r.done {
			offered[0].Next = r.due
		}
		offered = offered[1:]
	}
	next := d.next()
	back := a.Next // when those come back who were refused
	switch a.Next = next; {
	case next.IsZero():
		back = next
	case next.Before(s.now):
		a.Next = s.now
	}
	if o.queued != "" {
		res.Queued = o.queued
	}
	a.Number, a.Host, a.End = len(res.Attempts)+1, d.c.host, s.now
	res.Attempts = append(res.Attempts, *a)
	if !cut {
		d.c.pool.observe(report{verdict: a.Verdict, accepted: accepted, began: a.Start, at: s.now, back: back, carried: used, most: o.most})
	}
	d.attempted(ctx, *a)
}

// decide says what comes next for a recipient that was not accepted.
func (d *delivery) decide(r *recipient, s *step, free bool) {
	h := history{start: d.start, attempts: r.attempts, free: free, chance: s.chance, verdict: r.verdict, links: d.links, woken: r.woken, deadline: s.deadline}
	switch {
	case free || r.verdict.Class == Permanent:
	case d.waits == nil:
		h.wait = d.policy.Backoff.spread(d.policy.Backoff.Delay(r.attempts), s.chance)
	default:
		if !s.drawn {
			s.wait, s.drawn = d.waits.NextBackOff(), true
		}
		h.wait = s.wait
	}
	if r.verdict.InDoubt {
		r.state = InDoubt // and stays so unless a later attempt is accepted
	}
	dec := decide(*d.policy, h, s.now)
	if dec.stop == ErrRejected && r.state != InDoubt {
		r.state = Rejected
	}
	if dec.stop != nil && !slices.Contains(d.reasons, dec.stop) {
		d.reasons = append(d.reasons, dec.stop)
	}
	r.due, r.early, r.done = dec.again, dec.early, dec.stop != nil
}

// isFree says whether an attempt costs nothing and is repeated at once: a kept
// connection that the server had closed meanwhile is stale, which is no
// failure, and a 421 on a connection that has delivered, or another reply to
// MAIL that says so, ends what the server allows on one connection. Nor does it
// cost anything to find out that a server does not take commands in groups.
func isFree(v Verdict, err error, reused bool, had int) bool {
	if v.Rule == ruleNoGroups || v.Rule == ruleLapsed {
		return true // it was never asked without, or not at all
	}
	switch v.Cause {
	case CauseNetwork, CauseOverload, CauseConnectionLimit, CauseProtocol, CauseUnknown:
	default:
		return false // a reason that another connection does not cure
	}
	if v.Code == 421 || v.Cause == CauseConnectionLimit && v.Class == Temporary && v.Stage == StageMail {
		return had > 0 || reused && v.Stage <= StageMail
	}
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return false // not gone: too slow
	}
	return v.Code == 0 && v.Cause == CauseNetwork && reused && v.Stage <= StageMail
}

// isOneTooMany says whether a refusal is about the number of connections. The
// message then goes over one of those that work, and further ones are not
// opened for a while.
func isOneTooMany(v Verdict) bool {
	return v.Cause == CauseConnectionLimit && v.Class == Temporary && v.Stage < StageMail
}

// worse says whether a decides over b what comes next: what ends the
// connection, then what concerns more than this message.
func worse(a, b Verdict) bool {
	if b.Rule == "" {
		return true
	}
	if a.ConnDead != b.ConnDead {
		return a.ConnDead
	}
	if isWide(a) != isWide(b) {
		return isWide(a)
	}
	return a.Class == Permanent && b.Class != Permanent
}

// isWide says whether a verdict is about more than this message.
func isWide(v Verdict) bool {
	return v.Scope == ScopeConnection || v.Scope == ScopeHost || v.Scope == ScopeAccount
}

// A record is a Result that is being made. There is room in it for what most
// messages need.
type record struct {
	Result
	recipients [1]Recipient
	attempts   [1]Attempt
	offered    [1]Recipient // those of the first attempt
}

func (d *delivery) record() *record {
	if d.result == nil {
		d.result = new(record)
	}
	return d.result
}

// account closes the message's books.
func (d *delivery) account(ctx context.Context) (*Result, error) {
	rec := d.record()
	res := &rec.Result
	res.Recipients = room(&rec.recipients, len(d.rcpts))
	accepted, open, inDoubt := false, false, false
	for i := range d.rcpts {
		r := &d.rcpts[i]
		if t := r.twin; t != nil {
			r.state, r.verdict, r.err = t.state, t.verdict, t.err
		}
		res.Recipients = append(res.Recipients, Recipient{Address: r.addr, State: r.state, Verdict: r.verdict})
		accepted = accepted || r.state == Accepted
		open = open || r.state != Accepted
		inDoubt = inDoubt || r.state == InDoubt
	}
	if !open {
		d.finished(ctx, res, nil)
		return res, nil
	}
	e := &SendError{Host: d.c.host, Reasons: d.reasons, Result: res}
	if inDoubt && !slices.Contains(e.Reasons, ErrInDoubt) {
		e.Reasons = append(e.Reasons, ErrInDoubt)
	}
	if accepted {
		e.Reasons = append(e.Reasons, ErrPartial)
	}
	if i := gravest(res.Recipients); i >= 0 {
		e.Last = d.rcpts[i].err
	}
	d.finished(ctx, res, e)
	return res, e
}
