package smtpretry

import "time"

// A Lesson is what one attempt tells of a host, for tests of what it teaches.
type Lesson struct {
	Verdict  Verdict
	Accepted bool
	Carried  int           // transactions on the connection before
	Most     int           // recipients taken when one more was too many
	Back     time.Duration // until the refused one is back and nobody else is there; 0: others are
	Took     time.Duration // since it began
}

// Learn draws the lessons of an attempt that ends now.
func (c *Core) Learn(l Lesson, now int64) {
	back := never
	if l.Back > 0 {
		back = now + int64(l.Back)
	}
	c.state.observe(&report{verdict: l.Verdict, accepted: l.Accepted, carried: l.Carried, most: l.Most}, now-int64(l.Took), now, back)
}

// Connections says how many are open, and how many of them have proven
// themselves by a MAIL.
func (c *Core) Connections(open, proven int) { c.state.open, c.state.proven = open, proven }

// Learned returns what was learned, as it holds now.
func (c *Core) Learned(now int64) Limit { return c.state.learned.limit(now) }

// Unknown begins as with a host of which nothing is known.
func (c *Core) Unknown() {
	c.state.learned.forget(true)
	c.bounds.gentle = true
}

// Forget is what SetLimit does to what was learned.
func (c *Core) Forget() { c.state.learned.forget(false) }

// PausedUntil returns when everything, and when new connections are free.
func (c *Core) PausedUntil() (all, dials int64) { return c.state.pause.until, c.state.dialPause.until }

// Forgotten says whether the state may be dropped, nothing being under way.
func (c *Core) Forgotten(now int64) bool { return c.state.plain(&c.bounds, now) }

// A Ceiling is a number of connections at once that was learned.
type Ceiling struct{ ceiling }

func (c *Ceiling) Refuse(open int, now time.Duration) { c.ceiling = c.refuse(open, int64(now)) }
func (c *Ceiling) Take(open int)                      { c.ceiling = c.take(open) }

// Asked returns the number that holds, and when one more is asked for.
func (c *Ceiling) Asked() (most int, at time.Duration) { return c.max, time.Duration(c.until) }

// Roughly is the text of a learned rate.
func (r Rate) Roughly() string { return r.roughly() }
