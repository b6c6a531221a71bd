package testserver

import (
	"strconv"
	"strings"
	"time"
)

// Limits are a provider's limits, counted over all clients of the server. A
// zero field is no limit. Nothing that is refused uses up anything.
type Limits struct {
	Rate       Rate          // messages, counted at MAIL
	Recipients Rate          // recipients, counted at RCPT
	NewConns   Rate          // new connections
	MaxConns   int           // connections at once; one too many waits 10 ms for a slot before it is refused
	PerConn    int           // messages on one connection, counted at MAIL
	PerMessage int           // recipients in one transaction
	Domains    int           // recipient domains on one connection
	Quota      Quota         // messages in any window, counted at MAIL
	Greylist   time.Duration // a new triplet of client, sender and recipient is deferred this long
	Box        Box           // punishment for violations
	Announce   bool          // say PerConn, PerMessage and Domains in EHLO (LIMITS, RFC 9422)

	// Replies replaces the reply of a limit. These words are filled in:
	// {wait} seconds until it may succeed, {ip} the client, {host} the server,
	// {from}, {rcpt}.
	Replies map[Limit]*Action
}

// A Rate is a token bucket: Burst tokens, refilled at N per Per.
type Rate struct {
	N     int
	Per   time.Duration // default one second
	Burst int           // default 1
}

// A Quota allows N in any window of length Per or, if Fixed, in each of the
// windows that follow one another from the start of the Unix epoch.
type Quota struct {
	N     int
	Per   time.Duration // default 24 h
	Fixed bool
}

// began returns the first time that the window which holds now looks back to.
func (q Quota) began(now time.Time) time.Time {
	per := orElse(q.Per, 24*time.Hour)
	if q.Fixed {
		return time.Unix(0, now.UnixNano()/int64(per)*int64(per))
	}
	return now.Add(1 - per)
}

// A Box is where a client lands after After violations within Within: it is
// refused everything for For.
type Box struct {
	After   int
	Within  time.Duration // default 1 min
	For     time.Duration // default 10 min
	Extends bool          // each try from inside begins the time anew
}

// A Limit names what refused something.
type Limit string

// The limits, as in Limits, and the other reasons counted in Stats.Refused.
const (
	ByRate       Limit = "rate"
	ByRecipients Limit = "recipients"
	ByNewConns   Limit = "new-conns"
	ByMaxConns   Limit = "max-conns"
	ByPerConn    Limit = "per-conn"
	ByPerMessage Limit = "per-message"
	ByDomains    Limit = "domains"
	ByQuota      Limit = "quota"
	ByGreylist   Limit = "greylist"
	ByBox        Limit = "box"
	BySize       Limit = "size"
	ByAuth       Limit = "auth"       // wrong credentials
	ByInjection  Limit = "injection"  // plaintext sent behind STARTTLS
	ByPipelining Limit = "pipelining" // commands sent ahead where that is not allowed
)

// defaultReplies follow the wording of widespread servers.
var defaultReplies = map[Limit]*Action{
	ByRate:       Reply("450 4.7.1 Error: too much mail from {ip}"),
	ByRecipients: Reply("450 4.7.1 Error: too many recipients from {ip}"),
	ByNewConns:   Reply("421 4.7.0 {host} Error: connection rate limit exceeded by {ip}").ThenClose(),
	ByMaxConns:   Reply("421 4.7.0 {host} Error: too many connections from {ip}").ThenClose(),
	ByPerConn:    Reply("421 4.7.0 {host} Error: too many messages in this connection").ThenClose(),
	ByPerMessage: Reply("452 4.5.3 Error: too many recipients"),
	ByDomains:    Reply("452 4.5.3 Error: too many recipient domains"),
	ByQuota:      Reply("451 4.7.1 Error: message quota exceeded, try again in {wait} seconds"),
	ByGreylist:   Reply("450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted, try again in {wait} seconds"),
	ByBox:        Reply("421 4.7.0 {host} Error: {ip} is refused for now because of too many violations").ThenClose(),
}

// violation tells whether a client that knows the limits never meets this one.
func (l Limit) violation() bool {
	switch l {
	case ByRate, ByRecipients, ByNewConns, ByMaxConns, ByPerConn, ByQuota:
		return true
	}
	return false
}

// meter is how far the limits are used. The server's lock guards it.
type meter struct {
	rate, recipients, newConns bucket
	quota                      []time.Time // messages within the window
	triplets                   map[triplet]time.Time
	violations                 []time.Time // within the box's window
	boxedUntil                 time.Time
}

type triplet struct{ ip, from, to string }

// maxTriplets bounds the greylist; beyond it, it starts anew.
const maxTriplets = 100_000

// A bucket is a token bucket, kept as the time at which it will be full.
type bucket struct{ full time.Time }

// wait returns how long until a token is there; 0 is now.
func (b *bucket) wait(r Rate, now time.Time) time.Duration {
	if r.N <= 0 {
		return 0
	}
	missing := max(b.full.Sub(now), 0) // an untouched bucket is full since the year 1
	return max(missing-time.Duration(max(r.Burst, 1)-1)*r.interval(), 0)
}

// take uses a token.
func (b *bucket) take(r Rate, now time.Time) {
	if r.N <= 0 {
		return
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(r.interval())
}

func (r Rate) interval() time.Duration { return orElse(r.Per, time.Second) / time.Duration(r.N) }

func orElse(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// recent drops the times that a window ending now no longer holds.
func recent(times []time.Time, per time.Duration, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= per {
		times = times[1:]
	}
	return times
}

// A refusal is a limit that is reached, and for how long.
type refusal struct {
	by   Limit
	wait time.Duration
}

// boxed tells whether clients are boxed now. s.mu is held.
func (s *Server) boxed(now time.Time) *refusal {
	if !now.Before(s.meter.boxedUntil) {
		return nil
	}
	if s.limits.Box.Extends {
		s.meter.boxedUntil = now.Add(orElse(s.limits.Box.For, 10*time.Minute))
	}
	return &refusal{ByBox, s.meter.boxedUntil.Sub(now)}
}

// admitConn takes a connection in, or says why not.
func (s *Server) admitConn(now time.Time) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	lim, m := &s.limits, &s.meter
	// A box whose reply is a mere 4yz or 5yz for MAIL lets connections in.
	if reply, _ := s.limitReply(ByBox); reply.code() == 421 {
		if r := s.boxed(now); r != nil {
			return r
		}
	}
	if w := m.newConns.wait(lim.NewConns, now); w > 0 {
		return &refusal{ByNewConns, w}
	}
	if lim.MaxConns > 0 && s.stats.Open >= lim.MaxConns {
		return &refusal{by: ByMaxConns}
	}
	m.newConns.take(lim.NewConns, now)
	s.enter()
	return nil
}

// admitMail takes a message in, or says why not.
func (s *Server) admitMail(now time.Time, onConn int) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	lim, m := &s.limits, &s.meter
	if r := s.boxed(now); r != nil {
		return r
	}
	if lim.PerConn > 0 && onConn >= lim.PerConn {
		return &refusal{by: ByPerConn}
	}
	if lim.Quota.N > 0 {
		began := lim.Quota.began(now)
		for len(m.quota) > 0 && m.quota[0].Before(began) {
			m.quota = m.quota[1:]
		}
		if len(m.quota) >= lim.Quota.N {
			from := m.quota[0]
			if lim.Quota.Fixed {
				from = began
			}
			return &refusal{ByQuota, from.Add(orElse(lim.Quota.Per, 24*time.Hour)).Sub(now)}
		}
	}
	if w := m.rate.wait(lim.Rate, now); w > 0 {
		return &refusal{ByRate, w}
	}
	m.rate.take(lim.Rate, now)
	if lim.Quota.N > 0 {
		m.quota = append(m.quota, now)
	}
	return nil
}

// admitRcpt takes a recipient in, or says why not.
func (s *Server) admitRcpt(now time.Time, have []Recipient, domains map[string]bool, t triplet) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	lim, m := &s.limits, &s.meter
	if lim.PerMessage > 0 && len(have) >= lim.PerMessage {
		return &refusal{by: ByPerMessage}
	}
	if lim.Domains > 0 && len(domains) >= lim.Domains && !domains[domainOf(t.to)] {
		return &refusal{by: ByDomains}
	}
	if lim.Greylist > 0 {
		first, known := m.triplets[t]
		if !known {
			if m.triplets == nil || len(m.triplets) >= maxTriplets {
				m.triplets = make(map[triplet]time.Time)
			}
			m.triplets[t] = now
			first = now
		}
		if w := first.Add(lim.Greylist).Sub(now); w > 0 {
			return &refusal{ByGreylist, w}
		}
	}
	if w := m.recipients.wait(lim.Recipients, now); w > 0 {
		return &refusal{ByRecipients, w}
	}
	m.recipients.take(lim.Recipients, now)
	return nil
}

// domainOf returns what stands behind the last @, in lower case.
func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// note counts a refusal, and boxes who has too many of them.
func (s *Server) note(by Limit, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Refused[by]++
	if !by.violation() {
		return
	}
	s.stats.Violations++
	box, m := s.limits.Box, &s.meter
	if box.After <= 0 {
		return
	}
	m.violations = append(recent(m.violations, orElse(box.Within, time.Minute), now), now)
	if len(m.violations) >= box.After && !now.Before(m.boxedUntil) {
		m.boxedUntil = now.Add(orElse(box.For, 10*time.Minute))
		m.violations = nil
		s.stats.Boxes++
	}
}

// limitReply is the reply of a limit before its words are filled in, and
// whether it is the server's own. s.mu is held.
func (s *Server) limitReply(by Limit) (a *Action, own bool) {
	if a := s.limits.Replies[by]; a != nil {
		return a, false
	}
	return defaultReplies[by], true
}

// SetLimits replaces the limits. What was counted so far still counts.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

func (s *Server) limitsNow() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// note counts a refusal and tells the observer.
func (s *session) note(by Limit) {
	s.srv.note(by, time.Now())
	s.emit(Refused, string(by))
}

// refuse counts a refusal and returns the reply to it.
func (s *session) refuse(r *refusal, rcpt string) *Action {
	s.note(r.by)
	s.srv.mu.Lock()
	reply, own := s.srv.limitReply(r.by)
	s.srv.mu.Unlock()
	seconds := int((r.wait + time.Second - 1) / time.Second)
	a := *reply
	a.text = strings.NewReplacer(
		"{wait}", strconv.Itoa(seconds), "{ip}", s.ip(), "{host}", s.srv.cfg.Name,
		"{from}", s.from, "{rcpt}", rcpt,
	).Replace(a.text)
	if own {
		a.text = s.plain(a.text)
	}
	return &a
}
