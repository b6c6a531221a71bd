package smtpretry

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A builtinRule is one line of the built-in tables. Of all that fit a reply the
// first decides.
type builtinRule struct {
	name     string
	stages   string // words of [Stage.String]; empty: any
	codes    string // basic codes, or 4 and 5 for all of a class; empty: any
	enhanced string // as [Rule.Enhanced]

	// words is what must be in the text, all of it: names of terms, or
	// phrases in quotes; a|b is one or the other; !a must not be there.
	words string

	class  Class // Unknown: by the first digit
	cause  Cause
	scope  Scope         // ScopeNone: the usual one
	after  time.Duration // as [Rule.RetryAfter]
	source string
	sample string // stage, colon, a reply that this rule decides
}

// matches says in short words what the rule asks for, for the documentation.
func (r *builtinRule) matches() string {
	var parts []string
	for _, s := range []string{r.codes, r.enhanced, strings.ReplaceAll(r.words, "~", "")} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if r.stages != "" {
		parts = append(parts, "at "+r.stages)
	}
	if len(parts) == 0 {
		return "anything else"
	}
	return strings.Join(parts, ", ")
}

// A ruleSet is the built-in tables, made ready for matching.
type ruleSet struct {
	rules   []compiledRule
	phrases phraseIndex
	byTerm  [][]uint16 // rules by a term that each of them needs
	always  ruleBits   // rules that need no term

	waitNamed uint16 // the term that stands for a time named in the reply
}

const (
	maxTerms = 1024 // named terms and quoted phrases in all
	maxRules = 512
)

// A compiledRule is a builtinRule with its conditions taken apart.
type compiledRule struct {
	*builtinRule
	at       uint16 // bit set of stages; 0: any
	codeList []int
	codes4x  []enhancedPattern
	needs    [][]uint16 // of each inner list, one term
	bars     []uint16   // none of these terms
}

// A ruleBits is a set of rules, by their places in the tables.
type ruleBits [maxRules / 64]uint64

// A bitSet is a set of terms.
type bitSet [maxTerms / 64]uint64

func (b *bitSet) add(i uint16)      { b[i/64] |= 1 << (i % 64) }
func (b *bitSet) has(i uint16) bool { return b[i/64]&(1<<(i%64)) != 0 }

// builtin returns the compiled tables. They are data in this package, so a
// fault in them is a panic that every test meets.
var builtin = sync.OnceValue(func() *ruleSet {
	s, err := compile(builtinRules())
	if err != nil {
		panic(err)
	}
	return s
})

// compile makes tables ready for matching.
func compile(rules []builtinRule) (*ruleSet, error) {
	s := &ruleSet{rules: make([]compiledRule, len(rules))}
	if len(rules) > maxRules {
		return nil, fmt.Errorf("smtpretry: %d rules are too many", len(rules))
	}
	ids := map[string]uint16{}
	next := uint16(0)
	add := func(phrases string) (uint16, error) {
		id := next
		if next++; next >= maxTerms {
			return 0, errors.New("smtpretry: too many terms")
		}
		for p := range strings.SplitSeq(phrases, "|") {
			if err := s.phrases.add(p, id); err != nil {
				return 0, err
			}
		}
		return id, nil
	}
	for _, t := range terms {
		if _, twice := ids[t.name]; twice {
			return nil, fmt.Errorf("smtpretry: term %s stands twice", t.name)
		}
		id, err := add(t.phrases)
		if err != nil {
			return nil, err
		}
		ids[t.name] = id
	}
	resolve := func(item string) (uint16, error) {
		if id, ok := ids[item]; ok {
			return id, nil
		}
		quoted, ok := strings.CutPrefix(item, "'")
		if !ok || !strings.HasSuffix(quoted, "'") {
			return 0, fmt.Errorf("smtpretry: no term %s", item)
		}
		id, err := add(strings.TrimSuffix(quoted, "'"))
		ids[item] = id
		return id, err
	}
	for i := range rules {
		if err := s.rules[i].compile(&rules[i], resolve); err != nil {
			return nil, fmt.Errorf("rule %s: %w", rules[i].name, err)
		}
	}
	s.waitNamed = ids["waitNamed"]
	s.byTerm = make([][]uint16, next)
	for i := range s.rules {
		if len(s.rules[i].needs) == 0 {
			s.always[i/64] |= 1 << (i % 64)
			continue
		}
		for _, id := range s.rules[i].needs[0] {
			s.byTerm[id] = append(s.byTerm[id], uint16(i))
		}
	}
	return s, nil
}

func (c *compiledRule) compile(r *builtinRule, resolve func(string) (uint16, error)) error {
	c.builtinRule = r
	for _, w := range strings.Fields(r.stages) {
		var at Stage
		if err := at.UnmarshalText([]byte(w)); err != nil {
			return err
		}
		c.at |= 1 << at
	}
	for _, w := range strings.Fields(r.codes) {
		n, err := strconv.Atoi(w)
		if err != nil {
			return err
		}
		c.codeList = append(c.codeList, n)
	}
	var err error
	if c.codes4x, err = parseEnhancedPatterns(r.enhanced); err != nil {
		return err
	}
	for _, item := range splitWords(r.words) {
		bar := strings.HasPrefix(item, "!")
		var group []uint16
		for _, alternative := range splitAlternatives(strings.TrimPrefix(item, "!")) {
			id, err := resolve(alternative)
			if err != nil {
				return err
			}
			group = append(group, id)
		}
		if bar {
			c.bars = append(c.bars, group...)
		} else {
			c.needs = append(c.needs, group)
		}
	}
	return nil
}

// splitWords splits builtinRule.words at the spaces outside quotes.
func splitWords(s string) []string {
	quoted := false
	return strings.FieldsFunc(s, func(r rune) bool {
		if r == '\'' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
}

// splitAlternatives splits at the bars outside quotes.
func splitAlternatives(s string) []string {
	quoted := false
	return strings.FieldsFunc(s, func(r rune) bool {
		if r == '\'' {
			quoted = !quoted
		}
		return r == '|' && !quoted
	})
}

// decide applies the first rule that fits v. The last rules of the tables fit
// every reply.
func (s *ruleSet) decide(v *Verdict) {
	var room [maxWordList]byte
	w := readWords(&room, v.Text)
	found := s.phrases.find(w)
	if v.RetryAfter > 0 {
		found.add(s.waitNamed)
	}

	candidates := s.always
	for block, set := range found {
		for set != 0 {
			term := block*64 + bits.TrailingZeros64(set)
			set &= set - 1
			for _, i := range s.byTerm[term] {
				candidates[i/64] |= 1 << (i % 64)
			}
		}
	}
	for block, set := range candidates {
		for set != 0 {
			r := &s.rules[block*64+bits.TrailingZeros64(set)]
			set &= set - 1
			if r.fits(v, &found) {
				v.Rule = r.name
				settle(v, r.class, r.cause, r.scope, r.after)
				return
			}
		}
	}
}

func (c *compiledRule) fits(v *Verdict, found *bitSet) bool {
	if c.at != 0 && c.at&(1<<v.Stage) == 0 {
		return false
	}
	if len(c.codeList) > 0 && !fitsCode(c.codeList, v.Code) {
		return false
	}
	if len(c.codes4x) > 0 && !fitsEnhanced(c.codes4x, v) {
		return false
	}
	for _, id := range c.bars {
		if found.has(id) {
			return false
		}
	}
	for _, group := range c.needs {
		any := false
		for _, id := range group {
			any = any || found.has(id)
		}
		if !any {
			return false
		}
	}
	return true
}
