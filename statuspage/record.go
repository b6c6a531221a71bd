package statuspage

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/smtpretry/smtpretry"
)

// What is remembered of attempts at most, over all hosts. Beyond it, the hosts
// that were heard of least recently are forgotten.
const (
	maxHosts   = 20_000
	maxReplies = 60_000
	maxSeconds = 500_000

	maxRepliesOfHost = 8
	maxReplyText     = 300 // octets
)

// A record is what attempts at many hosts have met.
type record struct {
	limiter *smtpretry.Limiter

	mu      sync.Mutex
	all     series
	hosts   map[string]*hostRecord // by the limiter's key
	recent  list.List              // of *hostRecord, the latest first
	replies int
	seconds int
}

// A hostRecord is that of one host.
type hostRecord struct {
	key      string
	place    *list.Element // in record.recent
	sampled  int64         // the second for which the limit was asked for
	limit    float64       // messages per second; 0: none
	series   series
	replies  []met // the latest last
	retrying int   // messages that wait for their next try
}

// A met is what an attempt has met, or several in a row that have met the same.
type met struct {
	verdict     smtpretry.Verdict // of the last of them; of an acceptance only Stage and Text are set
	n           int
	first, last time.Time
}

func newMet(a *smtpretry.Attempt) met {
	m := met{verdict: a.Verdict, n: 1, first: a.End, last: a.End}
	if m.accepted() {
		m.verdict.Stage, m.verdict.Text = a.Stage, a.Queued
	}
	m.verdict.Text = cut(m.verdict.Text)
	return m
}

func (m *met) accepted() bool { return m.verdict.Rule == "" }

// same says whether both mean the same, however it was put.
func (m *met) same(o *met) bool {
	a, b := m.verdict, o.verdict
	a.Text, a.RetryAfter, b.Text, b.RetryAfter = "", 0, "", 0
	return a == b
}

// cut returns text at its greatest length, without holding on to the rest.
func cut(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxReplyText {
		return text
	}
	n := maxReplyText
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// attempted takes in one attempt.
func (rec *record) attempted(a smtpretry.Attempt) {
	m, now := newMet(&a), a.End.Unix()
	// Taken, for somebody at least.
	took := m.accepted() || slices.ContainsFunc(a.Recipients, func(r smtpretry.Recipient) bool { return r.State == smtpretry.Accepted })

	rec.mu.Lock()
	defer rec.mu.Unlock()
	h := rec.host(a.Host)
	if h.sampled != now { // once a second for each host
		h.sampled = now
		rec.mu.Unlock() // others need not wait for the limiter
		e := rec.limiter.Explain(a.Host)
		rec.mu.Lock()
		h = rec.host(a.Host)
		h.sampled, h.limit = now, perSecond(&e.Limit)
	}
	rec.all.add(now, took, 0)
	rec.seconds += h.series.add(now, took, h.limit)
	rec.replies += h.heard(m)
	for len(rec.hosts) > maxHosts || rec.replies > maxReplies || rec.seconds > maxSeconds {
		rec.forget(rec.recent.Back().Value.(*hostRecord))
	}
}

// waits counts those that begin or end to wait for their next try.
func (rec *record) waits(w *smtpretry.Wait, change int) {
	if w.For != "retry" {
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if h := rec.hosts[w.Host]; h != nil { // there was an attempt before
		h.retrying = max(h.retrying+change, 0) // it may have been forgotten in between
	}
}

// host returns the record of a host, as the one that was heard of last.
func (rec *record) host(key string) *hostRecord {
	h := rec.hosts[key]
	if h == nil {
		h = &hostRecord{key: strings.Clone(key)}
		h.place = rec.recent.PushFront(h)
		rec.hosts[h.key] = h
	}
	rec.recent.MoveToFront(h.place)
	return h
}

// heard adds m and returns how many more replies are held by that.
func (h *hostRecord) heard(m met) int {
	n := len(h.replies)
	switch {
	case n > 0 && h.replies[n-1].same(&m):
		last := &h.replies[n-1]
		m.n, m.first = last.n+1, last.first
		*last = m
		return 0
	case n == maxRepliesOfHost:
		copy(h.replies, h.replies[1:])
		h.replies[n-1] = m
		return 0
	}
	h.replies = append(h.replies, m)
	return 1
}

func (rec *record) forget(h *hostRecord) {
	rec.recent.Remove(h.place)
	delete(rec.hosts, h.key)
	rec.replies -= len(h.replies)
	rec.seconds -= len(h.series)
}

// A glance is what the list of hosts shows of a record.
type glance struct {
	last              met     // its n is zero if nothing was heard
	accepted, refused int     // attempts within the window
	rate              float64 // accepted per second, of late
	retrying          int
}

// glances returns one for each host that is known, by its key.
func (rec *record) glances(now int64) map[string]glance {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := make(map[string]glance, len(rec.hosts))
	for key, h := range rec.hosts {
		all[key] = h.glance(now)
	}
	return all
}

func (h *hostRecord) glance(now int64) glance {
	g := glance{rate: h.series.rate(now), retrying: h.retrying}
	if n := len(h.replies); n > 0 {
		g.last = h.replies[n-1]
	}
	g.accepted, g.refused = h.series.total(now-window, now)
	return g
}

// ofHost returns a copy of the record of one host.
func (rec *record) ofHost(key string) hostRecord {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	h := rec.hosts[key]
	if h == nil {
		return hostRecord{key: key}
	}
	own := *h
	own.series, own.replies = slices.Clone(h.series), slices.Clone(h.replies)
	return own
}

// ofAll returns a copy of the series of all hosts together.
func (rec *record) ofAll() series {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clone(rec.all)
}
