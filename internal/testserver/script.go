package testserver

import (
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Stage is a point of a session at which a script is asked what to do.
// The first nine words are those of package smtpretry.
type Stage string

// The stages.
const (
	Greeting Stage = "greeting" // a connection was accepted
	Hello    Stage = "hello"    // EHLO, HELO, LHLO
	TLS      Stage = "tls"      // STARTTLS; with implicit TLS, before the handshake
	Auth     Stage = "auth"     // AUTH, with or without an initial response
	Mail     Stage = "mail"     // a MAIL that is in order
	Rcpt     Stage = "rcpt"     // a RCPT that is in order
	Data     Stage = "data"     // a DATA or BDAT that is in order
	Body     Stage = "body"     // 354 was sent; see Action.AtByte
	Dot      Stage = "dot"      // the whole body is there; with LMTP once per recipient
	Idle     Stage = "idle"     // waiting for a command; see Action.After
	Quit     Stage = "quit"     // QUIT
	Other    Stage = "other"    // RSET, NOOP, VRFY, EXPN, HELP
)

// An At is where a session stands when the script is asked.
type At struct {
	Stage   Stage
	Time    time.Time
	Remote  net.Addr
	Conn    int    // number of the connection, from 1
	Command int    // number of the command on this connection, from 1; 0 at the greeting
	Line    string // the command as it came, without the line end
	Helo    string // the client's name, empty before EHLO
	TLS     bool   // the connection is encrypted
	User    string // authenticated user, empty if none
	Message int    // number of the MAIL on this connection, from 1; 0 before the first
	Total   int    // number of that MAIL among all connections, in the order of arrival
	From    string // reverse-path, from Mail on
	Rcpt    string // the recipient, at Rcpt and at the Dot of LMTP
	Rcpts   int    // recipients accepted so far
	Size    int64  // bytes of the body so far, at Dot all
}

// A Hook decides what to do at a point of a session; nil is the normal
// behaviour. Sessions call it concurrently.
type Hook func(At) *Action

// A Script is a list of rules. At each point the first rule that fits and is
// not used up decides.
type Script []Rule

// A Rule is an action for a stage. It fits once unless [Rule.Times],
// [Rule.Always] or [Rule.For] says otherwise. Rules are values: a Script can
// be given to several servers, each counts for itself.
type Rule struct {
	stage Stage
	do    *Action
	times int // -1: always
	skip  int
	to    string
	from  string
	when  []func(At) bool
	lasts time.Duration
}

// On returns a rule that does do, once, at stage.
func On(stage Stage, do *Action) Rule { return Rule{stage: stage, do: do, times: 1} }

// Times makes the rule fit n times.
func (r Rule) Times(n int) Rule { r.times = n; return r }

// Always makes the rule fit whenever its stage comes.
func (r Rule) Always() Rule { r.times = -1; return r }

// Skip lets the first n occasions pass that the rule would fit.
func (r Rule) Skip(n int) Rule { r.skip = n; return r }

// For makes the rule fit any number of times, until d after its first use.
func (r Rule) For(d time.Duration) Rule { r.times, r.lasts = -1, d; return r }

// To restricts the rule to a recipient: a whole address, "local@" for any
// domain, or "@domain". Case does not matter.
func (r Rule) To(address string) Rule { r.to = address; return r }

// From restricts the rule to a sender, alike.
func (r Rule) From(address string) Rule { r.from = address; return r }

// When restricts the rule to points for which f is true. Sessions call f one
// at a time; it must not call the server.
func (r Rule) When(f func(At) bool) Rule {
	r.when = append(slices.Clip(r.when), f)
	return r
}

// director holds how far a server's script has come.
type director struct {
	hook  Hook
	mu    sync.Mutex
	rules []progress
}

// progress is a rule and how often it has fitted and been used.
type progress struct {
	Rule
	seen, used int
	first      time.Time
}

func newDirector(hook Hook, script Script) *director {
	d := &director{hook: hook}
	for _, r := range script {
		d.rules = append(d.rules, progress{Rule: r})
	}
	return d
}

// ask returns the action for a point, nil for the normal one. giveBack undoes
// the use of it, when its moment did not come.
func (d *director) ask(at At) (a *Action, giveBack func()) {
	if d.hook != nil {
		if a := d.hook(at); a != nil {
			return a, func() {}
		}
	}
	if len(d.rules) == 0 {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.rules {
		r := &d.rules[i]
		if !r.fits(at) {
			continue
		}
		if r.seen++; r.seen <= r.skip {
			continue
		}
		if r.first.IsZero() {
			r.first = at.Time
		}
		r.used++
		return r.do, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			r.used--
		}
	}
	return nil, nil
}

func (r *progress) fits(at At) bool {
	switch {
	case r.stage != at.Stage,
		r.times >= 0 && r.used >= r.times,
		r.lasts > 0 && !r.first.IsZero() && at.Time.Sub(r.first) >= r.lasts,
		r.to != "" && !addressMatches(r.to, at.Rcpt),
		r.from != "" && !addressMatches(r.from, at.From):
		return false
	}
	for _, f := range r.when {
		if !f(at) {
			return false
		}
	}
	return true
}

func addressMatches(pattern, address string) bool {
	pattern, address = strings.ToLower(pattern), strings.ToLower(address)
	switch {
	case strings.HasSuffix(pattern, "@"):
		return strings.HasPrefix(address, pattern)
	case strings.HasPrefix(pattern, "@"):
		return strings.HasSuffix(address, pattern)
	}
	return pattern == address
}
