package smtpretry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Rate is a number of events per second. Zero means no limit. Its text is
// that of [Rate.String], also in JSON and in flags.
type Rate float64

// PerSecond returns the rate of n events per second.
func PerSecond(n float64) Rate { return Rate(n) }

// PerMinute returns the rate of n events per minute.
func PerMinute(n float64) Rate { return Rate(n / 60) }

// PerHour returns the rate of n events per hour.
func PerHour(n float64) Rate { return Rate(n / 3600) }

// PerDay returns the rate of n events per 24 hours.
func PerDay(n float64) Rate { return Rate(n / 86400) }

const unlimited = "unlimited"

var rateUnits = [...]struct {
	word string
	per  func(float64) Rate
	secs float64
}{
	{"s", PerSecond, 1},
	{"min", PerMinute, 60},
	{"h", PerHour, 3600},
	{"day", PerDay, 86400},
}

// minRate is the slowest rate that is taken: once in about 32 years. It keeps
// every interval well inside an int64 of nanoseconds.
const minRate Rate = 1e-9

// String returns the rate in the unit in which it reads best, such as "14/s",
// "100/min" or "2000/day", and "unlimited" for zero.
func (r Rate) String() string {
	if r == 0 {
		return unlimited
	}
	best := ""
	for _, u := range rateUnits {
		n := float64(r) * u.secs
		if !(n >= 1) || n > 1e12 {
			continue
		}
		// Twelve digits hide what the division by the unit rounded; the text
		// is used only if it reads back as the very same rate.
		n, err := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 12, 64), 64)
		if err != nil || u.per(n) != r {
			continue
		}
		text := strconv.FormatFloat(n, 'f', -1, 64) + "/" + u.word
		if n == math.Trunc(n) {
			return text
		}
		if best == "" || len(text) < len(best) {
			best = text
		}
	}
	if best != "" {
		return best
	}
	return strconv.FormatFloat(float64(r), 'g', -1, 64) + "/s"
}

// roughly returns the rate to three digits in a unit that stays the same as long
// as the rate is about the same, so that one that is learned reads steadily.
func (r Rate) roughly() string {
	u := rateUnits[0]
	for _, slower := range rateUnits[1:] {
		if float64(r)*u.secs >= 0.995 {
			break
		}
		u = slower
	}
	n, _ := strconv.ParseFloat(strconv.FormatFloat(float64(r)*u.secs, 'g', 3, 64), 64) // its own text
	return strconv.FormatFloat(n, 'f', -1, 64) + "/" + u.word
}

// MarshalText returns the text of [Rate.String]. A rate that no [Limit] may
// have is an error.
func (r Rate) MarshalText() ([]byte, error) {
	if reason := r.fault(); reason != "" {
		return nil, fmt.Errorf("smtpretry: rate %v %s", float64(r), reason)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads a number and a unit, one of s, min, h and day, such as
// "14/s" or "2.5/min", or the word "unlimited". A zero before a unit is
// refused: it looks like "none" and would mean "no limit".
func (r *Rate) UnmarshalText(b []byte) error {
	if string(b) == unlimited {
		*r = 0
		return nil
	}
	number, unit, _ := strings.Cut(string(b), "/")
	for _, u := range rateUnits {
		if u.word != unit {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return fmt.Errorf("smtpretry: rate %q: not a number before the unit", b)
		}
		rate := u.per(n)
		if reason := rate.fault(); reason != "" || rate == 0 {
			return fmt.Errorf("smtpretry: rate %q: want a number above zero, or %q", b, unlimited)
		}
		*r = rate
		return nil
	}
	return fmt.Errorf("smtpretry: rate %q: want a number and a unit, as in 14/s, 100/min, 500/h or 2000/day", b)
}

// fault says what is wrong with the rate; empty if it may stand in a Limit.
func (r Rate) fault() string {
	switch {
	case math.IsNaN(float64(r)):
		return "is not a number"
	case math.IsInf(float64(r), 0):
		return "is infinite; zero stands for no limit"
	case r < 0:
		return "is negative"
	case r != 0 && r < minRate:
		return "is slower than once in 30 years"
	}
	return ""
}

// A Quota allows at most N in any window of length Per, wherever the window
// begins.
type Quota struct {
	N   int           // how many; at least 1
	Per time.Duration // the length of the window; at least 1 ms
}

// String returns the quota as in "2000 per 24h".
func (q Quota) String() string {
	per := q.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.Itoa(q.N) + " per " + per
}

// A Limit says what one host is sent at most. In every field zero, or nil,
// means no limit.
//
// Messages count when MAIL is sent, recipients with their message, also those
// that the server goes on to refuse.
type Limit struct {
	// Rate is how many messages may start per time, on average: at most
	// Burst + Rate·w in any window of length w.
	Rate Rate

	// Burst is the capacity of the token buckets of Rate and of Recipients:
	// how many may go at once after a rest; 0 means 1, evenly paced.
	Burst int

	// Recipients is how many recipients may be offered per time: in any
	// window of length w at most Recipients·w and the larger of Burst and the
	// largest transaction.
	Recipients Rate

	// Quotas count messages: at most N in any window of Per, for each of them.
	Quotas []Quota

	// RecipientQuotas count recipients, as most providers' daily limits do. A
	// transaction is never larger than the smallest N.
	RecipientQuotas []Quota

	// NewConns is how many connections may be opened per time, evenly paced:
	// at most 1 + NewConns·w in any window of length w.
	NewConns Rate

	// MaxConns is how many connections may be open at once, idle ones
	// included, over all clients of one [Limiter].
	MaxConns int

	// PerConn is how many messages one connection carries before it is closed.
	PerConn int

	// PerMessage is how many recipients one transaction has; what is beyond
	// goes in further transactions.
	PerMessage int
}

// An InvalidLimitError says which field of a [Limit] cannot be followed.
type InvalidLimitError struct {
	Field  string // the field, such as "Rate" or "Quotas[1].N"
	Reason string // what is wrong with it
}

// Error names the field and the reason.
func (e *InvalidLimitError) Error() string {
	return "smtpretry: Limit." + e.Field + " " + e.Reason
}

// Validate returns nil, or an error that joins one [*InvalidLimitError] for
// each field that is negative, not a number, or contradicts the others.
func (lim Limit) Validate() error {
	var errs []error
	fault := func(field, reason string) {
		if reason != "" {
			errs = append(errs, &InvalidLimitError{field, reason})
		}
	}
	count := func(field string, n int) {
		if n < 0 {
			fault(field, fmt.Sprintf("is negative (%d)", n))
		}
	}
	quotas := func(field string, list []Quota) {
		for i, q := range list {
			if q.N < 1 {
				fault(fmt.Sprintf("%s[%d].N", field, i), fmt.Sprintf("is %d, want at least 1", q.N))
			}
			if q.Per < time.Millisecond {
				fault(fmt.Sprintf("%s[%d].Per", field, i), fmt.Sprintf("is %v, want at least 1ms", q.Per))
			}
		}
	}
	fault("Rate", lim.Rate.fault())
	count("Burst", lim.Burst)
	if lim.Burst > 0 && lim.Rate == 0 && lim.Recipients == 0 {
		// Taken silently, a limit that was meant would be none.
		fault("Burst", "is set, but neither Rate nor Recipients is")
	}
	fault("Recipients", lim.Recipients.fault())
	quotas("Quotas", lim.Quotas)
	quotas("RecipientQuotas", lim.RecipientQuotas)
	fault("NewConns", lim.NewConns.fault())
	count("MaxConns", lim.MaxConns)
	count("PerConn", lim.PerConn)
	count("PerMessage", lim.PerMessage)
	return errors.Join(errs...)
}

// clone returns a copy that shares no memory with lim.
func (lim Limit) clone() Limit {
	lim.Quotas = slices.Clone(lim.Quotas)
	lim.RecipientQuotas = slices.Clone(lim.RecipientQuotas)
	return lim
}
