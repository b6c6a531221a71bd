package smtpretry

import (
	"strings"
	"time"
)

// BuiltinRule is what tests may see of a built-in rule.
type BuiltinRule struct {
	Name, Matches, Source, Sample string
	Class                         Class
	Cause                         Cause
	Scope                         Scope
}

// BuiltinRules lists the built-in rules in their order.
func BuiltinRules() []BuiltinRule {
	var out []BuiltinRule
	for _, r := range builtinRules() {
		out = append(out, BuiltinRule{r.name, r.matches(), r.source, r.sample, r.class, r.cause, r.scope})
	}
	return out
}

// UnusedTerms lists the named terms that no rule asks for.
func UnusedTerms() []string {
	used := map[string]bool{"waitNamed": true}
	for _, r := range builtinRules() {
		for _, item := range splitWords(r.words) {
			for _, name := range splitAlternatives(strings.TrimPrefix(item, "!")) {
				used[name] = true
			}
		}
	}
	var out []string
	for _, t := range terms {
		if !used[t.name] {
			out = append(out, t.name)
		}
	}
	return out
}

// ClassifyOwn is Classify with rules of the user's ahead of the built-in ones.
func ClassifyOwn(own []Rule, err error, at Stage) Verdict { return classify(own, err, at) }

// WaitNamed reads the time to wait out of a reply's text.
func WaitNamed(text string) time.Duration { return waitNamed(text) }

// Words gives a text as the rules see it: the prose, and what links and host
// names hold.
func Words(text string) (prose, names string) {
	var room [maxWordList]byte
	w := readWords(&room, text)
	return strings.TrimSpace(string(w.buf[:w.prose])), strings.TrimSpace(string(w.buf[w.prose:]))
}

// CompileTerm says whether phrases can be matched.
func CompileTerm(phrases string) error {
	var x phraseIndex
	for p := range strings.SplitSeq(phrases, "|") {
		if err := x.add(p, 0); err != nil {
			return err
		}
	}
	return nil
}
