package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// presets are the policies of the library, by the names they have here and in
// send's --policy.
var presets = []struct {
	name   string
	policy smtpretry.Policy
}{
	{"interactive", smtpretry.InteractivePolicy()},
	{"default", smtpretry.Policy{}},
	{"queue", smtpretry.QueuePolicy()},
}

// meaning is what is said of a verdict, for people and as JSON alike.
type meaning struct {
	Class      smtpretry.Class      `json:"class"`
	Cause      smtpretry.Cause      `json:"cause"`
	Scope      smtpretry.Scope      `json:"scope"`
	Stage      smtpretry.Stage      `json:"stage"`
	Code       int                  `json:"code,omitempty"`
	Enhanced   string               `json:"enhanced,omitempty"`
	Text       string               `json:"text"`
	RetryAfter float64              `json:"retry_after,omitempty"` // seconds
	SlowDown   string               `json:"slow_down"`
	Waiting    string               `json:"waiting"`
	Advice     string               `json:"advice,omitempty"`
	Tries      map[string][]float64 `json:"tries,omitempty"` // by preset, seconds from the first
	Rule       string               `json:"rule,omitempty"`
	Source     string               `json:"source,omitempty"`
}

// meaningOf says what a verdict means.
func meaningOf(v smtpretry.Verdict) meaning {
	m := meaning{Class: v.Class, Cause: v.Cause, Scope: v.Scope, Stage: v.Stage, Code: v.Code, Enhanced: ui.Enhanced(v), Text: v.Text,
		RetryAfter: v.RetryAfter.Seconds(), SlowDown: slowDown(v), Waiting: waiting(v), Advice: v.Advice(),
		Rule: v.Rule, Source: v.Source()}
	if isRetried(v) {
		m.Tries = map[string][]float64{}
		for _, p := range presets {
			m.Tries[p.name] = []float64{}
			for _, at := range tries(p.policy, v) {
				m.Tries[p.name] = append(m.Tries[p.name], at.Seconds())
			}
		}
	}
	return m
}

// isRetried says whether there is a next try.
func isRetried(v smtpretry.Verdict) bool { return v.Class != smtpretry.Permanent && v.Rule != "" }

// reply prints what one reply means.
func (x *explainer) reply(v smtpretry.Verdict) error {
	if x.JSON {
		return x.Encode(meaningOf(v))
	}
	style := ui.Warn
	switch {
	case v.Rule == "":
		_, err := fmt.Fprintf(x.Out, "%s\n", x.Paint(ui.Good, "a success: nothing was refused"))
		return ui.Fail(ui.IOErr, err)
	case v.Class == smtpretry.Permanent:
		style = ui.Bad
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", x.Paint(ui.Bold, v.Reply()))
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %s  %s\n", x.Paint(ui.Dim, fmt.Sprintf("%-9s", name)), text)
		}
	}
	row("class", x.Paint(style, v.Class.String())+classWords[v.Class])
	row("cause", v.Cause.String())
	row("about", scopeWords[v.Scope])
	stage := v.Stage.String()
	if x.parser.Stage == nil && v.Stage != smtpretry.StageUnknown {
		stage += " (a guess; --stage tells)"
	}
	row("stage", stage)
	prose := func(name, text string) { row(name, wrap(text, x.Width()-13, 13)) }
	prose("slow down", slowDown(v))
	prose("waiting", waiting(v))
	prose("advice", v.Advice())
	for i, p := range presets {
		if !isRetried(v) {
			break
		}
		name := ""
		if i == 0 {
			name = "tries"
		}
		row(name, fmt.Sprintf("%-11s  %s", p.name, tries(p.policy, v)))
	}
	rule := v.Rule
	if source := v.Source(); source != "" {
		rule += " (" + source + ")"
	}
	row("rule", rule)
	b.WriteString("\n")
	_, err := fmt.Fprint(x.Out, b.String())
	return ui.Fail(ui.IOErr, err)
}

var classWords = map[smtpretry.Class]string{
	smtpretry.Temporary: ": it may be tried again",
	smtpretry.Permanent: ": never try again unchanged",
	smtpretry.Unknown:   ": no code says; it may be tried again",
}

var scopeWords = map[smtpretry.Scope]string{
	smtpretry.ScopeNone:       "nothing",
	smtpretry.ScopeConnection: "this connection",
	smtpretry.ScopeHost:       "everything to this host",
	smtpretry.ScopeAccount:    "everything from this login",
	smtpretry.ScopeSender:     "everything from this sender",
	smtpretry.ScopeRecipient:  "this recipient",
	smtpretry.ScopeMessage:    "this message",
}

// slowDown says who has to slow down.
func slowDown(v smtpretry.Verdict) string {
	switch v.Cause {
	case smtpretry.CauseConnectionLimit:
		return "this machine: fewer connections at once to this host, fewer messages on each"
	case smtpretry.CauseRateLimit, smtpretry.CauseReputation:
		switch v.Scope {
		case smtpretry.ScopeAccount:
			return "everybody who sends with this login"
		case smtpretry.ScopeSender:
			return "whoever sends from this sender or its domain"
		case smtpretry.ScopeRecipient:
			return "whoever sends to this recipient"
		}
		return "everybody who sends to this host from this IP address"
	case smtpretry.CauseOverload, smtpretry.CauseNetwork:
		if v.Scope == smtpretry.ScopeHost {
			return "everybody here who sends to this host: let it recover"
		}
	case smtpretry.CauseAuth:
		return "everybody who logs in with this account: repeated failures lock it"
	case smtpretry.CauseTooManyRecipients:
		return "nobody; offer fewer recipients in one transaction"
	}
	return "nobody; it is not about the pace"
}

// waiting says whether waiting helps.
func waiting(v smtpretry.Verdict) string {
	if v.Rule == "" {
		return "is not needed"
	}
	if v.Class == smtpretry.Permanent {
		return "does not help"
	}
	s := "may help"
	switch v.Cause {
	case smtpretry.CauseOverload, smtpretry.CauseGreylist, smtpretry.CauseMailboxFull, smtpretry.CauseDNS, smtpretry.CauseNetwork:
		s = "helps"
	case smtpretry.CauseRateLimit:
		s = "helps, if less is sent afterwards"
	case smtpretry.CauseConnectionLimit:
		s = "helps, with fewer connections afterwards"
	case smtpretry.CauseTooManyRecipients:
		return "is not needed: the rest can go at once"
	case smtpretry.CauseReputation, smtpretry.CauseSenderPolicy, smtpretry.CauseContent, smtpretry.CauseSize, smtpretry.CauseLoop,
		smtpretry.CauseRelayDenied, smtpretry.CauseBadSender, smtpretry.CauseProtocol, smtpretry.CauseTLS:
		s = "alone does not help"
	}
	if v.RetryAfter > 0 {
		s += "; the server asks for " + short(v.RetryAfter)
	}
	return s
}

// A schedule is when a message is tried again, counted from the first try.
type schedule []time.Duration

// tries returns when a policy tries again what meets v each time.
func tries(p smtpretry.Policy, v smtpretry.Verdict) schedule {
	s := schedule{}
	for at := range p.Tries(v) {
		if at > 0 {
			s = append(s, at)
		}
	}
	return s
}

// String is one line: all of them if they are few, else the first and the last.
func (s schedule) String() string {
	if len(s) == 0 {
		return "not again: the server asks for a longer wait"
	}
	var parts []string
	for _, at := range s {
		parts = append(parts, short(at))
	}
	if len(parts) > 9 {
		parts = append(parts[:6], "…", parts[len(parts)-1])
	}
	return strings.Join(parts, ", ")
}

// short writes a duration without its zero units.
func short(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		if days == 1 {
			return "1 day"
		}
		return strconv.Itoa(int(days)) + " days"
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// wrap breaks text into lines of a width, all but the first indented.
func wrap(text string, width, indent int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > max(width, 20):
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
