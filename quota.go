package smtpretry

import (
	"math"
	"slices"
)

// A quotaLog remembers what was charged to a quota, oldest first, as long as
// a window can reach back. Where N is large, neighbours within 1/256 of the
// window are merged under the time of the last, so that a log is short and
// errs by that much, to the safe side.
type quotaLog struct {
	stamps []stamp
	sum    int64
}

type stamp struct{ at, n int64 }

const quotaSteps = 256

// ready returns when n more fit beside those held; it may be past. With
// event it will take that long at least, and that some are let go.
func (l quotaLog) ready(q Quota, held, n int64) (at int64, event bool) {
	room := int64(q.N) - held - n
	if room < 0 {
		room, event = int64(q.N)-n, true
	}
	at = math.MinInt64
	used := l.sum
	for _, s := range l.stamps {
		if used <= room {
			break
		}
		used -= s.n
		at = expiry(q, s)
	}
	return at, event
}

// expiry is the first moment from which no window that holds s is open: a
// window counts both of its ends.
func expiry(q Quota, s stamp) int64 { return later(s.at, int64(q.Per)+1) }

// record adds n at now.
func (l quotaLog) record(q Quota, n, now int64) quotaLog {
	l = l.prune(q, now)
	l.sum += n
	if last := len(l.stamps) - 1; last >= 0 {
		s := &l.stamps[last]
		step := int64(q.Per) / quotaSteps
		if now <= s.at || q.N > quotaSteps && now/step == s.at/step {
			s.at = max(s.at, now)
			s.n += n
			return l
		}
	}
	l.stamps = append(l.stamps, stamp{now, n})
	return l
}

// prune forgets what no open window holds.
func (l quotaLog) prune(q Quota, now int64) quotaLog {
	i := 0
	for ; i < len(l.stamps) && expiry(q, l.stamps[i]) <= now; i++ {
		l.sum -= l.stamps[i].n
	}
	if l.stamps = l.stamps[i:]; len(l.stamps) == 0 {
		l.stamps = nil
	}
	return l
}

// carryQuotas gives each new quota the history of the old one with its
// window, or of the one with the longest, which knows what all others know.
func carryQuotas(logs []quotaLog, from, to []Quota, now int64) []quotaLog {
	carried := make([]quotaLog, len(to))
	for i, q := range to {
		best := -1
		for j, old := range from {
			if old.Per == q.Per {
				best = j
				break
			}
			if best < 0 || old.Per > from[best].Per {
				best = j
			}
		}
		if best >= 0 {
			carried[i] = quotaLog{slices.Clone(logs[best].stamps), logs[best].sum}.prune(q, now)
		}
	}
	return carried
}
