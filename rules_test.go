package smtpretry_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// sampleOf takes a sample apart: stage, colon, reply.
func sampleOf(t *testing.T, sample string) (smtpretry.Stage, error) {
	t.Helper()
	word, reply, ok := strings.Cut(sample, ": ")
	var at smtpretry.Stage
	if !ok || at.UnmarshalText([]byte(word)) != nil {
		t.Fatalf("sample %q: want a stage, a colon and a reply", sample)
	}
	return at, replyError(t, reply)
}

// Each rule decides its own sample, so none is dead.
func TestRulesDecideTheirSamples(t *testing.T) {
	for _, r := range smtpretry.BuiltinRules() {
		at, err := sampleOf(t, r.Sample)
		v := smtpretry.Classify(err, at)
		if v.Rule != r.Name {
			t.Errorf("rule %s: its sample %q is decided by %s", r.Name, r.Sample, v.Rule)
			continue
		}
		if v.Source() != r.Source {
			t.Errorf("rule %s: got source %q, want %q", r.Name, v.Source(), r.Source)
		}
		if v.Cause != r.Cause || r.Scope != smtpretry.ScopeNone && v.Scope != r.Scope || r.Class != smtpretry.Unknown && v.Class != r.Class {
			t.Errorf("rule %s: got %v %v/%v, want %v %v/%v", r.Name, v.Class, v.Cause, v.Scope, r.Class, r.Cause, r.Scope)
		}
	}
}

func TestNoSource(t *testing.T) {
	own := []smtpretry.Rule{{Name: "ours", Codes: []int{4}}}
	for name, v := range map[string]smtpretry.Verdict{
		"zero":             {},
		"without a reply":  smtpretry.Classify(io.EOF, smtpretry.StageRcpt),
		"a rule's of ours": smtpretry.ClassifyOwn(own, replyError(t, "450 4.2.0 Greylisted"), smtpretry.StageRcpt),
		"no SMTP":          smtpretry.Classify(replyError(t, "220 what now"), smtpretry.StageRcpt),
	} {
		if got := v.Source(); got != "" {
			t.Errorf("%s: got source %q of rule %q, want none", name, got, v.Rule)
		}
	}
}

func TestRulesAreDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range smtpretry.BuiltinRules() {
		if r.Name == "" || r.Source == "" || r.Sample == "" || r.Matches == "" {
			t.Errorf("rule %+v: want name, source, sample and what it matches", r)
		}
		if seen[r.Name] {
			t.Errorf("rule %s stands twice", r.Name)
		}
		seen[r.Name] = true
	}
	if unused := smtpretry.UnusedTerms(); len(unused) > 0 {
		t.Errorf("terms that no rule asks for: %v", unused)
	}
}

// A class other than the first digit's is a claim of its own, and its rule
// says on whose word.
func TestRulesOverturningTheDigitSayWhy(t *testing.T) {
	n := 0
	for _, r := range smtpretry.BuiltinRules() {
		if r.Class == smtpretry.Unknown {
			continue
		}
		n++
		if !strings.Contains(r.Source, "(") && !strings.Contains(r.Source, "section") {
			t.Errorf("rule %s overturns the digit, and its source %q names neither a section nor the reason", r.Name, r.Source)
		}
	}
	if n == 0 {
		t.Error("no rule overturns the digit; RFC 5321 section 4.5.3.1.10 names one")
	}
}

func TestOwnRules(t *testing.T) {
	reply := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Go  AWAY,\nplease"}
	tests := []struct {
		name string
		rule smtpretry.Rule
		at   smtpretry.Stage
		hit  bool
	}{
		{"no conditions", smtpretry.Rule{}, smtpretry.StageRcpt, true},
		{"stage", smtpretry.Rule{Stages: []smtpretry.Stage{smtpretry.StageMail, smtpretry.StageRcpt}}, smtpretry.StageRcpt, true},
		{"other stage", smtpretry.Rule{Stages: []smtpretry.Stage{smtpretry.StageMail}}, smtpretry.StageRcpt, false},
		{"code", smtpretry.Rule{Codes: []int{551, 550}}, smtpretry.StageRcpt, true},
		{"class of codes", smtpretry.Rule{Codes: []int{5}}, smtpretry.StageRcpt, true},
		{"other code", smtpretry.Rule{Codes: []int{4, 554}}, smtpretry.StageRcpt, false},
		{"enhanced", smtpretry.Rule{Enhanced: "5.7.1"}, smtpretry.StageRcpt, true},
		{"enhanced, any class", smtpretry.Rule{Enhanced: "x.7.1"}, smtpretry.StageRcpt, true},
		{"enhanced, any detail", smtpretry.Rule{Enhanced: "5.1.1 5.7.x"}, smtpretry.StageRcpt, true},
		{"enhanced, range", smtpretry.Rule{Enhanced: "5.7.0-10"}, smtpretry.StageRcpt, true},
		{"enhanced, outside", smtpretry.Rule{Enhanced: "5.7.2-10"}, smtpretry.StageRcpt, false},
		{"enhanced, not readable", smtpretry.Rule{Enhanced: "5.7"}, smtpretry.StageRcpt, false},
		{"enhanced, not a number", smtpretry.Rule{Enhanced: "5.7.y"}, smtpretry.StageRcpt, false},
		{"text, case and space folded", smtpretry.Rule{Text: []string{"go away", "Please"}}, smtpretry.StageRcpt, true},
		{"text over the line end", smtpretry.Rule{Text: []string{"away, please"}}, smtpretry.StageRcpt, true},
		{"text, one is missing", smtpretry.Rule{Text: []string{"go away", "thanks"}}, smtpretry.StageRcpt, false},
	}
	for _, test := range tests {
		test.rule.Name, test.rule.Cause = "mine", smtpretry.CauseLoop
		v := smtpretry.ClassifyOwn([]smtpretry.Rule{test.rule}, reply, test.at)
		if hit := v.Rule == "mine"; hit != test.hit {
			t.Errorf("%s: hit = %v, want %v", test.name, hit, test.hit)
		}
		if test.hit && (v.Cause != smtpretry.CauseLoop || v.Scope != smtpretry.ScopeMessage || v.Class != smtpretry.Permanent) {
			t.Errorf("%s: got %v %v/%v, want permanent loop/message", test.name, v.Class, v.Cause, v.Scope)
		}
	}
}

func TestOwnRuleOutcome(t *testing.T) {
	reply := &smtp.SMTPError{Code: 550, Message: "closed on Sundays"}
	own := []smtpretry.Rule{
		{Text: []string{"mondays"}, Cause: smtpretry.CauseTLS},
		{Text: []string{"sundays"}, Class: smtpretry.Temporary, Cause: smtpretry.CauseOverload, Scope: smtpretry.ScopeRecipient, RetryAfter: 48 * time.Hour},
		{Cause: smtpretry.CauseTLS},
	}
	v := smtpretry.ClassifyOwn(own, reply, smtpretry.StageRcpt)
	if v.Class != smtpretry.Temporary || v.Cause != smtpretry.CauseOverload || v.Scope != smtpretry.ScopeRecipient || v.RetryAfter != 24*time.Hour || v.Rule != "own" {
		t.Errorf("got %+v, want the second rule's outcome, its wait brought to 24h", v)
	}
	v = smtpretry.ClassifyOwn(own[1:2], &smtp.SMTPError{Code: 450, Message: "closed on Sundays, come back in 2 hours"}, smtpretry.StageRcpt)
	if v.RetryAfter != 2*time.Hour {
		t.Errorf("RetryAfter = %v, want the 2h that the reply names", v.RetryAfter)
	}
	if v := smtpretry.ClassifyOwn(own, &smtp.SMTPError{Code: 250, Message: "sundays"}, smtpretry.StageRcpt); v.Rule != "unexpected-code" {
		t.Errorf("a 250 is decided by %s, want no rule of the user's", v.Rule)
	}
}

// The words that rules see hold nothing that a user or a server is called.
func TestWords(t *testing.T) {
	tests := []struct{ text, prose, names string }{
		{"<spam@virus.example>: Recipient address rejected: User unknown", "@addr recipient address rejected user unknown", ""},
		{"no mail:full@example.net or full@example.net:gone", "no mail @addr or @addr gone", ""},
		{"Client host [192.0.2.1] blocked using dnsbl.example.org; see http://full.example/?ip=192.0.2.1", "client host @ip blocked using @host see @url",
			"dnsbl example org http full example ip 192 0 2 1"},
		{"Access denied, [2001:db8::12] has exceeded limits within 2001:db8::/64 range", "access denied @ip has exceeded limits within @ip range", ""},
		{"is_blocked.For assistance", "is blocked for assistance", ""},
		{"You don't, l’expéditeur n'existe PAS (#5.1.1)", "you dont lexpediteur nexiste pas", ""},
		{"RESOLVER.ADR.RecipNotFound; not found", "@host not found", "resolver adr recipnotfound"},
		{"Boite pleine. OFR006_102 [102]", "boite pleine ofr006 102 102", ""},
		{"4.4.5 #4.4.5 [#4.6.1]. done", "done", ""},
		{"café fermé", "cafe ferme", ""},
		{"нет такого", "нет такого", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		prose, names := smtpretry.Words(test.text)
		if prose != test.prose || names != test.names {
			t.Errorf("%q:\n got %q, %q\nwant %q, %q", test.text, prose, names, test.prose, test.names)
		}
	}
}

func TestPhrasesThatCannotBeMatched(t *testing.T) {
	for _, bad := range []string{"", "x", "# messages", "x# y", " lead", "trail "} {
		if smtpretry.CompileTerm(bad) == nil {
			t.Errorf("phrase %q: want an error", bad)
		}
	}
	if err := smtpretry.CompileTerm("~two words|open end*|within # hours"); err != nil {
		t.Error(err)
	}
}
