package smtpretry_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// A labelledReply is a line of a corpus.
type labelledReply struct {
	Reply, Stage, Provider, Class, Cause, Scope, Source, Exception string
}

// stages maps the corpus's words for stages to ours.
var stages = map[string]smtpretry.Stage{
	"connect": smtpretry.StageGreeting, "helo": smtpretry.StageHello, "starttls": smtpretry.StageTLS, "auth": smtpretry.StageAuth,
	"mail": smtpretry.StageMail, "rcpt": smtpretry.StageRcpt, "data": smtpretry.StageData, "eod": smtpretry.StageDot, "any": smtpretry.StageUnknown,
}

// The rules were made with the seen corpus before the eyes; the unseen one was
// collected apart, from the same sources and others, and its misses were mended
// in the vocabulary and in the order of the rules. So these figures guard what
// was reached. They do not foretell what new replies will bring: the last 286
// of the unseen corpus, before their misses were mended, had their cause right
// in 85.3 % and their scope in 88.5 %.
const (
	seenCorpus   = "testdata/replies.jsonl"
	unseenCorpus = "testdata/unseen.jsonl"
)

func corpus(t testing.TB, file string) []labelledReply {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []labelledReply
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r labelledReply
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if _, ok := stages[r.Stage]; !ok {
			t.Fatalf("unknown stage in %s", lines.Bytes())
		}
		out = append(out, r)
	}
	if err := lines.Err(); err != nil || len(out) == 0 {
		t.Fatalf("%d replies, %v", len(out), err)
	}
	return out
}

// replyError turns a reply, its lines joined by \n, into the error that
// go-smtp's client makes of it: textproto joins the lines, and an enhanced
// code is taken off only where it stands exactly as RFC 2034 has it.
func replyError(t testing.TB, reply string) *smtp.SMTPError {
	t.Helper()
	lines := strings.Split(reply, "\n")
	code, err := strconv.Atoi(lines[0][:min(3, len(lines[0]))])
	if err != nil {
		t.Fatalf("reply %q: %v", reply, err)
	}
	for i, line := range lines {
		lines[i] = line[min(4, len(line)):]
	}
	e := &smtp.SMTPError{Code: code, Message: strings.Join(lines, "\n")}
	first, rest, ok := strings.Cut(e.Message, " ")
	parts := strings.Split(first, ".")
	if !ok || len(parts) != 3 {
		return e
	}
	var enhanced smtp.EnhancedCode
	for i, part := range parts {
		if enhanced[i], err = strconv.Atoi(part); err != nil {
			return e
		}
	}
	e.EnhancedCode = enhanced
	e.Message = strings.ReplaceAll(rest, "\n"+first+" ", "\n")
	return e
}

func TestCorpus(t *testing.T) {
	for _, set := range []struct {
		file                string
		class, cause, scope float64 // the least per cent
	}{
		{seenCorpus, 99.5, 99, 99},
		{unseenCorpus, 99.5, 99, 99},
	} {
		t.Run(set.file, func(t *testing.T) {
			got := scoreCorpus(t, set.file)
			if class := percent(got.class, got.all); class < set.class {
				t.Errorf("class: %.1f %%, want at least %.1f", class, set.class)
			}
			if cause := percent(got.cause, got.all); cause < set.cause {
				t.Errorf("cause: %.1f %%, want at least %.1f", cause, set.cause)
			}
			if scope := percent(got.scope, got.all); scope < set.scope {
				t.Errorf("scope: %.1f %%, want at least %.1f", scope, set.scope)
			}
		})
	}
}

// A score counts the replies of a corpus, and those classified as labelled.
type score struct{ all, class, cause, scope int }

func percent(n, of int) float64 { return 100 * float64(n) / float64(of) }

// scoreCorpus classifies a corpus and logs the misses and a table per cause.
func scoreCorpus(t *testing.T, file string) score {
	total, by := score{}, map[string]*score{}
	for _, r := range corpus(t, file) {
		v := smtpretry.Classify(replyError(t, r.Reply), stages[r.Stage])
		s := by[r.Cause]
		if s == nil {
			s = new(score)
			by[r.Cause] = s
		}
		for _, s := range []*score{s, &total} {
			s.all++
			s.class += count(v.Class.String() == r.Class)
			s.cause += count(v.Cause.String() == r.Cause)
			s.scope += count(v.Scope.String() == r.Scope)
		}
		if v.Class.String() != r.Class || v.Cause.String() != r.Cause || v.Scope.String() != r.Scope {
			t.Logf("%s: got %v %v/%v by %s, want %s %s/%s: %q", r.Stage, v.Class, v.Cause, v.Scope, v.Rule, r.Class, r.Cause, r.Scope, r.Reply)
		}
	}
	t.Logf("%-20s %4s %6s %6s %6s", "cause", "n", "class", "cause", "scope")
	for _, cause := range slices.Sorted(maps.Keys(by)) {
		s := by[cause]
		t.Logf("%-20s %4d %6.1f %6.1f %6.1f", cause, s.all, percent(s.class, s.all), percent(s.cause, s.all), percent(s.scope, s.all))
	}
	t.Logf("%-20s %4d %6.1f %6.1f %6.1f", "all", total.all, percent(total.class, total.all), percent(total.cause, total.all), percent(total.scope, total.all))
	return total
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The outcome must not hang on whose server it was, on addresses or on ids.
func TestCorpusWithOtherNames(t *testing.T) {
	rename := strings.NewReplacer("192.0.2.", "198.18.7.", "203.0.113.", "198.18.9.", "198.51.100.", "198.18.8.",
		"@example.com", "@spam.example.net", "user@", "full@", "example.org", "mailbox-full.example", "kijitora", "blocked")
	for _, r := range append(corpus(t, seenCorpus), corpus(t, unseenCorpus)...) {
		was := smtpretry.Classify(replyError(t, r.Reply), stages[r.Stage])
		is := smtpretry.Classify(replyError(t, rename.Replace(r.Reply)), stages[r.Stage])
		if was.Class != is.Class || was.Cause != is.Cause || was.Scope != is.Scope {
			t.Errorf("%q renamed: got %v %v/%v by %s, was %v %v/%v by %s", r.Reply, is.Class, is.Cause, is.Scope, is.Rule, was.Class, was.Cause, was.Scope, was.Rule)
		}
	}
}
