package smtpretry

import (
	"math"
	"math/bits"
	"time"
)

// This file decides whether a message may start now. It is pure: what is
// known of a host is a plain value, time is a number of nanoseconds that the
// caller gives, and nothing here locks, waits or asks a clock. A store that
// several processes share can run the same functions on the value it keeps.
//
// Everything is counted in two steps. What a message needs is first held, when
// its permit is granted, and then either charged, when the message has
// started, or let go. What is held is not there for others, yet costs no
// time: a permit handed back leaves no trace, and a message may start at any
// moment between the two steps without breaking a bound.

// The names of the limits, as Wait.For and Explanation.Binding tell them.
const (
	bindRate       = "rate"
	bindRecipients = "recipients"
	bindQuota      = "quota"
	bindRcptQuota  = "recipient-quota"
	bindConns      = "connections"
	bindNewConns   = "new-connections"
	bindCoolDown   = "cool-down"
	bindLearned    = "learned-rate"
	bindStore      = "store"
)

const (
	// never is a moment that does not come: 73 years on. Sums saturate there.
	never = int64(1) << 61

	// onEvent stands for a moment that no clock tells: when a message that is
	// under way has been counted, or a connection is given back.
	onEvent = int64(math.MaxInt64)
)

// A pace is a rate as whole numbers: one token each so many nanoseconds,
// rounded up, and the number of tokens that can be saved. every is 0 when
// there is no limit.
type pace struct{ every, burst int64 }

func newPace(r Rate, burst int) pace {
	if !(r > 0) {
		return pace{}
	}
	every := int64(math.Ceil(float64(time.Second) / float64(r)))
	every = max(every, 1)
	// A bucket that takes decades to fill is cut to what int64 can hold.
	most := max(never/4/every, 1)
	return pace{every: every, burst: min(max(int64(burst), 1), most)}
}

// A bucket is a token bucket, kept as the moment at which it is full again
// (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T
// I.371) and the tokens that are held. The zero bucket is full.
type bucket struct{ full, held int64 }

// ready returns when n tokens are there, which may be long past. More than
// the bucket can save are given when it is full. With event it will take
// that long at least, and that tokens which are held are charged or let go.
func (b bucket) ready(p pace, n int64) (at int64, event bool) {
	if p.every == 0 {
		return math.MinInt64, false
	}
	free := p.burst - min(n, p.burst)
	if b.held > free {
		return b.full - free*p.every, true
	}
	return b.full - (free-b.held)*p.every, false
}

// charge turns n held tokens into spent ones.
func (b bucket) charge(p pace, n, now int64) bucket {
	b.held -= n
	if p.every > 0 {
		b.full = later(max(b.full, now), times(n, p.every))
	}
	return b
}

// carry takes the tokens over to another pace: never more than there were,
// never more than the new bucket can save.
func (b bucket) carry(from, to pace, now int64) bucket {
	switch {
	case to.every == 0 || from.every == 0:
		b.full = 0
	default:
		missing := later(times(to.burst-from.burst, to.every), scale(max(b.full-now, 0), to.every, from.every))
		b.full = later(now, max(missing, 0))
	}
	return b
}

// drain returns the bucket with nothing saved.
func (b bucket) drain(p pace, now int64) bucket {
	if p.every > 0 {
		b.full = max(b.full, later(now, times(p.burst, p.every)))
	}
	return b
}

// tokens returns how many tokens are there and not held.
func (b bucket) tokens(p pace, now int64) float64 {
	if p.every == 0 {
		return 0
	}
	return float64(p.burst-b.held) - float64(max(b.full-now, 0))/float64(p.every)
}

// bounds is a Limit made ready for deciding.
type bounds struct {
	msgs, rcpts, dials pace
	quotas, rcptQuotas []Quota
	maxConns           int
	noConns            bool // none at all may be open
	whole              bool // it is all that the host takes, rather than a part
	gentle             bool // how many connections the host takes is not known: one more at a time

	// grace is the longest round trip of MAIL for which a message is charged
	// when the reply is there rather than when the command goes out. The
	// server counts somewhere between the two, so the later moment keeps its
	// bound however the network jitters; but a round trip during which tokens
	// are only held is lost to a bucket that has none to spare.
	grace int64
}

func newBounds(lim Limit) bounds {
	b := bounds{
		msgs:       newPace(lim.Rate, lim.Burst),
		rcpts:      newPace(lim.Recipients, lim.Burst),
		dials:      newPace(lim.NewConns, 1),
		quotas:     lim.Quotas,
		rcptQuotas: lim.RecipientQuotas,
		maxConns:   lim.MaxConns,
		grace:      never,
		whole:      true,
	}
	if b.msgs.every > 0 {
		// Messages under way for d hold d/every tokens and end d later, so
		// the bucket runs over unless 2d fit into what it saves.
		b.grace = min(b.grace, (b.msgs.burst-1)*b.msgs.every/2)
	}
	if b.rcpts.every > 0 {
		// A transaction may need the whole bucket: at most 1/200 is lost.
		b.grace = min(b.grace, (b.rcpts.burst-1)*b.rcpts.every/200)
	}
	for _, q := range b.quotas {
		b.grace = min(b.grace, int64(q.Per)/(2*quotaSteps))
	}
	for _, q := range b.rcptQuotas {
		b.grace = min(b.grace, int64(q.Per)/(2*quotaSteps))
	}
	return b
}

// part returns the bounds of a process that keeps to f of what the host takes.
// Of what cannot be divided any more it gets nothing, but for what is saved.
func (b bounds) part(f float64) bounds {
	cut := func(p pace) pace {
		if p.every > 0 {
			p.every = int64(min(math.Ceil(float64(p.every)/f), float64(never/4)))
			p.burst = max(int64(float64(p.burst)*f), 1)
		}
		return p
	}
	share := func(quotas []Quota) (list []Quota) {
		for _, q := range quotas {
			list = append(list, Quota{N: int(float64(q.N) * f), Per: q.Per})
		}
		return list
	}
	b.msgs, b.rcpts, b.dials = cut(b.msgs), cut(b.rcpts), cut(b.dials)
	b.quotas, b.rcptQuotas = share(b.quotas), share(b.rcptQuotas)
	if b.maxConns > 0 {
		b.maxConns = int(float64(b.maxConns) * f)
		b.noConns = b.maxConns == 0
	}
	b.whole = false
	return b
}

// tooMany returns an error if no transaction of n recipients ever fits.
func (b *bounds) tooMany(host string, n int) error {
	if !b.whole {
		return nil // not for ever
	}
	for _, q := range b.rcptQuotas {
		if n > q.N {
			return &tooManyRecipientsError{host, q.N}
		}
	}
	return nil
}

// A hostState is all that deciding needs to know of one host. The zero value
// is a host that was never sent anything.
type hostState struct {
	msgs, rcpts, dials bucket
	quotas, rcptQuotas []quotaLog // one for each quota of the bounds
	open               int        // connections, those being opened or closed included
	proven             int        // of these, on which MAIL was answered
	pause              coolDown   // of everything
	probe              bool       // a message is on its way to see whether the pause is really over
	unanswered         int64      // messages whose MAIL has gone out and has no reply yet
	dialPause          coolDown   // of new connections, while others work
	learned            learned
}

// ready returns when a message for n recipients may start as far as its
// content goes, and which limit is the last to let it; empty when it may now.
// A moment that is known comes before onEvent: it has to pass in any case.
// With n = 0 there is no message, and nothing to wait for.
func (s *hostState) ready(b *bounds, n int, now int64) (at int64, by string) {
	if n == 0 {
		return now, ""
	}
	at, awaited := now, ""
	need := func(t int64, event bool, name string) {
		if t > at {
			at, by = t, name
		}
		if event && awaited == "" {
			awaited = name
		}
	}
	need(s.pause.until, s.probe && s.pause.row > 0, bindCoolDown)
	t, event := s.learned.rate.bucket.ready(s.learned.rate.pace, 1)
	need(t, event, bindLearned)
	t, event = s.msgs.ready(b.msgs, 1)
	need(t, event, bindRate)
	t, event = s.rcpts.ready(b.rcpts, int64(n))
	need(t, event, bindRecipients)
	for i, q := range b.quotas {
		t, event = s.quotas[i].ready(q, s.msgs.held, 1)
		need(t, event, bindQuota)
	}
	for i, q := range b.rcptQuotas {
		t, event = s.rcptQuotas[i].ready(q, s.rcpts.held, int64(n))
		need(t, event, bindRcptQuota)
	}
	need(now, s.learned.rate.bucket.held+s.unanswered >= s.learned.rate.atOnce(), bindConns)
	if by == "" && awaited != "" {
		return onEvent, awaited
	}
	return at, by
}

// readyToDial returns when one more connection may be opened beside open
// others, and which limit is in the way.
func (s *hostState) readyToDial(b *bounds, open int, now int64) (at int64, by string) {
	if s.open > s.proven {
		// One finds out for all.
		if s.dialPause.row > 0 {
			return onEvent, bindCoolDown
		}
		if b.gentle {
			return onEvent, bindConns
		}
	}
	at, event := s.dials.ready(b.dials, 1)
	switch seen := s.learned.conns; {
	case s.dialPause.until > max(now, at):
		return s.dialPause.until, bindCoolDown
	case at > now:
		return at, bindNewConns
	case event:
		return onEvent, bindNewConns
	case b.noConns:
		return onEvent, bindStore
	case b.maxConns > 0 && open >= b.maxConns:
		return onEvent, bindConns
	case seen.max > 0 && open >= seen.max && now < seen.until:
		return seen.until, bindConns
	}
	return now, ""
}

// hold sets aside what a message for n recipients needs.
func (s *hostState) hold(n int) {
	if n == 0 {
		return
	}
	s.msgs.held++
	s.rcpts.held += int64(n)
	s.learned.rate.bucket.held++
}

// letGo gives back what hold set aside.
func (s *hostState) letGo(n int) {
	if n == 0 {
		return
	}
	s.msgs.held--
	s.rcpts.held -= int64(n)
	s.learned.rate.bucket.held--
}

// charge counts messages that were held, for so many recipients. What was learned
// is charged for itself, when a message starts: it has no bound to keep.
func (s *hostState) charge(b *bounds, msgs, rcpts, now int64) {
	if msgs == 0 {
		return
	}
	s.msgs = s.msgs.charge(b.msgs, msgs, now)
	s.rcpts = s.rcpts.charge(b.rcpts, rcpts, now)
	for i, q := range b.quotas {
		s.quotas[i] = s.quotas[i].record(q, msgs, now)
	}
	for i, q := range b.rcptQuotas {
		s.rcptQuotas[i] = s.rcptQuotas[i].record(q, rcpts, now)
	}
}

// carry takes the state over from one limit to another.
func (s *hostState) carry(from, to *bounds, now int64) {
	s.msgs = s.msgs.carry(from.msgs, to.msgs, now)
	s.rcpts = s.rcpts.carry(from.rcpts, to.rcpts, now)
	s.dials = s.dials.carry(from.dials, to.dials, now)
	s.quotas = carryQuotas(s.quotas, from.quotas, to.quotas, now)
	s.rcptQuotas = carryQuotas(s.rcptQuotas, from.rcptQuotas, to.rcptQuotas, now)
}

// shrink leaves a process its part of what was counted and learned.
func (s *hostState) shrink(f float64, now int64) {
	for _, logs := range [][]quotaLog{s.quotas, s.rcptQuotas} {
		for i := range logs {
			logs[i].sum = 0
			for j := range logs[i].stamps {
				t := &logs[i].stamps[j]
				t.n = int64(math.Ceil(float64(t.n) * f))
				logs[i].sum += t.n
			}
		}
	}
	if p := &s.learned.rate; p.rate > 0 {
		p.setRate(p.rate*f, now)
		p.goal, p.hold = 0, never
	}
}

// drain takes for used what was saved.
func (s *hostState) drain(b *bounds, now int64) {
	s.msgs, s.rcpts, s.dials = s.msgs.drain(b.msgs, now), s.rcpts.drain(b.rcpts, now), s.dials.drain(b.dials, now)
	s.learned.rate.bucket = s.learned.rate.bucket.drain(s.learned.rate.pace, now)
}

// plain reports whether nothing but the bucket of messages tells the state
// from a new one.
func (s *hostState) plain(b *bounds, now int64) bool {
	for i, q := range b.quotas {
		if s.quotas[i] = s.quotas[i].prune(q, now); s.quotas[i].sum > 0 {
			return false
		}
	}
	for i, q := range b.rcptQuotas {
		if s.rcptQuotas[i] = s.rcptQuotas[i].prune(q, now); s.rcptQuotas[i].sum > 0 {
			return false
		}
	}
	return s.open == 0 && s.msgs.held == 0 && s.rcpts.full <= now && s.dials.full <= now && s.pause.forgotten(now) && s.dialPause.forgotten(now) &&
		s.learned.forgotten(now)
}

// later returns t+d, at most never.
func later(t, d int64) int64 {
	if t >= never-d {
		return never
	}
	return t + d
}

// times returns a·b for b > 0, kept within ±never.
func times(a, b int64) int64 {
	abs := a
	if a < 0 {
		abs = -a
	}
	hi, lo := bits.Mul64(uint64(abs), uint64(b))
	if hi != 0 || lo > uint64(never) {
		lo = uint64(never)
	}
	if a < 0 {
		return -int64(lo)
	}
	return int64(lo)
}

// scale returns a·num/den rounded up, at most never, for a ≥ 0 and num, den > 0.
func scale(a, num, den int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(num))
	if hi >= uint64(den) {
		return never
	}
	quo, rem := bits.Div64(hi, lo, uint64(den))
	if rem > 0 {
		quo++
	}
	return int64(min(quo, uint64(never)))
}
