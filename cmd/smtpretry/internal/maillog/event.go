// Package maillog reads what mail programs log of their attempts: Postfix, Exim,
// programs that log JSON or key=value, and bare replies.
package maillog

import (
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// A Format is how a log is written.
type Format string

// The formats.
const (
	Auto    Format = "auto"    // each line is what it looks like
	Postfix Format = "postfix" // syslog lines of Postfix's delivery agents
	Exim    Format = "exim"    // Exim's main log
	JSON    Format = "json"    // an object on each line, as of slog, zap, zerolog or journalctl
	Logfmt  Format = "logfmt"  // key=value, as of slog's text handler
	Replies Format = "replies" // a server's reply on each line
)

// Formats are the words for all of them.
var Formats = []string{string(Auto), string(Postfix), string(Exim), string(JSON), string(Logfmt), string(Replies)}

// An Outcome is what a line tells of an attempt.
type Outcome uint8

// The outcomes.
const (
	Accepted Outcome = iota // the server took the message
	Failed                  // it did not, or nobody knows; see Event.Verdict
	HeldBack                // the mail program did not ask the server, since that had refused before
)

// An Event is what one line of a log tells of one attempt for one recipient.
type Event struct {
	Format  Format
	Time    time.Time // zero if the line does not say
	Host    string    // the server that was spoken to, else the recipient's domain; "" if not known
	To      string    // the recipient; "" if not known
	Outcome Outcome
	Verdict smtpretry.Verdict // of what Failed
}

// A Parser reads lines. Year-less times are taken for the last such time before
// Now. Not safe for concurrent use.
type Parser struct {
	Format Format           // "": Auto
	Stage  *smtpretry.Stage // of all replies; nil: as the log says, else a guess
	Now    time.Time        // zero: now
}

// Parse reads one line. It returns nil for lines that tell of no attempt.
func (p *Parser) Parse(line string) *Event {
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	for _, f := range []struct {
		format Format
		parse  func(string) *Event
	}{
		{JSON, p.json}, {Postfix, p.postfix}, {Exim, p.exim}, {Logfmt, p.logfmt}, {Replies, p.bare},
	} {
		if p.Format != "" && p.Format != Auto && p.Format != f.format {
			continue
		}
		if e := f.parse(line); e != nil {
			e.Format = f.format
			e.Host = hostName(e.Host, e.To)
			return e
		}
	}
	return nil
}

// bare reads a reply that stands alone.
func (p *Parser) bare(line string) *Event {
	if reply, ok := ParseReply(line); ok {
		return p.Reply(reply)
	}
	return nil
}

// Reply is what a reply tells that stands alone.
func (p *Parser) Reply(reply *textproto.Error) *Event {
	return p.said(&Event{Format: Replies}, reply, smtpretry.StageUnknown)
}

// said puts a reply into an event. at is the stage that the log tells.
func (p *Parser) said(e *Event, reply *textproto.Error, at smtpretry.Stage) *Event {
	if reply.Code < 400 {
		e.Outcome = Accepted
		return e
	}
	switch {
	case p.Stage != nil:
		at = *p.Stage
	case at == smtpretry.StageUnknown:
		at = GuessStage(reply)
	}
	e.Outcome, e.Verdict = Failed, smtpretry.Classify(reply, at)
	return e
}

// failed puts a failure without a reply into an event. final says that the mail
// program has given up.
func (p *Parser) failed(e *Event, why string, at smtpretry.Stage, dsn smtp.EnhancedCode, final bool) *Event {
	if p.Stage != nil {
		at = *p.Stage
	}
	e.Outcome, e.Verdict = Failed, classifyFailure(why, at, dsn, final)
	return e
}

// hostName brings a server's name into one form: "mx.example.net[192.0.2.1]:25"
// is mx.example.net, and where there is none the recipient's domain is taken.
func hostName(host, to string) string {
	host, _, _ = strings.Cut(host, " ")
	if name, rest, ok := strings.Cut(host, "["); ok && name != "" {
		host = name
	} else if ok { // an address literal
		host, _, _ = strings.Cut(rest, "]")
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "" || host == "none" || host == "unknown" {
		host = ""
		if at := strings.LastIndexByte(to, '@'); at >= 0 {
			host = to[at+1:]
		}
	}
	return strings.ToLower(strings.TrimSuffix(oneLine(host), "."))
}
