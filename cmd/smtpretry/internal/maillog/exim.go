package maillog

import (
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

var (
	// eximLine is a line of the main log about one address: time, message id,
	// what became of it, the address, the rest.
	eximLine = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?) (?:\[\d+\] )?([\w-]{16,23}) (==|\*\*|=>|->) (\S+)(.*)$`)

	eximOrigin = regexp.MustCompile(`^ <([^>]*@[^>]*)>`)
	eximHost   = regexp.MustCompile(`\bH=(\S+(?: \[[^\]]*\])?)|\bhost (\S+ \[[^\]]*\])`)
	eximDefer  = regexp.MustCompile(` defer \(-?\d+\)(?::| )`)
	eximReply  = regexp.MustCompile(`SMTP error from remote mail(?:er| server) after (.*?): (?:host \S+ \[[^\]]*\]: )?([2-5]\d\d(?:[ -].*)?)$`)
	eximReason = regexp.MustCompile(`^.*?(?:T=\S+|R=\S+)(?: \S+=(?:"[^"]*"|\S+)(?: \[[^\]]*\])?)*(?: defer \(-?\d+\))?(?: H=\S+(?: \[[^\]]*\])?)?:? ?`)
)

// exim reads a line of Exim's main log.
func (p *Parser) exim(line string) *Event {
	m := eximLine.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	e := &Event{Time: p.eximTime(m[1]), To: strings.Trim(m[4], "<>:")}
	rest := m[5]
	if to := eximOrigin.FindStringSubmatch(rest); to != nil {
		e.To = to[1] // a local name, and the address that it came from
	}
	if h := eximHost.FindStringSubmatch(rest); h != nil {
		e.Host = h[1] + h[2]
	}
	final := m[3] == "**"
	switch m[3] {
	case "=>", "->":
		if e.Host == "" {
			return nil // into a mailbox here
		}
		return e
	case "==":
		if eximDefer.MatchString(rest) && strings.Contains(rest, "retry time not reached") {
			e.Outcome = HeldBack
			return e
		}
	}
	if r := eximReply.FindStringSubmatch(rest); r != nil {
		if reply, ok := ParseReply(r[2]); ok {
			at := stageNamed(r[1])
			if guess := GuessStage(reply); guess != smtpretry.StageUnknown && strings.HasPrefix(r[1], "pipelined ") {
				at = guess // Exim names the last command sent, not the one answered
			}
			return p.said(e, reply, at)
		}
	}
	return p.failed(e, eximReason.ReplaceAllString(rest, ""), smtpretry.StageUnknown, smtp.EnhancedCode{}, final)
}

// eximTime reads the time of a line: local time, unless it says its zone.
func (p *Parser) eximTime(s string) time.Time {
	if t, err := time.Parse("2006-01-02 15:04:05 -0700", s); err == nil {
		return t
	}
	t, _ := time.ParseInLocation(time.DateTime, s, p.Now.Location())
	return t
}
