package maillog

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/go-logfmt/logfmt"

	"github.com/smtpretry/smtpretry"
)

// The names that programs give to what is looked for, the surest first.
var (
	timeKeys  = []string{"time", "@timestamp", "timestamp", "ts", "datetime", "date", "__REALTIME_TIMESTAMP"}
	hostKeys  = []string{"smtp_host", "smtp_server", "relay", "mx", "server", "host", "remote", "addr", "address"}
	toKeys    = []string{"to", "rcpt", "recipient", "recipients", "rcpt_to", "email"}
	stageKeys = []string{"stage", "command", "phase"}
	replyKeys = []string{"reply", "response", "smtp_response", "error", "err", "reason", "diagnostic", "status", "exception", "msg", "message", "MESSAGE", "log"}
)

// json reads an object: one of smtpretry's records, or any that holds a reply.
func (p *Parser) json(line string) *Event {
	if line = strings.TrimSpace(line); !strings.HasPrefix(line, "{") {
		return nil
	}
	var fields map[string]any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if d.Decode(&fields) != nil {
		return nil
	}
	return p.fields(fields)
}

// logfmt reads a line of key=value.
func (p *Parser) logfmt(line string) *Event {
	if !strings.Contains(line, "msg=") && !strings.Contains(line, "error=") && !strings.Contains(line, "err=") {
		return nil
	}
	d := logfmt.NewDecoder(strings.NewReader(line))
	fields := map[string]any{}
	for d.ScanRecord() {
		for d.ScanKeyval() {
			fields[string(d.Key())] = string(d.Value())
		}
	}
	if d.Err() != nil {
		return nil
	}
	return p.fields(fields)
}

// fields reads what a structured record says.
func (p *Parser) fields(f map[string]any) *Event {
	e := &Event{Time: p.anyTime(first(f, timeKeys)), Host: first(f, hostKeys)}
	if to := first(f, toKeys); strings.Contains(to, "@") {
		e.To = to
	}
	// The library's own records.
	switch f["msg"] {
	case "smtp attempt failed":
		if v, ok := ownVerdict(f); ok {
			e.Outcome, e.Verdict = Failed, v
			return e
		}
	case "smtp message sent":
		return e
	case "smtp attempt accepted", "smtp message not sent to all", "smtp wait":
		return nil // told by the other records
	}
	at := stageNamed(first(f, stageKeys))
	code := text(f["code"])
	for _, key := range replyKeys {
		said := text(f[key])
		if said == "" {
			continue
		}
		if len(code) == 3 && !strings.Contains(said, code) {
			said = code + " " + said // the code has a field of its own
		}
		// journald and container runtimes wrap other programs' lines.
		if inner := p.wrapped(said); inner != nil {
			if inner.Time.IsZero() {
				inner.Time = e.Time
			}
			return inner
		}
		if reply, ok := FindReply(said); ok {
			return p.said(e, reply, at)
		}
	}
	for _, key := range replyKeys {
		said := text(f[key])
		for _, known := range failures {
			if said != "" && known.pattern.MatchString(said) {
				return p.failed(e, said, at, smtp.EnhancedCode{}, false)
			}
		}
	}
	return nil
}

// wrapped reads a line of a mail server within a record. What syslog puts before
// it, journald has in other fields.
func (p *Parser) wrapped(line string) *Event {
	if e := p.postfix(line); e != nil {
		return e
	}
	if e := p.postfix("postfix/smtp[0]: " + line); e != nil {
		return e
	}
	return p.exim(line)
}

// ownVerdict reads a record that smtpretry has logged of an attempt: it says
// itself what the reply was taken for.
func ownVerdict(f map[string]any) (v smtpretry.Verdict, ok bool) {
	for _, field := range []struct {
		key  string
		into interface{ UnmarshalText(b []byte) error }
	}{{"class", &v.Class}, {"cause", &v.Cause}, {"scope", &v.Scope}, {"stage", &v.Stage}} {
		if field.into.UnmarshalText([]byte(text(f[field.key]))) != nil {
			return v, false
		}
	}
	v.Code, _ = strconv.Atoi(text(f["code"]))
	v.Text, v.Rule = oneLine(text(f["reply"])), text(f["rule"])
	return v, v.Rule != ""
}

// first returns the text of the first key that has one.
func first(f map[string]any, keys []string) string {
	for _, k := range keys {
		if s := text(f[k]); s != "" {
			return s
		}
	}
	return ""
}

// text returns a field as text; of a list its first element, of an object what
// it says of an error.
func text(v any) string {
	switch v := v.(type) {
	case nil, bool:
		return ""
	case string:
		return v
	case []any:
		if len(v) > 0 {
			return text(v[0])
		}
		return ""
	case map[string]any:
		return first(v, []string{"message", "msg", "error", "reason", "address", "name"})
	}
	return fmt.Sprint(v)
}

// anyTime reads a time as programs write it: RFC 3339 and the like, or seconds,
// milliseconds, microseconds or nanoseconds since 1970.
func (p *Parser) anyTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00", "2006/01/02 15:04:05", time.DateTime} {
		if t, err := time.ParseInLocation(layout, s, p.Now.Location()); err == nil {
			return t
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n <= 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return time.Time{}
	}
	for n > 1e11 { // later than the year 5000 in seconds
		n /= 1000
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)).In(p.Now.Location())
}
