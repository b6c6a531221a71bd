package smtpretry

import (
	"fmt"
	"math"
	"time"
)

// What replies teach about a host, beside its rate. Pure, as bucket.go is.

// A lesson is what a refusal is about, as far as sending less of something
// helps.
type lesson uint8

const (
	lessonNone     lesson = iota
	lessonRate            // too many messages or recipients per time
	lessonConns           // one connection too many, or too early
	lessonSession         // too many messages on one connection
	lessonBusy            // the whole host: overload, no way to connect or to begin
	lessonStanding        // who we are: waiting alone rarely cures it
)

// teaches returns what v is about. What concerns one message or recipient
// only, and what is refused for good, teaches nothing.
func teaches(v Verdict) lesson {
	if v.Class != Temporary {
		return lessonNone
	}
	switch v.Scope {
	case ScopeHost, ScopeConnection, ScopeAccount:
	default:
		return lessonNone
	}
	switch v.Cause {
	case CauseRateLimit:
		return lessonRate
	case CauseConnectionLimit:
		if v.Stage < StageMail {
			return lessonConns
		}
		return lessonSession
	case CauseOverload, CauseAuth:
		return lessonBusy
	case CauseReputation:
		return lessonStanding
	case CauseNetwork:
		if v.Stage == StageDial || v.Code == 0 && v.Stage > StageDial && v.Stage <= StageMail {
			return lessonBusy
		}
	}
	return lessonNone
}

// serves says whether the host does its work, whatever it makes of one
// message.
func (r *report) serves() bool {
	return r.accepted || teaches(r.verdict) == lessonNone && r.verdict.Code != 0 && r.verdict.Stage >= StageMail
}

const (
	firstPause   = int64(time.Second)      // after one refusal of everything; it doubles with each in a row
	longestPause = int64(time.Hour)        // unless the reply asks for more
	longestKnock = int64(5 * time.Minute)  // where nobody answered: that is not taken amiss
	firstHold    = int64(5 * time.Minute)  // after a refusal for who we are
	longestHold  = int64(4 * time.Hour)    // likewise
	rowMemory    = int64(10 * time.Minute) // how long an unused host's refusals are remembered

	// quotaHint is from where on a wait that a reply asks for is not about the
	// pace but about a quota that is used up.
	quotaHint = int64(10 * time.Minute)

	// lessonMemory is how long a limit that was learned holds without being
	// met again.
	lessonMemory = int64(24 * time.Hour)
)

// A coolDown is a pause of a host, or of new connections to it. The zero
// value is none.
type coolDown struct {
	until   int64   // when it ends
	row     int     // refusals in a row, one for each pause
	verdict Verdict // which began it, or prolonged it last
}

// refuse returns the pause after a refusal that the given wait answers to. One
// pause answers for all that is refused while it lasts; only a hint prolongs
// it.
func (c coolDown) refuse(v Verdict, wait, now int64) coolDown {
	if c.until > now {
		wait = 0
	} else {
		c.row++
	}
	if until := later(now, max(wait, int64(v.RetryAfter))); until > c.until {
		c.until, c.verdict = until, v
	}
	return c
}

// growing returns the wait after one more refusal in a row.
func (c coolDown) growing(first, longest int64) int64 {
	if c.row > 30 || first<<c.row > longest {
		return longest
	}
	return first << c.row
}

func (c coolDown) forgotten(now int64) bool {
	return c.row == 0 && c.until <= now || later(c.until, rowMemory) <= now
}

// A ceiling is the number of connections at once that a host was seen to take
// when it refused one more. The zero value is none.
type ceiling struct {
	max   int   // 0: none was refused
	best  int   // the most that it has ever taken
	until int64 // when one more is tried
	row   int   // times in a row that one more was tried in vain
}

const (
	// A host that never took more is asked rarely: what it refused is its
	// limit. One that did is soon asked again: others may have been there.
	askRarely = int64(30 * time.Minute)
	askSoon   = int64(time.Minute)
	askLast   = int64(4 * time.Hour)
)

// refuse returns the ceiling after one connection beside open others was
// refused.
func (c ceiling) refuse(open int, now int64) ceiling {
	if now < c.until && open >= c.max {
		return c
	}
	wait := askSoon
	if open >= c.best {
		wait = askRarely
	}
	c.until = later(now, min(wait<<min(c.row, 10), askLast))
	c.max = open
	c.row++
	return c
}

// take returns the ceiling after the host took the connection that makes it
// open ones.
func (c ceiling) take(open int) ceiling {
	c.best = max(c.best, open)
	if open > c.max {
		c.max, c.until, c.row = 0, 0, 0
	}
	return c
}

// A learned is what the replies of a host have taught. The zero value is
// nothing.
type learned struct {
	rate       pacer
	rateRow    int  // refusals of the rate in a row
	bound      bool // the last message used what rate allows
	conns      ceiling
	perConn    int     // messages on one connection; 0: unknown
	perMessage int     // recipients in one transaction; 0: unknown
	quota      []Quota // messages per time; nil or one
	sizesAt    int64   // when one of the three was learned
	counted    int     // messages taken since
	since      int64   // the first of them, or the end of a pause for a quota
	whole      bool    // it is the latter: no part of the quota was used before
	at         int64   // of the last lesson
}

// forget begins anew, with what messages under way still hold.
func (l *learned) forget(unknownRate bool) {
	held := l.rate.bucket.held
	*l = learned{}
	if unknownRate {
		l.rate = newPacer()
	}
	l.rate.bucket.held = held
}

// charge counts a message that was held.
func (l *learned) charge(now int64) {
	l.bound = l.rate.binds(now)
	l.rate.bucket = l.rate.bucket.charge(l.rate.pace, 1, now)
}

// limit returns what was learned as a limit, as far as it holds now.
func (l *learned) limit(now int64) Limit {
	lim := l.sizes()
	if l.rate.rate > 0 {
		scale := math.Pow(10, 2-math.Floor(math.Log10(l.rate.rate))) // three digits say enough
		lim.Rate, lim.Burst = Rate(math.Round(l.rate.rate*scale)/scale), int(l.rate.pace.burst)
	}
	if now < l.conns.until {
		lim.MaxConns = l.conns.max
	}
	return lim
}

// why says how a part of limit was learned.
func (l *learned) why(part string) string {
	switch part {
	case "Rate", "Burst":
		if l.rate.high == 0 {
			return "nothing was refused so far, and it climbs"
		}
		return fmt.Sprintf("at %.3g/s the host refused", l.rate.high)
	case "MaxConns", "PerMessage":
		return "the host refused one more"
	case "PerConn":
		return "the host then wanted another connection"
	}
	return "the host took no more in that time" // a quota
}

// sizes is the part of limit that is no matter of pace.
func (l *learned) sizes() Limit {
	return Limit{PerConn: l.perConn, PerMessage: l.perMessage, Quotas: l.quota}
}

// exhaust notes that a quota is used up until the host says. What was taken
// since it was last whole is what it gives in that time. After an unknown
// beginning it is not believed unless it was used up soon: the wait is then
// nearly all of its window.
func (l *learned) exhaust(until, now int64) {
	if l.counted > 0 && (l.whole || now-l.since < until-now) {
		per := time.Duration(until-l.since).Round(time.Second) + time.Second
		l.quota, l.sizesAt, l.at = []Quota{{N: l.counted, Per: per}}, now, now
	}
	l.counted, l.since, l.whole = 0, until, true
}

// forgotten says whether nothing is lost with l.
func (l *learned) forgotten(now int64) bool {
	return l.at == 0 || later(l.at, lessonMemory) <= now
}

// observe draws the lessons of one attempt. Whoever met them comes back at
// back, and until then nobody else is there: never if others are.
func (s *hostState) observe(r *report, began, now, back int64) {
	l, v := &s.learned, r.verdict
	what := teaches(v)
	// What is said of a recipient or a message is no word against the pace.
	if r.serves() {
		s.pause.row, l.rateRow = 0, 0
		l.rate.accept(l.bound, now)
	}
	if r.accepted {
		if l.counted == 0 && !l.whole {
			l.since = now
		}
		l.counted++
	}
	if l.sizesAt > 0 && later(l.sizesAt, lessonMemory) <= now {
		l.perConn, l.perMessage, l.quota, l.sizesAt = 0, 0, nil, 0 // never exceeded, they would hold for ever
	}
	if r.most > 0 {
		l.perMessage, l.sizesAt, l.at = r.most, now, now
	}
	hint := int64(v.RetryAfter)
	switch what {
	case lessonRate:
		wait := hint + hint/20 // what filled the quota did not come all at once either
		if hint >= quotaHint {
			if s.pause.until <= now { // not under way at another that met it
				l.exhaust(later(now, hint), now)
				l.rate.interrupt(later(now, wait), now)
			}
		} else {
			if began > l.rate.mark || l.rate.mark == 0 {
				l.rateRow++
			}
			wait = l.rate.refuse(began, hint, l.rateRow, now)
			l.at = now
		}
		s.pause = s.pause.refuse(v, wait, now)
	case lessonConns:
		if s.proven > 0 {
			l.conns = l.conns.refuse(s.proven, now)
			l.at = now
		}
		s.dialPause = s.dialPause.refuse(v, s.dialPause.growing(firstPause, longestPause), now)
	case lessonSession:
		if r.carried == 0 {
			s.busy(v, now, back)
			return
		}
		l.perConn, l.sizesAt, l.at = r.carried, now, now
	case lessonBusy:
		switch {
		case r.carried > 0 && (v.Code == 421 || v.Code == 0):
			// With this connection; about the host the next one tells.
		case v.Code == 0 && v.Stage > StageDial && v.Stage < StageMail && s.proven > 0:
			// Others work: only further ones are not opened for a while.
			s.dialPause = s.dialPause.refuse(v, s.dialPause.growing(firstPause, longestKnock), now)
		default:
			s.busy(v, now, back)
		}
	case lessonStanding:
		s.pause = s.pause.refuse(v, s.pause.growing(firstHold, longestHold), now)
	}
}

// busy answers to a refusal of everything.
func (s *hostState) busy(v Verdict, now, back int64) {
	longest := longestPause
	if v.Code == 0 {
		longest = longestKnock
	}
	first := s.pause.until <= now
	s.pause = s.pause.refuse(v, min(s.pause.growing(firstPause, longest), max(back-now, 0)), now)
	if first {
		s.learned.rate.interrupt(s.pause.until, now)
	}
}
