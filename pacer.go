package smtpretry

import (
	"math"
	"time"
)

// This file learns a rate that nobody has told, from what a host takes and
// what it refuses as too much. It is pure, as bucket.go is.
//
// The host may count in a token bucket, in fixed windows or in rolling ones.
// Three things are true of all of them:
//
//   - Messages that are evenly paced, no faster than the limit's long-run
//     rate, are never refused. So after the first refusal there are no bursts.
//   - What a host refuses came faster than its limit. So the limit is below
//     the pace of the message that was refused: fast.
//   - Between two refusals the host took no more than its limit gave in that
//     time. So the limit is above what was taken, divided by the time: came.
//     It is just that for a bucket, if the pace was never so slow that the
//     bucket ran over.
//
// A pacer climbs until it is refused, goes on between the two bounds, searches
// upwards from there if they are far apart, and settles if they are close. Once
// settled it rests, and tries from time to time whether more is taken. What is
// refused right after a pause is counted in a window longer than the pause.

// A pacer is the rate learned for one host, plain data. The zero pacer does
// not limit. It is not safe for concurrent use.
type pacer struct {
	bucket bucket
	pace   pace    // of rate
	rate   float64 // in force, messages per second; 0: none
	even   bool    // no bursts: something was refused

	settled   float64 // the rate that is believed to be taken; 0: searching
	settledAt int64
	goal      float64 // up to here it climbs fast, back to where it was; 0: it is there
	hold      int64   // it does not climb before
	vain      int     // times in a row that it climbed from settled for nothing
	high      float64 // the lowest rate refused lately; 0: none
	highAt    int64   // when

	mark    int64   // the last refusal
	resumed int64   // the end of the pause after it
	restart float64 // the rate from then on
	taken   float64 // messages since mark
	rested  bool    // there was little to send for a while since mark

	row    spell // up to the first of the refusals in a row
	window int64 // within so long the host takes messages again; 0: nothing known

	recent [2]burst // the latest that were taken, the older first
	last   int64    // when the latest was
}

// A spell is what was taken from the end of one pause to the next refusal.
type spell struct {
	end   int64   // the refusal
	took  int64   // how long it was
	taken float64 // messages
	next  float64 // the rate to go on with, as far as the run tells
}

// A burst is a number of messages taken one after the other.
type burst struct {
	from int64
	n    float64
}

const (
	firstRate  = 2.0        // messages per second to a host of which nothing is known
	firstBurst = 3          // and how many of them at once, since most have few to send
	leastRate  = 1.0 / 3600 // one an hour: below that a pause does the same
	mostRate   = 1e6        // more than any client sends

	// A rate grows with each message that it let through, by so much per
	// second. It is the share of itself by which it grows in each second.
	climbFirst  = math.Ln2 // doubled each second, up to
	climbFastTo = 60.0     // messages per second: above it one step too many is dear
	climbOn     = 0.2      // a fifth each second
	climbSearch = 0.02     // a fiftieth each second, and with each message
	climbWindow = 0.1      // a tenth in each window, so that one too full is nearly over when it is noticed

	// After the first refusal: with a small bucket the limit is between this
	// and the pace; with a large one the next refusal is near, and tells it.
	firstFall = 0.6
	// A climb that doubled each second went far beyond even a small bucket.
	deepFall = 0.3
	// A limit that was good for long and is no more has probably been halved.
	longFall  = 0.5
	shortFall = 0.93 // it was estimated a little too high

	closeBy  = 0.9  // bounds that differ by a tenth are close
	below    = 0.95 // of a rate that was refused after a slow climb
	justLess = 0.98 // of a rate that is known exactly: clocks, and rounding

	pauseFor    = 8.0                     // messages: a bucket that saves fewer runs over in the first pause
	pauseMin    = int64(time.Second / 4)  // what is on its way comes in
	pauseMax    = int64(time.Second)      // windows of a second are over
	longestRest = int64(time.Minute)      // without a refusal in a row or a hint
	hintMin     = int64(5 * time.Second)  // shorter hints tell the next token of a bucket, not a window
	fewest      = 8                       // messages from which a rate can be told
	manyFor     = 16                      // messages from which the count of a window is believed
	soon        = int64(10 * time.Minute) // refused so soon, the estimate was wrong, later the limit has changed
	holdMin     = int64(30 * time.Minute) // rest before it is tried whether a limit has risen; it doubles each time in vain
	holdMax     = int64(4 * time.Hour)    // up to here
)

// rungs are the windows in which limits are usually counted. With each
// refusal in a row the pause goes up by one.
var rungs = [...]int64{int64(10 * time.Second), int64(time.Minute), int64(15 * time.Minute), int64(time.Hour), int64(4 * time.Hour)}

// newPacer returns the pacer for a host of which nothing is known.
func newPacer() pacer {
	var p pacer
	p.setRate(firstRate, 0)
	return p
}

// setRate puts a rate in force; 0 is none.
func (p *pacer) setRate(rate float64, now int64) {
	room := firstBurst
	if rate > 0 {
		rate = min(max(rate, leastRate), mostRate)
	} else {
		rate = 0
	}
	if p.even {
		room = 1 + int(rate/40) // timers are late by milliseconds
	}
	to := newPace(Rate(rate), room)
	p.bucket = p.bucket.carry(p.pace, to, now)
	p.rate, p.pace = rate, to
}

// binds says whether a message that is about to be counted uses what the rate
// allows: the bucket has not been full for long.
func (p *pacer) binds(now int64) bool { return now-p.bucket.full <= p.pace.every/2 }

// accept notes a message that was taken. With bound it had waited for the
// rate, which may be raised then.
func (p *pacer) accept(bound bool, now int64) {
	p.taken++
	p.notice(now)
	p.last = now
	if p.recent[1].n == 0 || p.recent[1].n >= fewest {
		p.recent[0], p.recent[1] = p.recent[1], burst{from: now}
	}
	p.recent[1].n++
	if !bound || p.rate == 0 {
		return
	}
	if p.rate < p.goal {
		p.setRate(min(p.rate+climbFirst, p.goal), now)
		return
	}
	p.goal = 0
	if now < p.hold {
		return
	}
	rate := p.rate + p.step()
	if most := closeBy * p.high; p.settled == 0 && most > 0 && rate > most && now-p.highAt < soon {
		rate = max(p.rate, most) // the rest is not worth another refusal
		p.settle(rate, now)
	}
	p.setRate(rate, now)
}

// step returns by how much the rate grows with a message.
func (p *pacer) step() float64 {
	second := float64(time.Second)
	switch {
	case p.high == 0 && p.rate < climbFastTo:
		return climbFirst
	case p.high == 0:
		return climbOn
	case p.fallen() && p.rate < firstFall*p.high:
		return min(climbOn, climbOn*p.rate)
	case p.settled > 0:
		return climbWindow * second / float64(max(p.window, int64(time.Minute)))
	}
	return min(climbSearch, climbSearch*p.rate, climbWindow*second/float64(max(p.window, 1)))
}

// interrupt notes a pause that had another reason than the rate. After it the
// rate is half of what it was, and climbs back as in the beginning; what was
// taken before tells nothing of the time after.
func (p *pacer) interrupt(until, now int64) {
	p.taken, p.resumed, p.recent = 0, until, [2]burst{}
	if p.mark > 0 {
		p.mark = until
	}
	if p.rate <= firstRate {
		return
	}
	p.goal = max(p.goal, p.rate)
	p.setRate(max(p.rate/2, firstRate), now)
}

// settle ends the search.
func (p *pacer) settle(rate float64, now int64) {
	p.settled, p.settledAt, p.hold = rate, now, later(now, holdMin)
}

// notice sees that there was little to send for a while: that is no part of
// the pace, and what was taken since the last refusal tells nothing then.
func (p *pacer) notice(now int64) {
	usual := float64(p.pace.every)
	if n, from := p.latest(); n > 1 {
		usual = max(usual, float64(p.last-from)/(n-1))
	}
	if float64(now-max(p.last, p.resumed)) > pauseFor*usual+float64(pauseMax) {
		p.recent, p.rested = [2]burst{}, true
	}
}

// measured is the pace of the latest messages: the rate, unless there was
// much less to send.
func (p *pacer) measured(now int64) float64 {
	n, from := p.latest()
	rate := p.rate
	if rate == 0 {
		rate = mostRate
	}
	if m := perSecond(n-1, now-from); n >= fewest && m < rate/2 {
		rate = max(m, leastRate)
	}
	return rate
}

// latest is how many were taken lately, and since when.
func (p *pacer) latest() (n float64, from int64) {
	from = p.recent[0].from
	if p.recent[0].n == 0 {
		from = p.recent[1].from
	}
	return p.recent[0].n + p.recent[1].n, from
}

// perSecond returns n messages in d nanoseconds as a rate.
func perSecond(n float64, d int64) float64 { return n * float64(time.Second) / float64(max(d, 1)) }

// refuse lowers the rate after a message that began at began was refused as
// one too many, the row-th in a row. It returns how long to send nothing; hint
// is what the reply asks for, 0 if nothing.
func (p *pacer) refuse(began, hint int64, row int, now int64) (wait int64) {
	hint = min(max(hint, 0), never)
	if began <= p.mark && p.mark > 0 {
		return hint // it was under way; the refusal before has answered for it
	}
	p.notice(now)
	fast := p.measured(now)
	came := min(perSecond(p.taken, now-p.mark), fast)
	probing := p.settled > 0 && p.rate > p.settled
	lasted := p.settled > 0 && now-p.settledAt > soon
	if row <= 1 {
		next := fast // and if that was thought to be taken, lower
		if p.settled > 0 && !probing {
			next = shortFall * fast
			if lasted {
				next = longFall * fast
			}
		}
		p.row = spell{end: now, took: now - p.resumed, taken: p.taken, next: next}
	}
	// Which way it goes on, and how long to wait before.
	rate := p.rate
	settle := func(r float64) { rate = r; p.settle(r, now); p.vain = 0 }
	search := func(r float64) { rate, p.settled, p.hold = r, 0, now }

	second := float64(time.Second)
	wait = max(min(max(int64(pauseFor*second/fast), pauseMin), pauseMax), int64(2*second/fast))
	switch {
	case row > 1 || hint >= hintMin && !probing:
		wait = p.climbRungs(hint, now)
		search(min(p.rate, p.row.next))
		if p.row.took < p.window+p.window/5 {
			// What came before the refusal is what fills a window.
			rate = justLess * min(p.row.next, perSecond(p.row.taken+1, p.window))
			if p.row.taken >= manyFor && p.window > rungs[0] {
				settle(rate)
			}
		}
		p.hold = later(p.hold, wait)

	case !p.even && p.taken < fewest:
		// Too many at once, which says nothing of the rate, unless it was one.
		if p.taken < 2 {
			rate = firstRate / 2
		}

	case probing:
		// It waits for the part of the window that was filled too early.
		wait = max(wait, int64(float64(p.window)*(1-p.settled/fast)))
		if closeBy*fast > p.settled {
			settle(closeBy * fast)
			break
		}
		rate = p.settled
		p.vain = min(p.vain+1, 8)
		p.hold = later(now, min(holdMin<<p.vain, holdMax))

	case p.window > 0:
		// It is fixed or rolling, or a bucket so slow that it looked like one.
		wait = max(wait, min(p.window, longestRest))
		switch {
		case lasted && came > closeBy*fast:
			search(p.row.next)
		case came > closeBy*fast:
			settle(justLess * came)
		case p.settled == 0 && p.row.took > 3*p.window:
			settle(below * fast)
		default:
			search(came)
		}

	case p.high == 0 || p.rested && p.settled == 0:
		search(firstFall * fast)
		if fast < climbFastTo {
			rate = deepFall * fast
		}

	default:
		// A bucket, as far as is known: came is exact if it did not run over.
		exact := !p.rested && p.restart >= came && came < below*fast
		switch {
		case exact && p.taken >= fewest:
			settle(justLess * came)
		case exact:
			search(came)
		case p.fallen():
			settle(max(justLess*came, below*drained(p.high, fast)))
		case p.settled == 0:
			settle(max(justLess*came, justLess*(came+fast)/2))
		default:
			search(p.row.next)
		}
	}
	// What is refused at once may still answer for what went before the pause.
	if short := p.taken < fewest && p.row.took < pauseMax; row <= 1 && (!short || p.even && p.high == 0) {
		if !probing && p.high > 0 && now-p.highAt < soon {
			fast = min(fast, p.high)
		}
		p.high, p.highAt = fast, now
	}
	if rate <= 0 && p.rate > 0 {
		rate = firstFall * p.rate // nothing was taken since, and nothing is no rate
	}
	wait = max(wait, hint)
	p.even = true
	p.mark, p.resumed, p.restart = max(now, 1), later(now, wait), rate
	p.taken, p.rested, p.goal = 0, false, 0
	p.recent = [2]burst{}
	p.setRate(rate, now)
	p.bucket.full = later(p.resumed, (p.pace.burst-1)*p.pace.every) // what was saved is void
	return wait
}

// fallen says whether it searches the rate of which only the first refusal has
// told, after a climb that doubled each second.
func (p *pacer) fallen() bool { return p.settled == 0 && p.high > 0 && p.restart == deepFall*p.high }

// drained returns the rate of a bucket that was drained twice, by the climb of
// the beginning up to the rate first, and by that of the search up to second.
// Both have taken what the bucket saves beyond what came in meanwhile.
func drained(first, second float64) float64 {
	search := climbSearch
	if second < firstFall*first {
		search = climbOn
	}
	beyond := func(rate, r float64) float64 { return rate - r - r*math.Log(rate/r) } // times the slope
	low, high := 0.0, second
	for range 40 {
		r := (low + high) / 2
		if beyond(second, r)*climbFirst > beyond(first, r)*search*min(second, 1) {
			low = r
		} else {
			high = r
		}
	}
	return low
}

// climbRungs goes up to the first window that is longer than all since the
// first refusal in a row, and returns how long to wait for its end.
func (p *pacer) climbRungs(hint, now int64) (wait int64) {
	since := now - p.row.end
	to := p.window
	for _, r := range rungs {
		to = max(p.window, r)
		// The time of the reply itself is no reason to go one further.
		if to > since+since/10+hint-hint/50 {
			break
		}
	}
	p.window = to
	if hint > 0 {
		return hint
	}
	return max(p.row.end+to-now, int64(time.Second))
}
