package smtpretry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Explanation says what a [Limiter] makes of one host at one moment.
type Explanation struct {
	Host    string   // as asked for
	Key     string   // what the limiter counts it under; shared by the MX hosts of a known provider
	Limit   Limit    // in force
	Origins []Origin // where each part of Limit comes from, in the order of its fields

	// Binding is the limit that keeps a message for one recipient from
	// starting now: "rate", "learned-rate", "recipients", "quota",
	// "recipient-quota", "connections", "new-connections", "cool-down", or
	// "store" where that of a shared limiter cannot be reached; empty if it may start.
	Binding string
	Until   time.Time // when it may start at the earliest; zero if that is not known, or now
	Why     string    // for a cool-down: what the server said
	Advice  string    // for a cool-down: what the sender should do

	Waiting int     // messages in the line
	Open    int     // connections, those being opened or closed included
	Idle    int     // connections kept for the next message
	Tokens  float64 // messages that Rate and Burst let start at once; 0 if Limit.Rate is
	Shared  string  // for people: whether the store by which it is shared with other processes is reached, and what follows; empty if it is not shared
	MaxSize int64   // octets of a message, as announced in the reply to EHLO (SIZE, RFC 1870); 0 if not known
}

// Where a part of a limit can come from.
const (
	OriginSet     = "set by SetLimit"
	OriginDefault = "the limiter's default"
	OriginKnown   = "known for " // and a provider's name
	OriginEHLO    = "announced in the reply to EHLO"
	OriginLearned = "learned"
)

// An Origin says where one part of a limit comes from.
type Origin struct {
	Field  string // of Limit
	Value  string // as text, such as "30 per 1m"
	From   string // OriginSet, OriginDefault, OriginKnown and the provider, OriginEHLO, or OriginLearned
	Source string // where the provider, or someone else, published it; empty unless known
}

// String explains it in a few short lines of plain English, with times in UTC.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Host)
	if e.Key != e.Host {
		fmt.Fprintf(&b, " (counted as %s)", e.Key)
	}
	b.WriteString(": ")
	switch {
	case e.Binding == "":
		b.WriteString("a message may start now.\n")
	case e.Until.IsZero():
		fmt.Fprintf(&b, "a message has to wait, the limit that binds is %s.\n", e.Binding)
	default:
		fmt.Fprintf(&b, "a message has to wait until %s, the limit that binds is %s.\n",
			e.Until.UTC().Format("2006-01-02 15:04:05.000 MST"), e.Binding)
	}
	if e.Why != "" {
		fmt.Fprintf(&b, "Reason: %s.\n", e.Why)
	}
	if e.Advice != "" {
		fmt.Fprintf(&b, "What to do: %s\n", e.Advice)
	}
	fmt.Fprintf(&b, "Waiting: %d. Connections: %d open, %d of them idle.", e.Waiting, e.Open, e.Idle)
	if e.Limit.Rate > 0 {
		fmt.Fprintf(&b, " Tokens: %.1f.", e.Tokens)
	}
	b.WriteByte('\n')
	if e.Shared != "" {
		fmt.Fprintf(&b, "Shared with other processes; the store %s.\n", e.Shared)
	}
	if e.MaxSize > 0 {
		fmt.Fprintf(&b, "MaxSize %d: %s (RFC 1870).\n", e.MaxSize, OriginEHLO)
	}
	if len(e.Origins) == 0 {
		b.WriteString("No limit is set, and none is known for this host.\n")
	}
	for _, o := range e.Origins {
		fmt.Fprintf(&b, "%s %s: %s", o.Field, o.Value, o.From)
		if o.Source != "" {
			fmt.Fprintf(&b, " (%s)", o.Source)
		}
		b.WriteString(".\n")
	}
	return b.String()
}

// Explain says which limits host has, where they come from, and which of them
// keeps a message from starting now.
func (l *Limiter) Explain(host string) Explanation {
	l.init()
	key, provider := hostKey(host)
	s := l.shard(key)
	s.mu.Lock()
	h := s.live[key]
	if h == nil {
		// A host for this look only, from what is remembered.
		h = l.newHost(s, key, provider)
		s.mu.Unlock()
	} else {
		s.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.explain(l.now())
	e.Host = host
	return e
}

// Hosts returns the keys of the hosts of which there is more to tell than of any:
// those that clients are for, those that SetLimit was called for, and those that
// were sent to or heard from not long ago. They are in alphabetical order, each for
// Explain; more may be known of one a moment later.
func (l *Limiter) Hosts() []string {
	l.init()
	var keys []string
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		keys = slices.AppendSeq(keys, maps.Keys(s.live))
		keys = slices.AppendSeq(keys, maps.Keys(s.set))
		keys = slices.AppendSeq(keys, maps.Keys(s.rest))
		s.mu.Unlock()
	}
	slices.Sort(keys)
	return slices.Compact(keys) // SetLimit may be for one in use
}

func (h *host) explain(now int64) Explanation {
	e := Explanation{
		Key:     h.key,
		Waiting: h.waiting,
		Open:    h.state.open,
		MaxSize: h.announced.size,
		Shared:  h.sharingText(),
	}
	e.Limit, e.Origins = h.provenance(now)
	e.Tokens = h.state.msgs.tokens(h.bounds.msgs, now)
	if r := &h.state.learned.rate; r.pace.every > 0 {
		e.Tokens = r.bucket.tokens(r.pace, now)
		if h.bounds.msgs.every > 0 {
			e.Tokens = min(e.Tokens, h.state.msgs.tokens(h.bounds.msgs, now))
		}
	}
	for l := h.idle.oldest; l != nil; l = l.next {
		e.Idle++
	}
	at, by := h.state.ready(&h.bounds, 1, now)
	if h.shared() && h.remote.down != nil {
		at, by = h.remote.again, bindStore
	}
	if by == "" && e.Idle == 0 {
		at, by = h.state.readyToDial(&h.bounds, h.state.open, now)
	}
	if by == "" {
		at, by = h.ahead(now)
	}
	e.Binding = by
	if by != "" && at < never {
		e.Until = h.limiter.time(at)
	}
	if by == bindCoolDown {
		e.Why, e.Advice = h.state.pause.String(), h.state.pause.verdict.Advice()
		if h.state.pause.until <= now {
			e.Why, e.Advice = h.state.dialPause.String()+", to a further connection", h.state.dialPause.verdict.Advice()
		}
	}
	return e
}

// String says what the pause answers to.
func (c coolDown) String() string {
	text := c.verdict.String()
	if c.row > 1 {
		text += fmt.Sprintf(", refusal number %d in a row", c.row)
	}
	return text
}

// provenance returns the limit in force and where each part of it comes from.
func (h *host) provenance(now int64) (Limit, []Origin) {
	lim, announced := stricter(h.own, h.announced.limit())
	lim, learned := stricter(lim, h.state.learned.limit(now))
	return lim, origins(lim, func(part string) (from, source string) {
		if learned[part] {
			return OriginLearned, h.state.learned.why(part)
		}
		if announced[part] {
			return OriginEHLO, "RFC 9422"
		}
		for _, o := range h.origins {
			if o.Field == part || o.Field+" "+o.Value == part {
				return o.From, o.Source
			}
		}
		return "", ""
	})
}

// effective returns the limit that the user and the provider set and where each part of it
// comes from.
func (l *Limiter) effective(s *shard, key string, p *provider) (Limit, []Origin) {
	if own, ok := s.set[key]; ok {
		return own, origins(own, func(string) (string, string) { return OriginSet, "" })
	}
	if p == nil {
		return l.def, origins(l.def, func(string) (string, string) { return OriginDefault, "" })
	}
	lim, published := stricter(l.def, p.limit)
	return lim, origins(lim, func(part string) (string, string) {
		if !published[part] {
			return OriginDefault, ""
		}
		field, _, _ := strings.Cut(part, " ")
		return OriginKnown + p.name, p.sources[field]
	})
}

// stricter returns, part by part, the stricter of two limits, and which parts
// of it are the second's. A part is a field, or the field and one quota of it.
func stricter(own, other Limit) (lim Limit, others map[string]bool) {
	lim = own.clone()
	others = make(map[string]bool)
	rate := func(field string, to *Rate, r Rate) {
		if r > 0 && (*to == 0 || r < *to) {
			*to, others[field] = r, true
		}
	}
	count := func(field string, to *int, n int) {
		if n > 0 && (*to == 0 || n < *to) {
			*to, others[field] = n, true
		}
	}
	quotas := func(field string, to *[]Quota, add []Quota) {
		for _, q := range add {
			same := -1
			for i, have := range *to {
				if have.Per == q.Per {
					same = i
				}
			}
			switch {
			case same < 0:
				*to = append(*to, q)
			case q.N < (*to)[same].N:
				(*to)[same] = q
			default:
				continue
			}
			others[field+" "+q.String()] = true
		}
	}
	if other.Rate > 0 || other.Recipients > 0 {
		// A burst is part of the rate it belongs to, and 0 is 1.
		if own.Rate > 0 || own.Recipients > 0 {
			lim.Burst = max(lim.Burst, 1)
		}
		count("Burst", &lim.Burst, max(other.Burst, 1))
	}
	rate("Rate", &lim.Rate, other.Rate)
	rate("Recipients", &lim.Recipients, other.Recipients)
	quotas("Quotas", &lim.Quotas, other.Quotas)
	quotas("RecipientQuotas", &lim.RecipientQuotas, other.RecipientQuotas)
	rate("NewConns", &lim.NewConns, other.NewConns)
	count("MaxConns", &lim.MaxConns, other.MaxConns)
	count("PerConn", &lim.PerConn, other.PerConn)
	count("PerMessage", &lim.PerMessage, other.PerMessage)
	return lim, others
}

// origins lists what lim sets, asking from for the origin of each part.
func origins(lim Limit, from func(part string) (from, source string)) []Origin {
	var list []Origin
	add := func(field, value, part string) {
		o := Origin{Field: field, Value: value}
		o.From, o.Source = from(part)
		list = append(list, o)
	}
	rate := func(field string, r Rate) {
		if r == 0 {
			return
		}
		add(field, r.String(), field)
		if o := &list[len(list)-1]; o.From == OriginLearned {
			o.Value = r.roughly()
		}
	}
	count := func(field string, n int) {
		if n > 0 {
			add(field, strconv.Itoa(n), field)
		}
	}
	quotas := func(field string, list []Quota) {
		for _, q := range list {
			add(field, q.String(), field+" "+q.String())
		}
	}
	rate("Rate", lim.Rate)
	count("Burst", lim.Burst)
	rate("Recipients", lim.Recipients)
	quotas("Quotas", lim.Quotas)
	quotas("RecipientQuotas", lim.RecipientQuotas)
	rate("NewConns", lim.NewConns)
	count("MaxConns", lim.MaxConns)
	count("PerConn", lim.PerConn)
	count("PerMessage", lim.PerMessage)
	return list
}
