package smtpretry

import (
	"encoding/binary"
	"errors"
	"math"
)

// This file turns a sharedHost into bytes and back. It is pure, as bucket.go is.

// sharedVersion is the first byte of what is stored. A process that meets
// another version than its own leaves it alone. TestSharedVersion fails when
// what is stored has changed and this has not.
const sharedVersion = 1

var (
	errSharedVersion = errors.New("what the store holds was written by another version of smtpretry")
	errSharedDamaged = errors.New("what the store holds is damaged")
)

// mostShared bounds every list of what is stored, well above what there can be.
const mostShared = 1 << 16

// A coder reads or writes a value part by part: the types below name their parts
// once, for both. Moments are stored by the store's clock and used by that of
// the process, which is shift ahead.
type coder struct {
	buf     []byte
	reading bool
	shift   int64
	err     error
}

func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.buf = nil
}

// whole codes a whole number, or a kind that is one.
func whole[T ~int | ~int64 | ~uint64 | ~uint8](c *coder, x *T) {
	if !c.reading {
		c.buf = binary.AppendVarint(c.buf, int64(*x)) //nolint:gosec // comes back as it went
		return
	}
	v, n := binary.Varint(c.buf)
	if n <= 0 || int64(T(v)) != v { //nolint:gosec // checked here
		c.fail(errSharedDamaged)
		return
	}
	c.buf, *x = c.buf[n:], T(v)
}

// count codes a whole number that is never negative.
func count[T ~int | ~int64](c *coder, x *T) {
	if whole(c, x); c.reading && *x < 0 {
		c.fail(errSharedDamaged)
	}
}

// moment codes a time. 0 is none, and what lies beyond never is no time.
func (c *coder) moment(x *int64) {
	v := *x
	if !c.reading && v != 0 && v < never {
		v -= c.shift
	}
	whole(c, &v)
	if c.reading {
		if v != 0 && v < never {
			v += c.shift
		}
		*x = v
	}
}

func (c *coder) real(x *float64) {
	bits := math.Float64bits(*x)
	if !c.reading {
		c.buf = binary.BigEndian.AppendUint64(c.buf, bits)
		return
	}
	if len(c.buf) < 8 {
		c.fail(errSharedDamaged)
		return
	}
	*x = math.Float64frombits(binary.BigEndian.Uint64(c.buf))
	c.buf = c.buf[8:]
}

func (c *coder) flag(x *bool) {
	var v uint8
	if *x {
		v = 1
	}
	whole(c, &v)
	*x = v == 1
}

func (c *coder) text(x *string) {
	n := len(*x)
	whole(c, &n)
	switch {
	case !c.reading:
		c.buf = append(c.buf, *x...)
	case n < 0 || n > len(c.buf):
		c.fail(errSharedDamaged)
	default:
		*x, c.buf = string(c.buf[:n]), c.buf[n:]
	}
}

// list codes a slice; an empty one comes back as nil.
func list[T any](c *coder, x *[]T, part func(*coder, *T)) {
	n := len(*x)
	whole(c, &n)
	if c.reading {
		if *x = nil; n < 0 || n > min(mostShared, len(c.buf)) {
			c.fail(errSharedDamaged)
			return
		}
		if n > 0 {
			*x = make([]T, n)
		}
	}
	for i := range *x {
		part(c, &(*x)[i])
	}
}

// encode returns s as it is stored. The store's clock is shift behind.
func (s *sharedHost) encode(shift int64) []byte {
	c := coder{shift: shift}
	version := sharedVersion
	whole(&c, &version)
	seen := s.seen - shift
	whole(&c, &seen)
	whole(&c, &s.skew)
	s.code(&c)
	return c.buf
}

// decodeShared reads what is stored, nothing included, at a moment that is
// stored by the store's clock and now by ours. The store's clock may have gone
// back, when another machine has taken over: then the times go on as if it had not.
func decodeShared(b []byte, stored, now int64) (s sharedHost, shift int64, err error) {
	if len(b) == 0 {
		s.seen = now
		return s, now - stored, nil
	}
	c := coder{buf: b, reading: true}
	var version int
	if whole(&c, &version); c.err == nil && version != sharedVersion {
		return s, 0, errSharedVersion
	}
	whole(&c, &s.seen)
	whole(&c, &s.skew)
	if at := later(stored, s.skew); at < s.seen {
		s.skew += s.seen - at
	}
	c.shift = now - later(stored, s.skew)
	s.seen += c.shift
	s.code(&c)
	if c.err == nil && (len(c.buf) > 0 || len(s.state.quotas) != len(s.limit.Quotas) || len(s.state.rcptQuotas) != len(s.limit.RecipientQuotas)) {
		c.fail(errSharedDamaged)
	}
	if c.err == nil && !s.valid() {
		c.fail(errSharedDamaged)
	}
	return s, c.shift, c.err
}

// valid says whether all that s is decided by can be.
func (s *sharedHost) valid() bool {
	ok := s.limit.Validate() == nil && s.state.learned.sizes().Validate() == nil
	for i := range s.nodes {
		n := &s.nodes[i]
		ok = ok && n.own.Validate() == nil && n.part >= 0 && n.part <= 1
	}
	return ok
}

func (s *sharedHost) code(c *coder) {
	c.flag(&s.unknown)
	s.limit.code(c)
	s.state.code(c)
	list(c, &s.nodes, func(c *coder, n *node) { n.code(c) })
}

func (n *node) code(c *coder) {
	c.text(&n.name)
	whole(c, &n.request)
	whole(c, &n.events)
	c.moment(&n.heard)
	c.moment(&n.until)
	c.moment(&n.ask)
	c.real(&n.part)
	c.moment(&n.waits)
	c.moment(&n.hungry)
	c.flag(&n.told)
	n.own.code(c)
	n.share.code(c)
}

func (x *share) code(c *coder) {
	whole(c, &x.msgs)
	whole(c, &x.rcpts)
	whole(c, &x.learned)
	whole(c, &x.dials)
	whole(c, &x.open)
	whole(c, &x.proven)
	whole(c, &x.unanswered)
	c.flag(&x.probe)
}

func (lim *Limit) code(c *coder) {
	c.real((*float64)(&lim.Rate))
	whole(c, &lim.Burst)
	c.real((*float64)(&lim.Recipients))
	list(c, &lim.Quotas, codeQuota)
	list(c, &lim.RecipientQuotas, codeQuota)
	c.real((*float64)(&lim.NewConns))
	whole(c, &lim.MaxConns)
	whole(c, &lim.PerConn)
	whole(c, &lim.PerMessage)
}

func codeQuota(c *coder, q *Quota) {
	whole(c, &q.N)
	whole(c, &q.Per)
}

// code leaves out what is held and open: that is in the shares.
func (s *hostState) code(c *coder) {
	c.moment(&s.msgs.full)
	c.moment(&s.rcpts.full)
	c.moment(&s.dials.full)
	list(c, &s.quotas, codeLog)
	list(c, &s.rcptQuotas, codeLog)
	s.pause.code(c)
	s.dialPause.code(c)
	s.learned.code(c)
}

func codeLog(c *coder, l *quotaLog) {
	count(c, &l.sum)
	list(c, &l.stamps, func(c *coder, s *stamp) {
		c.moment(&s.at)
		count(c, &s.n)
	})
}

func (d *coolDown) code(c *coder) {
	c.moment(&d.until)
	count(c, &d.row)
	v := &d.verdict
	whole(c, &v.Class)
	whole(c, &v.Cause)
	whole(c, &v.Scope)
	whole(c, &v.Stage)
	whole(c, &v.Code)
	for i := range v.Enhanced {
		whole(c, &v.Enhanced[i])
	}
	c.text(&v.Text)
	whole(c, &v.RetryAfter)
	c.flag(&v.ConnDead)
	c.flag(&v.InDoubt)
	c.text(&v.Rule)
}

func (l *learned) code(c *coder) {
	l.rate.code(c)
	count(c, &l.rateRow)
	c.flag(&l.bound)
	count(c, &l.conns.max)
	whole(c, &l.conns.best)
	c.moment(&l.conns.until)
	count(c, &l.conns.row)
	count(c, &l.perConn)
	count(c, &l.perMessage)
	list(c, &l.quota, codeQuota)
	c.moment(&l.sizesAt)
	count(c, &l.counted)
	c.moment(&l.since)
	c.flag(&l.whole)
	c.moment(&l.at)
}

func (p *pacer) code(c *coder) {
	c.moment(&p.bucket.full)
	count(c, &p.pace.every)
	count(c, &p.pace.burst)
	c.real(&p.rate)
	c.flag(&p.even)
	c.real(&p.settled)
	c.moment(&p.settledAt)
	c.real(&p.goal)
	c.moment(&p.hold)
	c.real(&p.saves)
	whole(c, &p.way)
	c.real(&p.rose)
	count(c, &p.vain)
	c.real(&p.high)
	c.moment(&p.highAt)
	c.moment(&p.mark)
	c.moment(&p.resumed)
	c.real(&p.restart)
	c.real(&p.taken)
	c.flag(&p.rested)
	c.moment(&p.row.end)
	whole(c, &p.row.pause)
	whole(c, &p.row.took)
	c.real(&p.row.taken)
	c.real(&p.row.next)
	count(c, &p.window)
	for i := range p.recent {
		c.moment(&p.recent[i].from)
		c.real(&p.recent[i].n)
	}
	c.moment(&p.last)
}
