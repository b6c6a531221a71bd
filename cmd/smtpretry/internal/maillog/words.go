package maillog

import (
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

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
		_, host, _ = cutLast(to, "@")
	}
	return strings.ToLower(strings.TrimSuffix(oneLine(host), "."))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// inLastYear gives a time without a year the last one before now. A clock that is
// a day ahead is forgiven.
func (p *Parser) inLastYear(t time.Time) time.Time {
	t = time.Date(p.Now.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), p.Now.Location())
	if t.After(p.Now.Add(24 * time.Hour)) {
		t = t.AddDate(-1, 0, 0)
	}
	return t
}
