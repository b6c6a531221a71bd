package smtpretry

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Rule gives meaning to replies that the built-in rules do not know, or
// another meaning to those they know. Rules stand in Policy.Rules and are tried
// in order, before the built-in ones; the first that matches decides. A reply
// matches when it fits every condition that is set; a Rule without conditions
// matches every reply. Failures without a reply are not subject to rules.
// A Rule is plain data and is never written to.
type Rule struct {
	// Name appears in Verdict.Rule; empty: "own".
	Name string

	// Stages are those in which the rule applies; none: in all.
	Stages []Stage

	// Codes are the basic reply codes; 4 and 5 stand for all of 4yz and 5yz;
	// none: all.
	Codes []int

	// Enhanced is a pattern for the enhanced status code, such as "5.7.1",
	// "x.7.1", "4.7.x" or "5.7.600-699"; several are separated by spaces.
	// Empty: any, or none. A pattern that cannot be read matches nothing.
	Enhanced string

	// Text holds words or phrases that must all occur in the reply's text,
	// whatever their case and the white space between the words.
	Text []string

	// Class replaces the class that the reply code gives; Unknown keeps it.
	Class Class

	// Cause is the outcome's cause.
	Cause Cause

	// Scope is the outcome's scope; ScopeNone: the usual one for the cause
	// and stage.
	Scope Scope

	// RetryAfter is the least time to wait, unless the reply itself names
	// one; 0: none. Values outside 10 s to 24 h are brought within.
	RetryAfter time.Duration
}

// ownRule returns the first of the user's rules that fits, or nil.
func ownRule(own []Rule, v *Verdict) *Rule {
	if len(own) == 0 {
		return nil
	}
	text := foldSpace(v.Text)
	for i := range own {
		if own[i].fits(v, text) {
			return &own[i]
		}
	}
	return nil
}

func (r *Rule) fits(v *Verdict, folded string) bool {
	if len(r.Stages) > 0 && !containsStage(r.Stages, v.Stage) {
		return false
	}
	if len(r.Codes) > 0 && !fitsCode(r.Codes, v.Code) {
		return false
	}
	if r.Enhanced != "" {
		patterns, err := parseEnhancedPatterns(r.Enhanced)
		if err != nil || !fitsEnhanced(patterns, v) {
			return false
		}
	}
	for _, phrase := range r.Text {
		if !strings.Contains(folded, foldSpace(phrase)) {
			return false
		}
	}
	return true
}

func (r *Rule) apply(v *Verdict) {
	v.Rule = r.Name
	if v.Rule == "" {
		v.Rule = "own"
	}
	settle(v, r.Class, r.Cause, r.Scope, r.RetryAfter)
}

// settle writes a rule's outcome into v.
func settle(v *Verdict, class Class, cause Cause, scope Scope, after time.Duration) {
	if class != Unknown {
		v.Class = class
	}
	v.Cause, v.Scope = cause, scope
	if scope == ScopeNone {
		v.Scope = usualScope(cause, v.Stage)
	}
	switch {
	case v.Class == Permanent:
		v.RetryAfter = 0
	case v.RetryAfter == 0 && after > 0:
		v.RetryAfter = min(max(after, minRetryAfter), maxRetryAfter)
	}
}

// usualScope is what to hold back for a cause when the rule names nothing
// else. An unknown refusal is taken to be about what was last offered.
func usualScope(c Cause, at Stage) Scope {
	switch c {
	case CauseConnectionLimit, CauseNetwork:
		return ScopeConnection
	case CauseOverload, CauseReputation, CauseRateLimit, CauseTLS, CauseDNS:
		return ScopeHost
	case CauseAuth:
		return ScopeAccount
	case CauseSenderPolicy, CauseBadSender:
		return ScopeSender
	case CauseGreylist, CauseMailboxFull, CauseBadRecipient, CauseRelayDenied:
		return ScopeRecipient
	case CauseProtocol:
		if at == StageGreeting || at == StageHello {
			return ScopeHost
		}
	case CauseUnknown:
		switch at {
		case StageDial, StageGreeting, StageHello, StageTLS:
			return ScopeHost
		case StageAuth:
			return ScopeAccount
		case StageMail:
			return ScopeSender
		case StageRcpt:
			return ScopeRecipient
		}
	}
	return ScopeMessage
}

// foldSpace returns s in lower case, with single spaces between words.
func foldSpace(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

func containsStage(stages []Stage, at Stage) bool {
	for _, s := range stages {
		if s == at {
			return true
		}
	}
	return false
}

func fitsCode(codes []int, code int) bool {
	for _, c := range codes {
		if c == code || c == code/100 {
			return true
		}
	}
	return false
}

// An enhancedPattern fits enhanced status codes; a negative class or subject
// fits any.
type enhancedPattern struct{ class, subject, low, high int }

func parseEnhancedPatterns(s string) ([]enhancedPattern, error) {
	var out []enhancedPattern
	for _, f := range strings.Fields(s) {
		parts := strings.Split(f, ".")
		if len(parts) != 3 {
			return nil, fmt.Errorf("smtpretry: %q is no pattern for an enhanced status code", f)
		}
		low, high, isRange := strings.Cut(parts[2], "-")
		if !isRange {
			high = low
		}
		var n [4]int
		for i, part := range []string{parts[0], parts[1], low, high} {
			if part == "x" {
				n[i] = -1
				continue
			}
			var err error
			if n[i], err = strconv.Atoi(part); err != nil || n[i] < 0 {
				return nil, fmt.Errorf("smtpretry: %q is no pattern for an enhanced status code", f)
			}
		}
		if n[2] < 0 {
			n[2], n[3] = 0, 999
		}
		out = append(out, enhancedPattern{n[0], n[1], n[2], n[3]})
	}
	return out, nil
}

func fitsEnhanced(patterns []enhancedPattern, v *Verdict) bool {
	e := v.Enhanced
	if e[0] == 0 {
		return false
	}
	for _, p := range patterns {
		if (p.class < 0 || p.class == e[0]) && (p.subject < 0 || p.subject == e[1]) && p.low <= e[2] && e[2] <= p.high {
			return true
		}
	}
	return false
}
