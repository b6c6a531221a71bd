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
	Links, Woken    int
}

func Decide(p Policy, h History, now time.Time) (again time.Time, stop error) {
	d := decide(p, h.history(), now)
	return d.again, d.stop
}

// Early returns from when on the message is tried if the host is seen to work;
// the zero time if it is not tried before its time.
func Early(p Policy, h History, now time.Time) time.Time { return decide(p, h.history(), now).early }

func (h History) history() history {
	return history{start: h.Start, deadline: h.Deadline, attempts: h.Attempts, free: h.Free,
		wait: h.Wait, chance: h.Chance, verdict: h.Verdict, links: h.Links, woken: h.Woken}
}

func (b Backoff) Spread(wait time.Duration, chance float64) time.Duration {
	return b.spread(wait, chance)
}
