package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/smtpretry/smtpretry"
)

// mostLimitWait is how long a worker waits for a limit. What has to wait longer
// goes back into the queue, and the host is paused.
const mostLimitWait = 2 * time.Second

const sqlLoadBody = "SELECT " + columns + ", content FROM {mail} LEFT JOIN (SELECT id AS content_id, content FROM {body}) AS b ON content_id = body_id WHERE id = $1"

// work is one job of River's: one attempt at one mail. What becomes of it is
// recorded before it returns; an error is for what could not be recorded.
func (q *Queue) work(ctx context.Context, id int64) error {
	defer q.d.done(id, false) // unless it was told before
	m, body, err := q.take(ctx, id)
	if err != nil || m == nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q.running.Store(id, cancel)
	defer q.running.Delete(id)

	s := &send{q: q, m: m, body: body, start: time.Now()}
	o := s.run(ctx)
	if errors.Is(context.Cause(ctx), rivertype.ErrJobCancelledRemotely) && m.state == Waiting {
		m.drop("cancelled in River", time.Now())
	}
	o.tokens = s.tokens
	if !q.recorder.put(o) {
		return ErrClosed
	}
	q.d.done(id, m.state == Delivered)
	switch m.state {
	case Waiting:
		q.d.note(m.host, m.due)
		if o.charged {
			q.log.Info("message deferred", "id", m.id, "host", m.host, "attempts", m.attempts, "next", unstamp(m.due), "cause", m.cause, "reply", m.reply)
		}
	case Failed:
		q.log.Warn("message failed", "id", m.id, "host", m.host, "attempts", m.attempts, "cause", m.cause, "reply", m.reply)
	}
	return nil
}

// take loads a mail that River has given to this process; nil if it is not to be
// sent. A database that cannot be read is waited for.
func (q *Queue) take(ctx context.Context, id int64) (m *mail, body []byte, err error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		m, body, err = q.takeOnce(ctx, id)
		if err == nil || ctx.Err() != nil {
			return m, body, err
		}
		q.trouble(err, "loading a message", "id", id)
		q.d.pauseFor(ctx, wait)
	}
}

func (q *Queue) takeOnce(ctx context.Context, id int64) (*mail, []byte, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	for {
		m, found, body := &mail{}, false, []byte(nil)
		r, err := q.e.reader().query(ctx, sqlLoadBody, id)
		err = scan(r, err, func(r rows) error {
			found = true
			return m.scan(r, &body)
		})
		if err != nil || !found {
			return nil, nil, err
		}
		if m.state.isOver() {
			return nil, nil, nil
		}
		if m.state == Sending && m.node == q.node {
			return m, body, nil
		}
		// Its job was started by hand, in River's interface, or by a process
		// that is gone.
		var n int64
		err = within(ctx, q.e, false, func(tx transaction) (err error) {
			n, err = tx.exec(ctx, "UPDATE {mail} SET state = 1, node = $2 WHERE id = $1 AND state = $3 AND node = $4", id, q.node, int(m.state), m.node)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		if n > 0 {
			m.state, m.node = Sending, q.node
			for i := range m.rcpts {
				m.rcpts[i].Next = 0 // now means now
			}
			return m, body, nil
		}
	}
}

// A send is one attempt at a mail, which may take several calls of Try: the
// limiter may let only a part of the recipients through at once.
type send struct {
	q       *Queue
	m       *mail
	body    []byte
	start   time.Time
	took    []int
	tokens  []int
	queued  string
	offered bool // at least one recipient was
	charged bool
	last    smtpretry.Attempt // that was not accepted by all
	failed  []int             // places of the recipients that failed in this attempt
}

// run makes the attempt and says what becomes of the mail.
func (s *send) run(ctx context.Context) *outcome {
	q, m := s.q, s.m
	todo := s.due()
	if q.d.isHeld(m.host, s.start) {
		return s.back(time.Time{}, "")
	}
	c, release, err := q.clients.get(m.host)
	if err != nil {
		s.deferAll(todo, localVerdict(err))
		return s.end()
	}
	defer release()
	deadline := s.start.Add(mostLimitWait)
	msg := s.message(ctx, todo)
	for len(todo) > 0 {
		res, err := c.Try(ctx, msg)
		var late *smtpretry.LimitError
		limited := errors.As(err, &late)
		switch {
		case res == nil: // the message or the client is at fault
			if errors.Is(err, smtpretry.ErrClosed) {
				return s.back(time.Now().Add(time.Second), "")
			}
			s.rejectAll(todo, localVerdict(err))
			return s.end()
		case ctx.Err() != nil:
			s.account(ctx, todo, res)
			return s.back(time.Time{}, "broken off")
		}
		if len(res.Attempts) > 0 {
			q.d.freed(m.host)
			todo = s.account(ctx, todo, res)
			msg = s.message(ctx, todo)
		}
		if !limited || len(todo) == 0 {
			if len(todo) > 0 { // never offered, and no limit was in the way
				s.deferAll(todo, localVerdict(err))
			}
			break
		}
		now := time.Now()
		switch {
		case late.Until.IsZero() && now.Before(deadline.Add(4*mostLimitWait)):
			q.d.waitFree(ctx, m.host, mostLimitWait)
		case late.Until.IsZero():
			return s.back(time.Time{}, "")
		case late.Until.Before(deadline) || late.Until.Sub(now) < 50*time.Millisecond:
			q.d.pauseFor(ctx, late.Until.Sub(now))
		default:
			// It keeps its place in the line; the host is what waits.
			q.d.pause(m.host, late.Until)
			return s.back(time.Time{}, "")
		}
		if ctx.Err() != nil {
			return s.back(time.Time{}, "broken off")
		}
	}
	return s.end()
}

// message is what is sent to the recipients of todo. What a transaction has
// settled is in the journal before the next begins.
func (s *send) message(ctx context.Context, todo []int) *smtpretry.Message {
	msg := s.m.message(s.body, todo)
	msg.Trace = &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) {
		var addrs []string
		for _, r := range a.Recipients {
			if r.State == smtpretry.Accepted {
				addrs = append(addrs, r.Address)
			}
		}
		if len(addrs) == 0 {
			return
		}
		at := places(s.m.rcpts, addrs)
		token, err := s.q.e.journal().write(context.WithoutCancel(ctx), accepted{ID: s.m.id, Rcpts: at, Queued: clean(a.Queued)})
		if err != nil {
			// The record, which comes at once, does not need it.
			s.q.trouble(err, "writing the journal")
			return
		}
		s.tokens = append(s.tokens, token)
	}}
	return msg
}

// due returns the places of the recipients to try now. If none is due, somebody
// wants it now: all that are open.
func (s *send) due() (at []int) {
	var open []int
	for i := range s.m.rcpts {
		if r := &s.m.rcpts[i]; r.isOpen() {
			open = append(open, i)
			if r.Next <= stamp(s.start) {
				at = append(at, i)
			}
		}
	}
	if len(at) == 0 || s.m.due == dueNow {
		return open
	}
	return at
}

// account takes over what a call of Try has settled, and returns the places of
// the recipients that were not offered.
func (s *send) account(ctx context.Context, todo []int, res *smtpretry.Result) (rest []int) {
	now, chance := time.Now(), rand.Float64()
	for _, a := range res.Attempts {
		s.charged = s.charged || a.Charged
		if a.Verdict.Rule != "" {
			s.last = a
		}
	}
	if res.Queued != "" {
		s.queued = clean(res.Queued)
	}
	refused := false
	for k, i := range todo {
		r, got := &s.m.rcpts[i], res.Recipients[k]
		switch {
		case got.State == smtpretry.Accepted:
			r.accept()
			s.took = append(s.took, i)
			s.offered = true
			continue
		case got.Verdict.Rule == "" || ctx.Err() != nil && !got.Verdict.InDoubt:
			rest = append(rest, i)
			continue
		}
		s.offered = true
		v := got.Verdict
		v.Text = clean(v.Text)
		r.State, r.Verdict = got.State, &v
		r.Tries++
		refused = refused || isRefusal(v)
		if got.State == smtpretry.Rejected {
			s.fail(i)
			continue
		}
		at, ok := again(s.q.cfg.Policy, r.Tries, v, now, unstamp(s.m.until), chance)
		if !ok {
			s.fail(i)
			continue
		}
		r.Next = stamp(at)
	}
	if refused {
		s.q.d.refused(s.m.host, now)
	}
	return rest
}

func (s *send) fail(i int) {
	s.m.rcpts[i].Failed = true
	s.failed = append(s.failed, i)
}

// deferAll is for a failure of our own that may pass.
func (s *send) deferAll(todo []int, v smtpretry.Verdict) {
	now, chance := time.Now(), rand.Float64()
	s.last = smtpretry.Attempt{Verdict: v, Start: s.start, End: now}
	for _, i := range todo {
		r := &s.m.rcpts[i]
		r.Tries++
		r.Verdict = &v
		at, ok := again(s.q.cfg.Policy, r.Tries, v, now, unstamp(s.m.until), chance)
		if !ok {
			s.fail(i)
			continue
		}
		r.Next = stamp(at)
	}
	s.charged = true
}

// rejectAll is for a message that can never be sent.
func (s *send) rejectAll(todo []int, v smtpretry.Verdict) {
	v.Class = smtpretry.Permanent
	s.last = smtpretry.Attempt{Verdict: v, Start: s.start, End: time.Now()}
	for _, i := range todo {
		r := &s.m.rcpts[i]
		r.State, r.Verdict = smtpretry.Rejected, &v
		s.fail(i)
	}
	s.charged = true
}

// back puts the mail back into the queue, with what was settled so far: where it
// was in the line, or until t.
func (s *send) back(t time.Time, why string) *outcome {
	if s.offered {
		s.note(why)
	} else if why != "" {
		s.m.remember(HistoryLine{Time: s.start, Took: time.Since(s.start), Text: why})
	}
	for i := range s.m.rcpts {
		if r := &s.m.rcpts[i]; r.isOpen() && r.Next <= stamp(s.start) && r.Next < stamp(t) {
			r.Next = stamp(t)
		}
	}
	return s.settle()
}

// end settles an attempt that was made.
func (s *send) end() *outcome {
	s.note("")
	return s.settle()
}

// note writes what the attempt has met into the history.
func (s *send) note(why string) {
	m, a := s.m, s.last
	if s.charged {
		m.attempts++
	}
	if a.Verdict.Rule == "" {
		return // it met nothing
	}
	v := a.Verdict
	m.cause, m.reply = v.Cause.String(), clean(said(v))
	line := HistoryLine{Time: s.start, Took: time.Since(s.start), Addr: a.Addr, Stage: v.Stage.String(), Code: v.Code, Cause: m.cause, Text: m.reply}
	if len(s.took) > 0 {
		line.Text += " (accepted for " + count(len(s.took), "recipient") + ")"
	}
	if why != "" {
		line.Text += " (" + why + ")"
	}
	if n, next := m.open(); n > 0 {
		line.Next = unstamp(next)
	}
	m.remember(line)
}

// settle says where the mail stands now.
func (s *send) settle() *outcome {
	m := s.m
	o := &outcome{m: m, charged: s.charged, queued: s.queued, took: s.took}
	now := time.Now()
	if n, next := m.open(); n > 0 {
		m.state, m.due = Waiting, max(next, m.due)
	} else {
		o.plain = len(s.took) == len(m.rcpts) && len(m.history) == 0
		m.finish(now, s.queued)
	}
	if s.last.Verdict.Rule != "" {
		o.failure = m.reply
	}
	if len(s.failed) > 0 {
		o.notices = s.q.failures(m, s.body, s.failed)
	}
	return o
}
