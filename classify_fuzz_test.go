package smtpretry_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// FuzzClassify holds what is promised of every verdict, whatever a server says.
func FuzzClassify(f *testing.F) {
	for _, r := range corpus(f, seenCorpus) {
		e := replyError(f, r.Reply)
		f.Add(e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2], e.Message, uint8(stages[r.Stage]))
	}
	overturns := map[string]smtpretry.Class{}
	for _, r := range smtpretry.BuiltinRules() {
		if r.Class != smtpretry.Unknown {
			overturns[r.Name] = r.Class
		}
	}
	f.Fuzz(func(t *testing.T, code, class, subject, detail int, text string, stage uint8) {
		err := &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
		at := smtpretry.Stage(stage)
		v := smtpretry.Classify(err, at)
		if again := smtpretry.Classify(err, at); again != v {
			t.Fatalf("first %+v, then %+v", v, again)
		}
		want := smtpretry.Unknown
		switch code / 100 {
		case 4:
			want = smtpretry.Temporary
		case 5:
			want = smtpretry.Permanent
		}
		if overturned, ok := overturns[v.Rule]; ok && want != smtpretry.Unknown {
			want = overturned
		}
		if v.Class != want {
			t.Errorf("class %v by %s, want %v", v.Class, v.Rule, want)
		}
		if v.Rule == "" || v.Scope == smtpretry.ScopeNone || v.Code != code || v.Stage != at || v.InDoubt {
			t.Errorf("got %+v, want a rule, a scope, the code and stage given, and no doubt", v)
		}
		if len(v.Text) > 1024 || !utf8.ValidString(v.Text) {
			t.Errorf("text of %d octets, valid %v", len(v.Text), utf8.ValidString(v.Text))
		}
		for _, r := range v.Text {
			if !unicode.IsPrint(r) { // controls, line separators and what turns the direction of writing
				t.Errorf("text holds %U", r)
			}
		}
		if s := v.String(); len(s) > 1024+128 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("not fit for a log line: %q", s)
		}
		if w := v.RetryAfter; w != 0 && (w < 10*time.Second || w > 24*time.Hour || v.Class == smtpretry.Permanent) {
			t.Errorf("RetryAfter %v of class %v", w, v.Class)
		}
		if e := v.Enhanced; e != (smtp.EnhancedCode{}) && (e[0] != code/100 || e[1] < 0 || e[1] > 9 || e[2] < 0 || e[2] > 999) {
			t.Errorf("enhanced code %v of a %d", e, code)
		}
		if v.Advice() == "" {
			t.Error("no advice")
		}
	})
}
