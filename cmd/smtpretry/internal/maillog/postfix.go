package maillog

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

var (
	// postfixLine is a line of one of Postfix's delivery agents: time, queue
	// id, fields, status, and the reason in parentheses.
	postfixLine = regexp.MustCompile(`^(?:<\d+>)?(\S+ +\S+ +\d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+)? ?.*?/(?:smtp|lmtp|relay|error|retry)\[\d+\]: (\w+): (to=<.*), status=(\w+) \((.*)\)\s*$`)

	postfixField = regexp.MustCompile(`(?:^|, )(to|relay|dsn)=(?:<([^>]*)>|([^,]*))`)

	inReplyTo    = regexp.MustCompile(`^(.*) \(in reply to (.*?)(?: command)?\)$`)
	hostSaid     = regexp.MustCompile(`host (\S+) said: (.*)$`)
	hostRefused  = regexp.MustCompile(`host (\S+) refused to talk to me: (.*)$`)
	authSaid     = regexp.MustCompile(`SASL authentication failed; server (\S+) said: (.*)$`)
	postfixNamed = regexp.MustCompile(`(?:connect to|connection with|conversation with|host|server) ([\w.-]+\[[^\]]*\])`)
)

// postfix reads a line of Postfix.
func (p *Parser) postfix(line string) *Event {
	if !strings.Contains(line, ", status=") {
		return nil
	}
	m := postfixLine.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	stamp, fields, status, why := m[1], m[3], m[4], m[5]
	e := &Event{Time: p.syslogTime(stamp)}
	var dsn smtp.EnhancedCode
	for _, f := range postfixField.FindAllStringSubmatch(fields, -1) {
		switch f[1] {
		case "to":
			e.To = f[2]
		case "relay":
			e.Host = f[3]
		case "dsn":
			dsn = enhanced(f[3])
		}
	}
	final := false
	switch status {
	case "sent":
		return e
	case "bounced", "expired":
		final = true
	case "deferred", "undeliverable":
	default:
		return nil // deliverable, filtered …
	}
	if m := postfixNamed.FindStringSubmatch(why); m != nil && (e.Host == "none" || e.Host == "") {
		e.Host = m[1]
	}
	if strings.HasPrefix(why, "delivery temporarily suspended") {
		e.Outcome = HeldBack
		return e
	}
	at := smtpretry.StageUnknown
	if m := inReplyTo.FindStringSubmatch(why); m != nil {
		why, at = m[1], stageNamed(m[2])
	}
	for _, f := range []struct {
		pattern *regexp.Regexp
		stage   smtpretry.Stage
	}{{hostRefused, smtpretry.StageGreeting}, {authSaid, smtpretry.StageAuth}, {hostSaid, at}} {
		if m := f.pattern.FindStringSubmatch(why); m != nil {
			if reply, ok := ParseReply(m[2]); ok {
				return p.said(e, reply, f.stage)
			}
		}
	}
	return p.failed(e, why, smtpretry.StageUnknown, dsn, final)
}

// syslogTime reads the time of a syslog line, in one of its two forms. Without a
// year it is the last such time before now; a clock that is a day ahead is forgiven.
func (p *Parser) syslogTime(s string) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t
	}
	t, err := time.Parse("Jan 2 15:04:05", strings.Join(strings.Fields(s), " "))
	if err != nil {
		return time.Time{}
	}
	t = time.Date(p.Now.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), p.Now.Location())
	if t.After(p.Now.Add(24 * time.Hour)) {
		t = t.AddDate(-1, 0, 0)
	}
	return t
}

// enhanced reads an enhanced status code; zero if it is none.
func enhanced(s string) (code smtp.EnhancedCode) {
	parts := strings.Split(s, ".")
	if len(parts) != len(code) {
		return code
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return smtp.EnhancedCode{}
		}
		code[i] = n
	}
	return code
}
