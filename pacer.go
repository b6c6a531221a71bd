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
// A pacer climbs until it is refused, falls, and goes on. The second refusal
// tells the limit: a bucket gave what it had saved and what came in, twice, and
// two such sums have one solution; what is refused right after a pause is
// counted in a window longer than the pause, which the first run has filled. There
// it settles, a little below, and rests. A limit that has risen cannot be seen
// without a refusal, so this is tried once, soon after a full hour, and more rarely if
// in vain: what would by then have been refused under the old limit, and was not,
// tells that it has risen.

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
	saves     float64 // what its bucket saves, as far as is known; 0: unknown
	way       way     // of searching
	rose      float64 // with wayUp: where the steep climb began
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

// A way is how a pacer searches.
type way uint8

const (
	wayOn   way = iota // on from where it is, slowly
	wayBack            // back up from far below what was refused
	wayUp              // steeply: more is taken than was believed
	wayFew             // likewise, but from below: no more than a few are taken at once
)

// A spell is what was taken from the end of one pause to the next refusal.
type spell struct {
	end   int64   // the refusal
	pause int64   // before it, how long nothing was sent
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
	climbFirst  = math.Ln2         // doubled each second, up to
	climbFastTo = 60.0             // messages per second: above it one step too many is dear
	climbOn     = 0.2              // a fifth each second
	climbUp     = 0.05             // where more is taken than was believed, and it is known what the bucket saves
	climbSearch = 0.02             // a fiftieth each second, and with each message
	climbWindow = 0.1              // a tenth in each window, so that one too full is nearly over when it is noticed
	climbProbe  = climbWindow / 60 // the same, each second, with no window known
	climbFull   = 0.5              // in each window, where more is taken than was believed

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
	sure     = 1.25 // times what would have been refused: more is taken

	// The pause after a first refusal lets the bucket save some, so that how
	// many come until the second tells its rate.
	tellFor = 64.0 // messages at the pace that was refused
	tellMax = int64(8 * time.Second)

	pauseFor    = 8.0                     // messages: a bucket that saves fewer runs over in the first pause
	pauseMin    = int64(time.Second / 4)  // what is on its way comes in
	pauseMax    = int64(time.Second)      // windows of a second are over
	longestRest = int64(time.Minute)      // without a refusal in a row or a hint
	hintMin     = int64(5 * time.Second)  // shorter hints tell the next token of a bucket, not a window
	enough      = 5                       // messages from which two refusals tell a rate
	fewest      = 8                       // messages from which one does
	manyFor     = 16                      // messages from which the count of a window is believed
	soon        = int64(10 * time.Minute) // refused so soon, the estimate was wrong, later the limit has changed
	restMin     = int64(15 * time.Minute) // at least, before it is tried whether a limit has risen
	restMax     = 4                       // hours between such tries, when they are in vain
)

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

// atOnce is how many messages may be under way until MAIL is answered. As long
// as nothing was refused the climb may be far beyond the limit when a bucket
// is empty, and what is under way then is refused as well.
func (p *pacer) atOnce() int64 {
	if p.high > 0 || p.rate == 0 {
		return never
	}
	return 1 + int64(math.Sqrt(p.taken)/8)
}

// accept notes a message that was taken. With bound it had waited for the
// rate, which may be raised then.
func (p *pacer) accept(bound bool, now int64) {
	if p.taken == 0 && p.mark == 0 && p.resumed == 0 {
		p.resumed = max(now, 1)
	}
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
	if p.settled > 0 && p.risen() {
		p.settled, p.way, p.rose = 0, wayUp, p.rate
	}
	rate := p.rate + p.step()
	if most := closeBy * p.high; p.settled == 0 && most > 0 && rate > most && now-p.highAt < soon {
		rate = max(p.rate, most) // the rest is not worth another refusal
		p.settle(rate, now)
	}
	p.setRate(rate, now)
}

// risen says whether a host that took what it did when it settled would have
// refused by now.
func (p *pacer) risen() bool {
	if p.window > 0 {
		return p.rate > sure*p.settled // and a tenth less in the window before
	}
	return p.saves > 0 && ramp{climbProbe, mostRate, 0}.beyond(sure*p.settled, p.rate) > sure*p.saves+fewest
}

// step returns by how much the rate grows with a message.
func (p *pacer) step() float64 {
	second := float64(time.Second)
	switch {
	case p.way == wayUp && p.window > 0:
		return climbFull * second / float64(p.window)
	case p.way == wayUp || p.way == wayFew:
		return min(climbUp, climbUp*p.rate)
	case p.high == 0 && p.rate < climbFastTo:
		return climbFirst
	case p.high == 0:
		return climbOn
	case p.way == wayBack && p.rate < firstFall*p.high:
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
	p.settled, p.settledAt, p.vain = rate, now, 0
	p.hold = p.nextTry(now)
}

// nextTry returns when it is tried next whether more is taken: soon after a full
// hour, since that is when limits are changed, a minute or three later for each
// sender differently; after tries in vain, hours later.
func (p *pacer) nextTry(now int64) int64 {
	hours := later(now, restMin)/int64(time.Hour) + int64(min(1<<p.vain, restMax))
	return min(times(hours, int64(time.Hour)), never-int64(time.Hour)) + int64(time.Minute) + now%int64(2*time.Minute)
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
	switch {
	case rate == 0 && n < fewest:
		return firstRate // it is not known
	case rate == 0:
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
