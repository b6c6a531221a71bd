package smtpretry

import (
	"math"
	"time"
)

// What a refusal teaches a pacer. Pure, as bucket.go is.

// rungs are the windows in which limits are usually counted, beside that of a
// second. With each refusal in a row the pause goes up by one.
var rungs = [...]int64{int64(time.Minute), int64(15 * time.Minute), int64(time.Hour), int64(4 * time.Hour)}

// fills says whether the host has counted all that was taken in one window.
func (s spell) fills(window int64) bool {
	return s.took < window+window/5 && s.pause >= window-window/50
}

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
	climb := p.row
	if row <= 1 {
		next := fast // and if that was thought to be taken, lower
		if p.settled > 0 && !probing {
			next = shortFall * fast
			if lasted {
				next = longFall * fast
			}
		}
		p.row = spell{end: now, pause: never, took: now - p.resumed, taken: p.taken, next: next}
		if p.mark > 0 {
			p.row.pause = p.resumed - p.mark
		}
	}
	// Which way it goes on, and how long to wait before.
	rate, way, saves := p.rate, wayOn, p.saves
	settle := func(r float64) { rate = r; p.settle(r, now) }
	search := func(r float64) { rate, p.settled, p.hold = r, 0, now }

	second := float64(time.Second)
	tell := min(int64(tellFor*second/fast), tellMax)
	wait = max(min(max(int64(pauseFor*second/fast), pauseMin), pauseMax), int64(2*second/fast))
	switch {
	case row > 1 || hint >= hintMin && !probing:
		wait = p.climbRungs(hint, now)
		search(min(p.rate, p.row.next))
		if p.row.taken > 0 && p.row.fills(p.window) {
			// What came before the refusal is what fills a window.
			rate = justLess * min(p.row.next, perSecond(p.row.taken+1, p.window))
			if p.row.taken >= manyFor {
				settle(rate)
			}
		}
		p.hold = later(p.hold, wait)

	case !p.even && p.taken < fewest:
		// Too many at once, which says nothing of the rate, unless it was one.
		search(firstRate / 2)
		saves, way = max(p.taken, 1), wayFew
		wait = max(wait, tell)

	case probing:
		// It waits for the part of the window that was filled too early.
		wait = max(wait, int64(float64(p.window)*(1-p.settled/fast)))
		if p.saves == 0 && closeBy*fast > p.settled {
			settle(closeBy * fast)
			break
		}
		rate = p.settled
		p.vain = min(p.vain+1, 8)
		p.hold = p.nextTry(now)

	case p.way == wayUp && !p.rested:
		wait = max(wait, min(p.window, longestRest))
		settle(justLess * p.climbed(fast))

	case p.window > 0:
		// It is fixed or rolling, or a bucket so slow that it looked like one.
		wait = max(wait, min(p.window, longestRest))
		switch {
		case p.row.fills(p.window):
			settle(min(below*fast, justLess*perSecond(max(p.taken, 1), p.window)))
		case lasted:
			search(p.row.next)
		default:
			settle(closeBy * fast)
		}

	case p.high == 0 && p.way != wayFew || p.rested && p.settled == 0:
		search(firstFall * fast)
		if fast < climbFastTo {
			rate = deepFall * fast
		}
		if way = wayBack; !p.rested {
			wait = max(wait, tell)
		}

	default:
		// A bucket, as far as is known: came is exact if it did not run over.
		exact := !p.rested && p.restart >= came && came < below*fast
		switch {
		case lasted:
			search(p.row.next)
			way, saves, wait = wayBack, longFall*p.saves, max(wait, tell)
		case p.way == wayFew && p.taken < enough && !p.rested:
			search(firstFall * fast)
			way = wayFew
		case p.way != wayOn && !p.rested:
			rate, saves = p.drained(climb, fast, now)
			if rate = min(justLess*rate, below*fast); p.taken >= enough {
				settle(rate)
			} else {
				search(rate)
			}
		case exact && p.taken >= fewest:
			settle(justLess * came)
		case exact:
			search(came)
		case p.settled == 0:
			settle(max(justLess*came, justLess*(came+fast)/2))
		default:
			search(p.row.next)
		}
	}
	// What is refused at once may still answer for what went before the pause.
	if short := p.taken < fewest && p.row.took < pauseMax; row <= 1 && !short || p.even && p.high == 0 {
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
	p.way, p.rose, p.saves = way, rate, saves
	p.recent = [2]burst{}
	p.setRate(rate, now)
	p.bucket.full = later(p.resumed, (p.pace.burst-1)*p.pace.every) // what was saved is void
	return wait
}

// A ramp is the course of a climb: with each message the rate grows by step,
// and by then from the rate turn on. Below one message per second the step is a share
// of the rate.
type ramp struct{ step, turn, then float64 }

// beyond returns what a climb from the rate r up to the rate to takes beyond r.
func (c ramp) beyond(r, to float64) float64 {
	part := func(from, to, step float64) float64 {
		if from >= to {
			return 0
		}
		return (to - from - r*math.Log(to/from)) / (step * min(to, 1))
	}
	return part(r, min(to, c.turn), c.step) + part(max(r, c.turn), to, c.then)
}

// lasts returns for how many seconds it climbs from one rate to another.
func (c ramp) lasts(from, to float64) float64 {
	part := func(from, to, step float64) float64 {
		if from >= to {
			return 0
		}
		return math.Log(to/from) / (step * min(to, 1))
	}
	return part(from, min(to, c.turn), c.step) + part(max(from, c.turn), to, c.then)
}

var (
	firstRamp = ramp{climbFirst, climbFastTo, climbOn}
	fewRamp   = ramp{climbUp, mostRate, climbUp}
)

// drained returns the rate of a bucket that was drained twice, by the climb
// before the refusal at mark and by that since then, which followed a pause, and what
// it saves. Either time it gave what it had saved beside what came in meanwhile.
func (p *pacer) drained(climb spell, fast float64, now int64) (rate, saves float64) {
	second := float64(time.Second)
	pause, took := float64(p.resumed-p.mark)/second, float64(now-p.resumed)/second
	again := fewRamp
	if p.way == wayBack {
		again = ramp{climbOn, firstFall * p.high, climbSearch}
	}
	saved := func(r float64) float64 {
		t := firstRamp.lasts(firstRate, r)
		switch {
		case p.saves > 0:
			return p.saves
		case firstBurst+(r-firstRate)/climbFirst > r*t: // the first burst was not made good before it was drained
			return climb.taken - r*float64(climb.took)/second
		}
		return firstRamp.beyond(r, p.high)
	}
	missing := func(r float64) float64 { // of what was taken, if that is the rate
		if r < p.restart {
			// It may have been refused anywhere before the next message.
			return p.taken - 0.5 - r*took - min(saved(r), r*pause)
		}
		t := again.lasts(p.restart, r)
		came := r*(pause+t) - (p.restart+r)/2*t // until it went as fast as it came
		return again.beyond(r, fast) - min(saved(r), came)
	}
	const steps = 64
	low := (p.taken - 0.5) / (pause + took) / 2
	for i := range steps {
		high := low + (fast-low)/float64(steps-i)
		if missing(high) > 0 {
			low = high
			continue
		}
		for range 20 {
			if r := (low + high) / 2; missing(r) > 0 {
				low = r
			} else {
				high = r
			}
		}
		break
	}
	return low, saved(low)
}

// climbed returns the rate of a host that took more than before, up to the pace fast.
func (p *pacer) climbed(fast float64) float64 {
	if p.window > 0 {
		return fast * (1 - math.Exp(-climbFull)) / climbFull // the mean over the window
	}
	up := ramp{climbProbe, p.rose, climbUp}
	low, high := 0.0, fast
	for range 40 {
		if r := (low + high) / 2; up.beyond(r, fast) > p.saves {
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
	if hint > 0 && to > rungs[0] {
		return hint
	}
	return max(p.row.end+to-now, hint, int64(time.Second))
}
