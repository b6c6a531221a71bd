package maillog

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A Summary counts what a log tells. The zero value is ready. Not safe for
// concurrent use.
type Summary struct {
	Lines    int            // read
	Events   int            // of these, lines that tell of an attempt
	Formats  map[Format]int // events by format
	Accepted int            // recipients
	HeldBack int            // times that the mail program did not ask again
	First    time.Time      // the earliest event; zero if none says
	Last     time.Time      // the latest

	groups   map[groupKey]*Group
	timeline map[smtpretry.Cause]map[int64]int // failures by second
}

type groupKey struct {
	host  string
	cause smtpretry.Cause
	class smtpretry.Class
}

// A Group is what failed at one host for one cause.
type Group struct {
	Host        string
	Cause       smtpretry.Cause
	Class       smtpretry.Class
	Count       int
	First, Last time.Time         // zero if the log has no times
	Sample      smtpretry.Verdict // the last of them
}

// Add counts a line and, unless it is nil, what it tells.
func (s *Summary) Add(e *Event) {
	s.Lines++
	if e == nil {
		return
	}
	s.Events++
	if s.Formats == nil {
		s.Formats, s.groups = map[Format]int{}, map[groupKey]*Group{}
		s.timeline = map[smtpretry.Cause]map[int64]int{}
	}
	s.Formats[e.Format]++
	span(&s.First, &s.Last, e.Time)
	switch e.Outcome {
	case Accepted:
		s.Accepted++
		return
	case HeldBack:
		s.HeldBack++
		return
	case Failed:
	}
	v := e.Verdict
	key := groupKey{e.Host, v.Cause, v.Class}
	g := s.groups[key]
	if g == nil {
		g = &Group{Host: e.Host, Cause: v.Cause, Class: v.Class}
		s.groups[key] = g
	}
	g.Count++
	g.Sample = v
	span(&g.First, &g.Last, e.Time)
	if !e.Time.IsZero() {
		if s.timeline[v.Cause] == nil {
			s.timeline[v.Cause] = map[int64]int{}
		}
		s.timeline[v.Cause][e.Time.Unix()]++
	}
}

// span widens a range of time by t, if that is known.
func span(first, last *time.Time, t time.Time) {
	switch {
	case t.IsZero():
		return
	case first.IsZero():
		*first, *last = t, t
	case t.Before(*first):
		*first = t
	case t.After(*last):
		*last = t
	}
}

// Groups returns what failed: by host, the one with most first, and within it by
// count.
func (s *Summary) Groups() []*Group {
	perHost := map[string]int{}
	for _, g := range s.groups {
		perHost[g.Host] += g.Count
	}
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *Group) int {
		return cmp.Or(cmp.Compare(perHost[b.Host], perHost[a.Host]), cmp.Compare(a.Host, b.Host),
			cmp.Compare(b.Count, a.Count), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Class, b.Class))
	})
}

// Failed returns how many attempts failed with a class.
func (s *Summary) Failed(class smtpretry.Class) (n int) {
	for _, g := range s.groups {
		if g.Class == class {
			n += g.Count
		}
	}
	return n
}

// A Series is how often a cause was met in each part of a time.
type Series struct {
	Cause  smtpretry.Cause
	Counts []int
	Total  int
}

// Timeline divides the time of the log into at most so many equal parts, and counts
// the failures in each, the most frequent cause first. Without times there are no
// series.
func (s *Summary) Timeline(most int) (start time.Time, part time.Duration, all []Series) {
	if s.First.IsZero() || most < 1 {
		return time.Time{}, 0, nil
	}
	_, zone := s.First.Zone() // parts begin at round times of the clock that is shown
	east := int64(zone)
	begin, end := s.First.Unix()+east, s.Last.Unix()+east+1
	length := int64(1)
	for parts(begin, end, length) > int64(most) {
		length = longer(length)
	}
	n := parts(begin, end, length)
	begin -= begin % length
	for cause, counts := range s.timeline {
		one := Series{Cause: cause, Counts: make([]int, n)}
		for second, count := range counts {
			one.Counts[(second+east-begin)/length] += count
			one.Total += count
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Cause, b.Cause))
	})
	return time.Unix(begin-east, 0).In(s.First.Location()), time.Duration(length) * time.Second, all
}

// parts returns how many parts of a length the time from begin to end touches.
func parts(begin, end, length int64) int64 { return (end-1)/length - begin/length + 1 }

// longer returns the next length of time, in seconds, that people count in.
func longer(seconds int64) int64 {
	const minute, hour, day = 60, 3600, 86400
	for _, nice := range []int64{2, 5, 10, 30, minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute,
		hour, 2 * hour, 4 * hour, 12 * hour, day} {
		if nice > seconds {
			return nice
		}
	}
	return seconds + day
}
