package metrics

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A Queue returns what waits in a queue. For that of the module
// github.com/smtpretry/smtpretry/queue, q:
//
//	func(ctx context.Context) (list []metrics.Depth, err error) {
//		counts, err := q.Count(ctx)
//		for _, c := range counts {
//			list = append(list, metrics.Depth{Host: c.Host, State: c.State.String(), Cause: c.Cause, N: c.N, Oldest: c.Oldest, Held: c.Held})
//		}
//		return list, err
//	}
type Queue func(ctx context.Context) ([]Depth, error)

// A Depth is how many entries of a queue wait for one destination, for one reason.
type Depth struct {
	Host   string    // the destination
	State  string    // "waiting" or "sending"
	Cause  string    // of the last refusal, in the words of smtpretry.Cause; empty: not refused so far
	N      int       // how many
	Oldest time.Time // when the first of them was accepted into the queue; zero: not known
	Held   bool      // waiting until somebody lets them go
}

// Read gives to every Gauge there is something to tell of, each series once. ctx
// bounds the look into the queue.
func (r *Recorder) Read(ctx context.Context, to Sink) {
	now := time.Now()
	s := sums{}
	if l := r.opts.Limiter; l != nil {
		keys := l.Hosts()
		// Before anything was sent all are of interest. Of many, those to which
		// something has happened are.
		all := r.hosts.fits(len(keys))
		for _, key := range keys {
			label := HostOther
			if all || r.hosts.has(key) {
				label = r.hosts.label(key)
			}
			s.limits(label, l.Explain(key), now)
		}
	}
	if q := r.opts.Queue; q != nil {
		depths, err := q(ctx)
		up := 1.0
		if err != nil {
			up, depths = 0, nil
		}
		s.set(QueueUp, up, Labels{})
		// The longest first, lest they be among the others.
		slices.SortStableFunc(depths, func(a, b Depth) int { return cmp.Compare(b.N, a.N) })
		for _, d := range depths {
			s.depth(r.routes.label(d.Host), d, now)
		}
	}
	for at, v := range s {
		to(ctx, at.m, v, at.l)
	}
}

// sums gathers what is read: hosts that share a label are one series.
type sums map[series]float64

type series struct {
	m *Metric
	l Labels
}

func (s sums) set(m *Metric, v float64, l Labels)     { s[series{m, l}] = v }
func (s sums) add(m *Metric, v float64, l Labels)     { s[series{m, l}] += v }
func (s sums) longest(m *Metric, v float64, l Labels) { s.set(m, max(s[series{m, l}], v), l) }

func (s sums) limits(host string, e smtpretry.Explanation, now time.Time) {
	s.add(LimiterConns, float64(e.Open-e.Idle), Labels{host, "busy"})
	s.add(LimiterConns, float64(e.Idle), Labels{host, "idle"})
	s.add(LimiterWaiting, float64(e.Waiting), Labels{host})
	coolDown := 0.0
	if e.Binding == "cool-down" {
		coolDown = seconds(e.Until.Sub(now))
	}
	s.longest(LimiterCoolDown, coolDown, Labels{host})
	if host == HostOther {
		return // a limit of several is none
	}
	if e.Limit.Rate > 0 {
		s.set(LimiterRate, float64(e.Limit.Rate), Labels{host, origin(e, "Rate")})
		s.set(LimiterTokens, e.Tokens, Labels{host})
	}
	if e.Limit.MaxConns > 0 {
		s.set(LimiterMaxConns, float64(e.Limit.MaxConns), Labels{host, origin(e, "MaxConns")})
	}
}

// origin says in a word where a part of a limit comes from.
func origin(e smtpretry.Explanation, field string) string {
	for _, o := range e.Origins {
		switch {
		case o.Field != field:
		case o.From == smtpretry.OriginSet:
			return "set"
		case o.From == smtpretry.OriginEHLO:
			return "announced"
		case o.From == smtpretry.OriginLearned:
			return "learned"
		case strings.HasPrefix(o.From, smtpretry.OriginKnown):
			return "known"
		}
	}
	return "default"
}

func (s sums) depth(host string, d Depth, now time.Time) {
	state := d.State
	if d.Held && state == "waiting" {
		state = "held"
	}
	s.add(QueueMessages, float64(d.N), Labels{host, state, cmp.Or(d.Cause, causeNone)})
	if !d.Oldest.IsZero() {
		s.longest(QueueAge, seconds(now.Sub(d.Oldest)), Labels{host, state})
	}
}
