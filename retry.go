package smtpretry

import (
	"iter"
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// The defaults of a zero [Policy].
const (
	defaultMaxElapsed = 15 * time.Minute
	defaultInitial    = 5 * time.Second
	defaultMax        = 5 * time.Minute
	defaultMultiplier = 2
	defaultJitter     = 0.5
)

// A Policy says how often and how long a message is tried. It holds no state:
// one value serves every message. The zero value means the documented
// defaults, fit for a blocking call in a program that can wait a while;
// [InteractivePolicy] and [QueuePolicy] are the other two.
type Policy struct {
	// MaxAttempts is the number of attempts in all for one recipient, the
	// first included; 0: no limit. Attempts that cost the server nothing do
	// not count: over a kept connection that turned out to be closed, on a
	// connection that the server ended after some messages, over one
	// connection more than the server takes while others work, and the rest
	// of a transaction that had too many recipients.
	MaxAttempts int

	// MaxElapsed is the time from the call to the start of the last
	// attempt, waiting for limits included; 0: 15 minutes; negative: no
	// limit but the context's. The last attempt is made at its very end.
	MaxElapsed time.Duration

	// Backoff gives the waits between attempts. One that is for the host's
	// sake (it could not be reached, was overloaded, or a first broken link)
	// ends early when the host is seen to serve other messages again; a wait
	// that the server asked for does not.
	Backoff Backoff

	// NewBackOff, if not nil, takes the place of Backoff. It is called once
	// for each message and must return a fresh value, since a
	// backoff.BackOff has state and is not safe for concurrent use. Its
	// waits are used as they are, but end early as those of Backoff do;
	// backoff.Stop ends the attempts.
	NewBackOff func() backoff.BackOff

	// RetryInDoubt also tries messages again whose fate is not known
	// because the connection broke after the final dot. The same bytes go
	// out again, and a recipient may get them twice.
	RetryInDoubt bool

	// Rules are the user's own, asked before the built-in ones.
	Rules []Rule
}

// InteractivePolicy is for callers that somebody is waiting for: 30 seconds
// in all, waits from 1 second up to 10.
func InteractivePolicy() Policy {
	return Policy{MaxElapsed: 30 * time.Second, Backoff: Backoff{Initial: time.Second, Max: 10 * time.Second}}
}

// QueuePolicy is for queues: waits from 30 minutes up to 4 hours, for 5 days
// (RFC 5321 section 4.5.4.1 asks for at least 30 minutes between tries and
// for 4 to 5 days of them).
func QueuePolicy() Policy {
	return Policy{
		MaxElapsed: 5 * 24 * time.Hour,
		// Jitter is 20 % and starts from 40 minutes, so that no wait is
		// shorter than 30 minutes.
		Backoff: Backoff{Initial: 40 * time.Minute, Max: 4 * time.Hour, Jitter: 0.2},
	}
}

func (p *Policy) maxElapsed() time.Duration {
	if p.MaxElapsed == 0 {
		return defaultMaxElapsed
	}
	return p.MaxElapsed
}

// Tries yields when the attempts for a message start, counted from the call, if
// each of them meets v: without jitter, and without what the limits and pauses of
// the host add. The first is at 0. With neither a MaxAttempts nor an end of time
// there is no last one.
func (p Policy) Tries(v Verdict) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		wait := p.Backoff.Delay
		if p.NewBackOff != nil {
			b := p.NewBackOff()
			wait = func(int) time.Duration { return b.NextBackOff() }
		}
		start := time.Unix(0, 0)
		now := start
		for n := 1; yield(now.Sub(start)) && v.Rule != ""; n++ {
			d := decide(p, history{start: start, attempts: n, wait: wait(n), verdict: v}, now)
			if d.stop != nil {
				return
			}
			now = d.again
		}
	}
}

// end returns when the last attempt may start for a message whose Send was
// called at start; the zero time if there is no limit.
func (p *Policy) end(start time.Time) time.Time {
	if d := p.maxElapsed(); d > 0 {
		return start.Add(d)
	}
	return time.Time{}
}

func (p Policy) validate() error {
	if p.MaxAttempts < 0 {
		return &FieldError{Field: "Config.Policy.MaxAttempts", Reason: "is negative; 0 means no limit"}
	}
	return p.Backoff.validate()
}

// A Backoff is a schedule of growing waits. The zero value means the
// defaults; one value serves every message and goroutine.
type Backoff struct {
	Initial    time.Duration // the first wait, before jitter; 0: 5 s
	Max        time.Duration // the longest wait, before jitter; 0: 5 min, or Initial if that is longer
	Multiplier float64       // growth from wait to wait, at least 1; 0: 2
	Jitter     float64       // random part of a wait, up to 1: 0.5 spreads it by ±50 %; 0: 0.5; negative: none
}

// Delay returns the wait after the nth failed attempt, n counting from 1,
// before jitter. The intervals are those of backoff/v4's exponential policy.
func (b Backoff) Delay(n int) time.Duration {
	b = b.orDefaults()
	e := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(b.Initial),
		backoff.WithMaxInterval(b.Max),
		backoff.WithMultiplier(b.Multiplier),
		backoff.WithRandomizationFactor(0), // ours is applied by spread
		backoff.WithMaxElapsedTime(0),      // its default would stop after 15 min
	)
	wait := e.NextBackOff()
	for i := 1; i < n && wait < b.Max && b.Multiplier > 1; i++ {
		wait = e.NextBackOff()
	}
	return wait
}

// spread applies the jitter to a wait. chance, in [0,1), picks the point in
// its range. It comes after the cap, so that waits at the cap stay spread.
func (b Backoff) spread(wait time.Duration, chance float64) time.Duration {
	j := b.orDefaults().Jitter
	return time.Duration(float64(wait) * (1 - j + 2*j*chance))
}

func (b Backoff) orDefaults() Backoff {
	if b.Initial == 0 {
		b.Initial = defaultInitial
		if b.Max > 0 {
			b.Initial = min(b.Initial, b.Max)
		}
	}
	if b.Max == 0 {
		b.Max = max(defaultMax, b.Initial)
	}
	if b.Multiplier == 0 {
		b.Multiplier = defaultMultiplier
	}
	switch {
	case b.Jitter == 0:
		b.Jitter = defaultJitter
	case b.Jitter < 0:
		b.Jitter = 0
	}
	return b
}

func (b Backoff) validate() error {
	bad := func(field, reason string) error {
		return &FieldError{Field: "Config.Policy.Backoff." + field, Reason: reason}
	}
	switch {
	case b.Initial < 0:
		return bad("Initial", "is negative")
	case b.Max < 0:
		return bad("Max", "is negative")
	case b.Max > 0 && b.Initial > b.Max:
		return bad("Initial", "is longer than Max")
	case b.Multiplier != 0 && !(b.Multiplier >= 1) || math.IsInf(b.Multiplier, 0):
		return bad("Multiplier", "is not a number from 1 up")
	case b.Jitter > 1 || math.IsNaN(b.Jitter):
		return bad("Jitter", "is not a number up to 1")
	}
	return nil
}

// history is what is known of one recipient when its next step is decided.
type history struct {
	start    time.Time     // when Send was called
	attempts int           // how many counted so far
	free     bool          // the last attempt does not count: go on at once
	wait     time.Duration // the policy's wait after this attempt, jitter included; negative: stop
	chance   float64       // in [0,1), spreads the wait that a reply asked for
	verdict  Verdict       // what the last attempt met
	links    int           // how often the link broke while the message was under way
	woken    int           // how often a wait was shortened in vain
	deadline time.Time     // the context's; zero: none
}

// A decision says what comes next for one recipient.
type decision struct {
	again time.Time // when to try again, if stop is nil
	early time.Time // from when on, if the host is seen to work; zero: not before again
	stop  error     // why not to; nil: try again
}

// isOver says whether the reason of a wait is over when the host works again:
// it was about the host, or it was the first time that the link broke under
// the message. One that breaks it each time is not woken for that.
func (h *history) isOver() bool {
	switch teaches(h.verdict) {
	case lessonRate, lessonConns, lessonSession, lessonBusy:
		return h.verdict.Stage < StageData
	case lessonNone, lessonStanding:
	}
	v := h.verdict
	return v.Cause == CauseNetwork && v.Code == 0 && !v.InDoubt && h.links == 1
}

// decide is the retry rule: pure, so that each row of it can be tested.
func decide(p Policy, h history, now time.Time) decision {
	v := h.verdict
	switch {
	case v.InDoubt && !p.RetryInDoubt:
		return decision{stop: ErrInDoubt}
	case v.Class == Permanent && v.Stage != StageUnknown && v.Stage < StageMail:
		return decision{stop: ErrRefused}
	case v.Class == Permanent:
		return decision{stop: ErrRejected}
	case h.free:
		return decision{again: now}
	case p.MaxAttempts > 0 && h.attempts >= p.MaxAttempts, h.wait < 0:
		return decision{stop: ErrExhausted}
	}

	// The server's own word for the wait is a floor; a tenth of it is
	// added at random, lest everybody who was told the same comes back at
	// the same moment.
	hint := v.RetryAfter + time.Duration(h.chance*float64(v.RetryAfter)/10)
	wait := max(h.wait, hint)
	at := now.Add(wait)

	if end := p.end(h.start); !end.IsZero() {
		switch {
		case !now.Before(end) || now.Add(v.RetryAfter).After(end):
			return decision{stop: ErrExhausted}
		case end.Sub(at) < wait/2:
			// No room for another one after it: this is the last, and the
			// last is made at the very end.
			at = end
		}
	}
	if !h.deadline.IsZero() && !at.Before(h.deadline) {
		return decision{stop: errPastDeadline}
	}
	d := decision{again: at}
	if h.isOver() {
		// The more often that was in vain, the less is spared.
		if from := now.Add(max(wait-wait>>h.woken, hint)); from.Before(at) {
			d.early = from
		}
	}
	return d
}
