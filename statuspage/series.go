package statuspage

import (
	"math"
	"slices"
)

// window is how many seconds are remembered, and drawn.
const window = 300

// A second is what happened to one host in one second in which anything did.
type second struct {
	at                int64   // in seconds since 1970
	accepted, refused uint16  // attempts
	limit             float32 // messages per second that were let through then; 0: no limit
}

// A series is the seconds of the window, oldest first.
type series []second

// add counts one attempt and returns how many seconds more it now holds.
func (s *series) add(at int64, accepted bool, limit float64) int {
	list := *s
	before := len(list)
	if before == 0 || list[before-1].at < at {
		drop := 0
		for drop < before && list[drop].at <= at-window {
			drop++
		}
		if drop > 0 {
			list = list[:copy(list, list[drop:])]
		}
		list = append(list, second{at: at})
	}
	last := &list[len(list)-1]
	last.limit = float32(limit)
	switch {
	case accepted && last.accepted < math.MaxUint16:
		last.accepted++
	case !accepted && last.refused < math.MaxUint16:
		last.refused++
	}
	*s = list
	return len(list) - before
}

// total counts the attempts of the seconds after from, up to and including now.
func (s series) total(from, now int64) (accepted, refused int) {
	for i := len(s) - 1; i >= 0 && s[i].at > from; i-- {
		if s[i].at <= now {
			accepted += int(s[i].accepted)
			refused += int(s[i].refused)
		}
	}
	return accepted, refused
}

// ratePeriod is over how many seconds a rate is averaged that is shown as the
// present one.
const ratePeriod = 10

// rate returns how many were accepted per second of late.
func (s series) rate(now int64) float64 {
	n, _ := s.total(now-ratePeriod-1, now-1) // this second is not over
	return float64(n) / ratePeriod
}

// A bin is a part of the window, in attempts per second.
type bin struct {
	Accepted float64 `json:"accepted"`
	Refused  float64 `json:"refused"`
	Limit    float64 `json:"limit,omitempty"` // in force then, as far as known; 0: none
}

// bins divides the window that ends with the second before now into parts of so
// many seconds, oldest first. limit is what is in force now.
func (s series) bins(now int64, width int, limit float64) []bin {
	list := make([]bin, window/width)
	start := now - window
	known := make([]bool, len(list))
	for _, sec := range s {
		if sec.at < start || sec.at >= now {
			continue
		}
		i := int(sec.at-start) / width
		list[i].Accepted += float64(sec.accepted) / float64(width)
		list[i].Refused += float64(sec.refused) / float64(width)
		list[i].Limit, known[i] = float64(sec.limit), true
	}
	// Between two seconds with attempts it is taken to have been what the later of
	// them was let through by; before the first, nobody has asked for it.
	first := max(slices.Index(known, true), 0)
	for i := len(list) - 1; i >= first; i-- {
		if known[i] {
			limit = list[i].Limit
		} else {
			list[i].Limit = limit
		}
	}
	return list
}

// binWidth returns how wide bins are best for a host with a limit: so that the
// limit lets a few messages into each, and few enough for a picture.
func binWidth(limit float64) int {
	for _, width := range []int{2, 5, 10} {
		if limit == 0 || limit*float64(width) >= 2 {
			return width
		}
	}
	return 30
}
