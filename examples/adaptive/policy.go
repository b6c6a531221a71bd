package main

import (
	"time"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// What the servers allow at first, and what they do to those who ask for more.
const (
	rate   = 50 // messages per second
	burst  = 10
	conns  = 5 // at once
	boxFor = 10 * time.Second
)

func limits(perSecond int) testserver.Limits {
	return testserver.Limits{
		Rate:     testserver.Rate{N: perSecond, Burst: burst},
		MaxConns: conns,
		Box:      testserver.Box{After: 5, Within: 10 * time.Second, For: boxFor},
	}
}

// A moment is a part of the whole time at which something changes or is
// looked at.
type moment struct {
	part    float64
	allowed int // from here on, messages per second; 0: as before
	what    string
	look    bool // print what was learned
}

func (m moment) after(d time.Duration) time.Duration { return time.Duration(m.part * float64(d)) }

var moments = []moment{
	{part: 0, allowed: rate, what: "all begin; smtpretry knows nothing", look: true},
	{part: 0.1, what: "smtpretry climbs", look: true},
	{part: 0.45, what: "before the change", look: true},
	{part: 0.5, allowed: rate / 2, what: "the servers halve their rate"},
	{part: 0.7, what: "after the change", look: true},
	{part: 0.75, allowed: rate, what: "the servers restore their rate"},
	{part: 1, what: "the end", look: true},
}

// A span is a time in which the servers allow one rate, in seconds.
type span struct{ from, to, rate float64 }

func spans(d time.Duration) []span {
	var all []span
	for _, m := range moments {
		at := m.after(d).Seconds()
		if len(all) > 0 {
			all[len(all)-1].to = at
		}
		if m.allowed > 0 {
			all = append(all, span{from: at, rate: float64(m.allowed)})
		}
	}
	return all
}

// allowed returns how many messages the servers take within d from who keeps
// to their limits.
func allowed(d time.Duration) float64 {
	n := float64(burst)
	for _, s := range spans(d) {
		n += (s.to - s.from) * s.rate
	}
	return n
}
