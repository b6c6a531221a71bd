package smtpretry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// What a Limiter knows, across a restart.

const (
	saveVersion = 1

	// mostSaved bounds the file: about 1 KB for a host that has taught
	// something, up to 10 KB with long quotas.
	mostSaved = 10_000

	// mostRcpts is more than one transaction has.
	mostRcpts = 100_000

	// longestSaved is more than any pause or window of a quota that is kept.
	longestSaved = 366 * 24 * time.Hour
)

// The file that Save writes. Times are those of the wall clock.
type (
	savedLimiter struct {
		Version int         `json:"version"`
		Saved   time.Time   `json:"saved"`
		Hosts   []savedHost `json:"hosts"`
	}

	savedHost struct {
		Host            string         `json:"host"`
		Limit           Limit          `json:"limit"`                      // by which the following is counted
		Messages        time.Time      `json:"messages,omitzero"`          // when the bucket is full
		Recipients      time.Time      `json:"recipients,omitzero"`        // likewise
		NewConns        time.Time      `json:"new_conns,omitzero"`         // likewise
		Quotas          [][]savedStamp `json:"quotas,omitempty"`           // as those of Limit
		RecipientQuotas [][]savedStamp `json:"recipient_quotas,omitempty"` // likewise
		Pause           *savedPause    `json:"pause,omitempty"`
		DialPause       *savedPause    `json:"dial_pause,omitempty"`
		Learned         *savedLearned  `json:"learned,omitempty"`
	}

	savedStamp struct {
		At time.Time `json:"at"`
		N  int64     `json:"n"`
	}

	savedPause struct {
		Until   time.Time `json:"until"`
		Row     int       `json:"row"`
		Verdict Verdict   `json:"verdict"`
	}

	savedLearned struct {
		At         time.Time     `json:"at"`
		Rate       float64       `json:"rate,omitempty"`
		Settled    float64       `json:"settled,omitempty"`
		SettledAt  time.Time     `json:"settled_at,omitzero"`
		Refused    float64       `json:"refused,omitempty"`
		RefusedAt  time.Time     `json:"refused_at,omitzero"`
		Hold       time.Time     `json:"hold,omitzero"`
		Vain       int           `json:"vain,omitempty"`
		Window     time.Duration `json:"window,omitempty"`
		Conns      int           `json:"conns,omitempty"`
		BestConns  int           `json:"best_conns,omitempty"`
		ConnsUntil time.Time     `json:"conns_until,omitzero"`
		ConnsRow   int           `json:"conns_row,omitempty"`
		PerConn    int           `json:"per_conn,omitempty"`
		PerMessage int           `json:"per_message,omitempty"`
		Quotas     []Quota       `json:"quotas,omitempty"`
	}
)

// Save writes what the limiter has to remember across a restart, as JSON: what
// was spent, what pauses, and what was learned. Messages under way count as
// sent. If there are more than 10,000 hosts, those that matter longest are
// kept. Save it when all clients are closed: the guarantee holds across the
// restart for what had started before. What is shared is kept by its store: then there
// are no hosts to save. It is safe for concurrent use.
func (l *Limiter) Save(w io.Writer) error {
	l.init()
	f := savedLimiter{Version: saveVersion, Saved: time.Now().UTC()}
	for i := range l.shards {
		if l.sharing != nil {
			break
		}
		s := &l.shards[i]
		s.mu.Lock()
		for _, h := range s.live {
			h.mu.Lock()
			if e, ok := h.save(l.now()); ok {
				f.Hosts = append(f.Hosts, e)
			}
			h.mu.Unlock()
		}
		for key, full := range s.rest {
			if full > l.now() {
				_, p := hostKey(key)
				lim, _ := l.effective(s, key, p)
				f.Hosts = append(f.Hosts, savedHost{Host: key, Limit: lim, Messages: l.wall(full)})
			}
		}
		s.mu.Unlock()
	}
	slices.SortFunc(f.Hosts, func(a, b savedHost) int {
		if c := b.matters().Compare(a.matters()); c != 0 {
			return c
		}
		if a.Host < b.Host {
			return -1
		}
		return 1
	})
	f.Hosts = f.Hosts[:min(len(f.Hosts), mostSaved)]
	return json.NewEncoder(w).Encode(f)
}

// wall returns a moment for the file; the zero time for one that is long past.
func (l *Limiter) wall(at int64) time.Time {
	if at <= 0 {
		return time.Time{}
	}
	return l.time(at).UTC().Round(0)
}

// matters is about when nothing is left to know of the host.
func (e *savedHost) matters() time.Time {
	last := e.Messages
	later := func(t time.Time, d time.Duration) {
		if t = t.Add(d); t.After(last) {
			last = t
		}
	}
	later(e.Recipients, 0)
	for i, q := range e.Limit.Quotas {
		if n := len(e.Quotas[i]); n > 0 {
			later(e.Quotas[i][n-1].At, q.Per)
		}
	}
	for i, q := range e.Limit.RecipientQuotas {
		if n := len(e.RecipientQuotas[i]); n > 0 {
			later(e.RecipientQuotas[i][n-1].At, q.Per)
		}
	}
	if e.Pause != nil {
		later(e.Pause.Until, 0)
	}
	if e.Learned != nil {
		later(e.Learned.At, time.Duration(lessonMemory))
	}
	return last
}

// save returns what has to be remembered of h; false if there is nothing.
func (h *host) save(now int64) (savedHost, bool) {
	s, b, l := h.state, &h.bounds, h.limiter
	if s.msgs.held == 0 && s.msgs.full <= now && s.open == 0 && s.plain(b, now) {
		return savedHost{}, false
	}
	msgs, rcpts := s.msgs.held, s.rcpts.held
	e := savedHost{
		Host: h.key, Limit: h.limit.clone(),
		Messages:   l.wall(s.msgs.charge(b.msgs, msgs, now).full),
		Recipients: l.wall(s.rcpts.charge(b.rcpts, rcpts, now).full),
		NewConns:   l.wall(s.dials.full),
		Pause:      s.pause.save(l, now), DialPause: s.dialPause.save(l, now),
	}
	stamps := func(log quotaLog, q Quota, held int64) []savedStamp {
		list := []savedStamp{}
		for _, t := range log.prune(q, now).stamps {
			list = append(list, savedStamp{l.wall(max(t.at, 1)), t.n})
		}
		if held > 0 {
			list = append(list, savedStamp{l.wall(now), held})
		}
		return list
	}
	for i, q := range b.quotas {
		e.Quotas = append(e.Quotas, stamps(s.quotas[i], q, msgs))
	}
	for i, q := range b.rcptQuotas {
		e.RecipientQuotas = append(e.RecipientQuotas, stamps(s.rcptQuotas[i], q, rcpts))
	}
	if k := &s.learned; !k.forgotten(now) {
		e.Learned = &savedLearned{
			At: l.wall(k.at), Rate: k.rate.rate, Settled: k.rate.settled, SettledAt: l.wall(k.rate.settledAt),
			Refused: k.rate.high, RefusedAt: l.wall(k.rate.highAt), Hold: l.wall(k.rate.hold), Vain: k.rate.vain,
			Window: time.Duration(k.rate.window), Conns: k.conns.max, BestConns: k.conns.best,
			ConnsUntil: l.wall(k.conns.until), ConnsRow: k.conns.row, PerConn: k.perConn, PerMessage: k.perMessage, Quotas: k.quota,
		}
	}
	return e, true
}

func (c coolDown) save(l *Limiter, now int64) *savedPause {
	if c.forgotten(now) {
		return nil
	}
	return &savedPause{Until: l.wall(c.until), Row: c.row, Verdict: c.verdict}
}

// Load takes over what Save has written, for hosts that are not in use yet:
// call it before the first client is made. What was learned is left out where
// SetLimit has told the host's limits. A file that cannot be read, or of a
// later version, is an error and changes nothing.
func (l *Limiter) Load(r io.Reader) error {
	var f savedLimiter
	if err := json.NewDecoder(io.LimitReader(r, 1<<30)).Decode(&f); err != nil {
		return fmt.Errorf("smtpretry: limiter state: %w", err)
	}
	if f.Version != saveVersion {
		return fmt.Errorf("smtpretry: limiter state of version %d, want %d", f.Version, saveVersion)
	}
	if len(f.Hosts) > mostSaved {
		return fmt.Errorf("smtpretry: limiter state of %d hosts, want at most %d", len(f.Hosts), mostSaved)
	}
	for i := range f.Hosts {
		if err := f.Hosts[i].validate(); err != nil {
			return fmt.Errorf("smtpretry: limiter state of %q: %w", f.Hosts[i].Host, err)
		}
	}
	l.init()
	for i := range f.Hosts {
		e := &f.Hosts[i]
		key, provider := hostKey(e.Host)
		s := l.shard(key)
		s.mu.Lock()
		if _, resting := s.rest[key]; s.live[key] == nil && !resting {
			h := l.wake(s, key, provider)
			h.mu.Lock()
			h.load(e, l.now())
			h.mu.Unlock()
		}
		s.mu.Unlock()
	}
	l.sweepLater()
	return nil
}

// validate finds what no Save has written.
func (e *savedHost) validate() error {
	if len(e.Quotas) != len(e.Limit.Quotas) && e.Quotas != nil || len(e.RecipientQuotas) != len(e.Limit.RecipientQuotas) && e.RecipientQuotas != nil {
		return errors.New("as many quotas as in its limit are wanted")
	}
	for _, logs := range [][][]savedStamp{e.Quotas, e.RecipientQuotas} {
		for _, log := range logs {
			for _, s := range log {
				if s.N < 0 || s.N > 1<<40 {
					return fmt.Errorf("%d messages at once", s.N)
				}
			}
		}
	}
	if k := e.Learned; k != nil && (k.Rate < 0 || k.Settled < 0 || k.Refused < 0 || k.Conns < 0 || k.PerConn < 0 || k.PerMessage < 0 || k.Window < 0) {
		return errors.New("what was learned is negative")
	}
	return e.Limit.Validate()
}

// load takes e over. Times that the wall clock has made impossible are brought
// back to where they hold most.
func (h *host) load(e *savedHost, now int64) {
	l, s := h.limiter, &h.state
	from := newBounds(e.Limit)
	at := func(t time.Time, most time.Duration) int64 {
		if t.IsZero() || t.Before(l.base.Add(-longestSaved)) {
			return 0
		}
		return min(l.at(t), later(now, int64(most)))
	}
	full := func(t time.Time, p pace, most int64) bucket {
		return bucket{full: at(t, time.Duration(times(most, max(p.every, 1))))}
	}
	s.msgs = full(e.Messages, from.msgs, from.msgs.burst)
	s.rcpts = full(e.Recipients, from.rcpts, from.rcpts.burst+mostRcpts) // one transaction may have taken more than was there
	s.dials = full(e.NewConns, from.dials, 1)
	logs := func(quotas []Quota, saved [][]savedStamp) []quotaLog {
		list := make([]quotaLog, len(quotas))
		for i := range saved {
			for _, t := range saved[i] {
				list[i].stamps = append(list[i].stamps, stamp{at(t.At, 0), t.N})
				list[i].sum += t.N
			}
			slices.SortFunc(list[i].stamps, func(a, b stamp) int { return int(min(max(a.at-b.at, -1), 1)) })
		}
		return list
	}
	s.quotas, s.rcptQuotas = logs(from.quotas, e.Quotas), logs(from.rcptQuotas, e.RecipientQuotas)
	pause := func(p *savedPause) coolDown {
		if p == nil {
			return coolDown{}
		}
		return coolDown{until: at(p.Until, maxRetryAfter*2), row: min(max(p.Row, 0), 30), verdict: p.Verdict}
	}
	s.pause, s.dialPause = pause(e.Pause), pause(e.DialPause)
	if k := e.Learned; k != nil && !h.told {
		d := &s.learned
		d.at, d.perConn, d.perMessage, d.sizesAt = at(k.At, 0), k.PerConn, k.PerMessage, max(at(k.At, 0), 1)
		for _, q := range k.Quotas[:min(len(k.Quotas), 1)] {
			if q.N > 0 && q.Per >= time.Duration(quotaHint) && q.Per <= longestSaved {
				d.quota = []Quota{q}
			}
		}
		d.conns = ceiling{max: k.Conns, best: k.BestConns, until: at(k.ConnsUntil, time.Duration(askLast)), row: min(max(k.ConnsRow, 0), 30)}
		p := &d.rate
		p.even = k.Refused > 0
		p.settled, p.settledAt, p.high, p.highAt = k.Settled, at(k.SettledAt, 0), k.Refused, at(k.RefusedAt, 0)
		p.hold, p.vain, p.window = at(k.Hold, (restMax+1)*time.Hour), min(max(k.Vain, 0), 8), int64(min(k.Window, longestSaved))
		if k.Rate > 0 {
			p.setRate(k.Rate, now)
		}
	}
	h.bounds = from
	h.compose(now)
}
