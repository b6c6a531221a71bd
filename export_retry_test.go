package smtpretry

import "time"

// History and Decide let the retry rule be tested row by row.
type History struct {
	Start, Deadline time.Time
	Attempts        int
	Free            bool
	Wait            time.Duration
	Chance          float64
	Verdict         Verdict
}

func Decide(p Policy, h History, now time.Time) (again time.Time, stop error) {
	d := decide(p, history{start: h.Start, deadline: h.Deadline, attempts: h.Attempts, free: h.Free,
		wait: h.Wait, chance: h.Chance, verdict: h.Verdict}, now)
	return d.again, d.stop
}

func (b Backoff) Spread(wait time.Duration, chance float64) time.Duration {
	return b.spread(wait, chance)
}
