package statuspage

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A condition is what state a host is in, in the order of how much that needs
// attention.
type condition int

const (
	needsAction condition = iota // what it refuses, waiting does not cure
	coolDown                     // a pause is in force
	limited                      // messages wait for a limit
	refusing                     // its last word was a refusal of more than one message
	sending                      // messages go out, or did a moment ago
	idle
)

var conditionWords = [...]string{"needs-action", "cool-down", "limited", "refusing", "sending", "idle"}

func (c condition) String() string { return conditionWords[c] }

// MarshalText returns the word of String.
func (c condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Label is the word as a person reads it.
func (c condition) Label() string {
	if c == needsAction {
		return "needs action"
	}
	return c.String()
}

// How long what a host said last is news.
const (
	actionMemory   = time.Hour
	refusingMemory = window * time.Second
	sendingMemory  = time.Minute

	// news is from when on it is worth a word that a limit is used up, though
	// nobody waits for it.
	news = 10 * time.Second

	// blink is what is over before somebody has read it.
	blink = 2 * time.Second
)

// conditionOf judges a host.
func conditionOf(e *smtpretry.Explanation, last *met, now time.Time) condition {
	since := now.Sub(last.last)
	refused := last.n > 0 && !last.accepted() && isWide(&last.verdict)
	paused := e.Binding == "cool-down"
	switch {
	case e.Binding == "store", // nothing goes until it can be reached
		refused && needsPerson(&last.verdict) && (paused || since < actionMemory):
		return needsAction
	case paused:
		return coolDown
	case e.Waiting > 0: // though one of them may start at this very moment
		return limited
	case refused && since < refusingMemory:
		return refusing
	case e.Open > e.Idle || last.n > 0 && since < sendingMemory:
		return sending
	}
	return idle
}

// isWide says whether a refusal is about more than one message or recipient.
func isWide(v *smtpretry.Verdict) bool {
	switch v.Scope {
	case smtpretry.ScopeConnection, smtpretry.ScopeHost, smtpretry.ScopeAccount, smtpretry.ScopeSender:
		return true
	}
	return false
}

// needsPerson says whether waiting alone does not cure a refusal.
func needsPerson(v *smtpretry.Verdict) bool {
	switch v.Cause {
	case smtpretry.CauseReputation, smtpretry.CauseAuth, smtpretry.CauseTLS, smtpretry.CauseSenderPolicy,
		smtpretry.CauseBadSender, smtpretry.CauseRelayDenied:
		return true
	}
	return false
}

// A row is one host in the list.
type row struct {
	Host      string    `json:"host"`
	Condition condition `json:"condition"`
	Binding   string    `json:"binding,omitempty"` // see smtpretry.Explanation
	Until     time.Time `json:"until,omitzero"`
	Waiting   int       `json:"waiting"`  // messages, for a limit
	Retrying  int       `json:"retrying"` // messages, for their next try
	Open      int       `json:"open"`
	Idle      int       `json:"idle"`
	PerSecond float64   `json:"per_second"` // messages accepted, over the last ten seconds
	Accepted  int       `json:"accepted"`   // attempts within the window
	Refused   int       `json:"refused"`
	Last      time.Time `json:"last,omitzero"` // when it was heard of last
}

// A survey is all hosts at one moment. It is not changed once it is made.
type survey struct {
	At       time.Time
	rows     []row // what needs attention most comes first
	Counts   [len(conditionWords)]int
	Waiting  int
	Retrying int
	Open     int
}

// look makes a survey.
func look(rec *record) *survey {
	begin := time.Now()
	s := &survey{At: begin}
	glances := rec.glances(begin.Unix())
	hosts := rec.limiter.Hosts()
	s.rows = make([]row, 0, len(hosts)+len(glances))
	add := func(host string) {
		e := rec.limiter.Explain(host)
		g := glances[e.Key]
		delete(glances, e.Key)
		r := newRow(&e, &g, begin)
		s.rows = append(s.rows, r)
		s.Counts[r.Condition]++
		s.Waiting += r.Waiting
		s.Retrying += r.Retrying
		s.Open += r.Open
	}
	for _, host := range hosts {
		add(host)
	}
	for host := range glances { // those that the limiter has forgotten
		add(host)
	}
	slices.SortFunc(s.rows, byAttention)
	return s
}

func newRow(e *smtpretry.Explanation, g *glance, now time.Time) row {
	r := row{Host: e.Key, Condition: conditionOf(e, &g.last, now), Binding: e.Binding, Until: e.Until,
		Waiting: e.Waiting, Retrying: g.retrying, Open: e.Open, Idle: e.Idle,
		PerSecond: g.rate, Accepted: g.accepted, Refused: g.refused, Last: g.last.last}
	if r.Binding != "cool-down" && r.Waiting == 0 && r.Until.Sub(now) < news {
		r.Binding, r.Until = "", time.Time{} // nobody is kept from anything
	}
	if r.Binding != "cool-down" && r.Until.Sub(now) < blink {
		r.Until = time.Time{}
	}
	return r
}

// byAttention orders numbers by their size in powers of two, so that hosts do not
// change places with every message.
func byAttention(a, b row) int {
	more := func(a, b int) int { return cmp.Compare(bits.Len(uint(b)), bits.Len(uint(a))) }
	return cmp.Or(
		cmp.Compare(a.Condition, b.Condition),
		more(a.Waiting+a.Retrying, b.Waiting+b.Retrying),
		more(a.Refused, b.Refused),
		more(a.Accepted, b.Accepted),
		cmp.Compare(a.Host, b.Host))
}

// orders are the ways to sort the list, by the words in the page's address.
var orders = map[string]func(a, b row) int{
	"":     byAttention,
	"host": func(a, b row) int { return cmp.Compare(a.Host, b.Host) },
	"waiting": func(a, b row) int {
		return cmp.Or(cmp.Compare(b.Waiting+b.Retrying, a.Waiting+a.Retrying), byAttention(a, b))
	},
	"connections": func(a, b row) int { return cmp.Or(cmp.Compare(b.Open, a.Open), byAttention(a, b)) },
	"throughput": func(a, b row) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(b.Accepted, a.Accepted), byAttention(a, b))
	},
	"last": func(a, b row) int { return cmp.Or(b.Last.Compare(a.Last), byAttention(a, b)) },
}

// choose returns the rows whose name has search in it and whose condition is as
// asked for, all if that is empty.
func (s *survey) choose(search, cond, order string) []row {
	rows := s.rows
	search = strings.ToLower(strings.TrimSpace(search))
	if search != "" || cond != "" || order != "" {
		rows = nil
		for _, r := range s.rows {
			if strings.Contains(r.Host, search) && (cond == "" || r.Condition.String() == cond) {
				rows = append(rows, r)
			}
		}
	}
	if order != "" {
		slices.SortFunc(rows, orders[order])
	}
	return rows
}
