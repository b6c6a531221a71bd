package smtpretry_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

var update = flag.Bool("update", false, "write the generated parts of the documentation")

// TestReadme holds the tables in README.md and docs/ against the code they
// come from; make generate writes them.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := readme
	for name, table := range map[string]string{"waits": waitsTable(), "causes": causesTable(t)} {
		part := regexp.MustCompile(`(?s)(<!-- generated: ` + name + ` -->\n).*?(<!-- end -->)`)
		if !part.Match(want) {
			t.Fatalf("README.md has no place for %s", name)
		}
		want = part.ReplaceAll(want, []byte("${1}"+strings.ReplaceAll(table, "$", "$$")+"${2}"))
	}
	compare(t, "README.md", want)
	compare(t, "docs/replies.md", repliesPage())
	compare(t, "docs/limits.md", limitsPage(t))
}

func compare(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says; run make generate", name)
	}
}

// waitsTable shows when each preset tries, jitter left out.
func waitsTable() string {
	var b strings.Builder
	b.WriteString("| policy | tries, counted from the call |\n|---|---|\n")
	for _, p := range []struct {
		name   string
		policy smtpretry.Policy
	}{
		{"the zero `Policy`", smtpretry.Policy{}},
		{"`InteractivePolicy()`", smtpretry.InteractivePolicy()},
		{"`QueuePolicy()`", smtpretry.QueuePolicy()},
	} {
		tries := []string{"0"}
		for at := range p.policy.Tries(smtpretry.Verdict{Class: smtpretry.Temporary, Rule: "any"}) {
			if at > 0 {
				tries = append(tries, short(at))
			}
		}
		if len(tries) > 11 {
			tries = append(tries[:9], "… every "+short(p.policy.Backoff.Delay(99))+" …", tries[len(tries)-1])
		}
		fmt.Fprintf(&b, "| %s | %s |\n", p.name, strings.Join(tries, ", "))
	}
	return b.String()
}

// short writes a duration without its zero units.
func short(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(days)) + " days"
	}
	s := d.Round(time.Second).String()
	s = strings.Replace(s, "m0s", "m", 1)
	return strings.Replace(s, "h0m", "h", 1)
}

// causesTable says for each cause what is done, with a reply as it is said.
func causesTable(t *testing.T) string {
	samples := map[smtpretry.Cause]string{
		smtpretry.CauseOverload:          "greeting: 421 4.3.0 Temporary System Problem - Please Try Again Later",
		smtpretry.CauseConnectionLimit:   "greeting: 421 4.7.0 Too many connections from your IP",
		smtpretry.CauseRateLimit:         "mail: 450 4.7.1 Error: too much mail from 192.0.2.1",
		smtpretry.CauseReputation:        "rcpt: 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
		smtpretry.CauseGreylist:          "rcpt: 450 4.2.0 Greylisted, try again in 300 seconds",
		smtpretry.CauseAuth:              "auth: 535 5.7.8 Authentication credentials invalid",
		smtpretry.CauseTLS:               "mail: 530 5.7.0 Must issue a STARTTLS command first",
		smtpretry.CauseSenderPolicy:      "dot: 550 5.7.26 This message fails to pass SPF checks",
		smtpretry.CauseContent:           "dot: 554 5.7.1 Message rejected as spam",
		smtpretry.CauseSize:              "mail: 552 5.3.4 Message size exceeds fixed limit",
		smtpretry.CauseMailboxFull:       "rcpt: 452 4.2.2 Mailbox full",
		smtpretry.CauseBadRecipient:      "rcpt: 550 5.1.1 User unknown",
		smtpretry.CauseTooManyRecipients: "rcpt: 452 4.5.3 Error: too many recipients",
		smtpretry.CauseBadSender:         "mail: 553 5.1.8 Sender address rejected: Domain not found",
		smtpretry.CauseRelayDenied:       "rcpt: 554 5.7.1 Relay access denied",
		smtpretry.CauseProtocol:          "mail: 503 5.5.1 Bad sequence of commands",
		smtpretry.CauseDNS:               "mail: 451 4.1.8 Domain of sender address does not resolve",
		smtpretry.CauseNetwork:           "mail: 421 4.4.2 Error: timeout exceeded",
		smtpretry.CauseLoop:              "dot: 554 5.4.6 Too many hops",
		smtpretry.CauseUnknown:           "dot: 554 5.0.0 Transaction failed",
	}
	var b strings.Builder
	b.WriteString("| cause | for example | what smtpretry does | what you can do |\n|---|---|---|---|\n")
	for cause := range smtpretry.CauseLoop + 1 {
		if _, ok := samples[cause]; !ok {
			t.Errorf("no sample for %v", cause)
			continue
		}
		_, text, _ := strings.Cut(samples[cause], ": ")
		at, err := sampleOf(t, samples[cause])
		v := smtpretry.Classify(err, at)
		if v.Cause != cause {
			t.Errorf("%q is %v, want %v", text, v.Cause, cause)
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", cause, text, action(v), v.Advice())
	}
	return b.String()
}

// action says what follows from a verdict.
func action(v smtpretry.Verdict) string {
	switch _, stop := smtpretry.Decide(smtpretry.Policy{}, smtpretry.History{Wait: time.Second, Verdict: v}, time.Time{}); {
	case stop == smtpretry.ErrRefused && v.Scope == smtpretry.ScopeAccount:
		return "holds the account"
	case stop == smtpretry.ErrRefused:
		return "stops, the recipients stay open"
	case stop != nil:
		return "gives up (about the " + v.Scope.String() + ")"
	case v.Cause == smtpretry.CauseTooManyRecipients:
		return "sends the rest in the next transaction"
	case v.Scope == smtpretry.ScopeHost || v.Scope == smtpretry.ScopeAccount || v.Scope == smtpretry.ScopeConnection:
		return "tries again, and others wait meanwhile (about the " + v.Scope.String() + ")"
	}
	return "tries again (about the " + v.Scope.String() + ")"
}

func repliesPage() []byte {
	var b bytes.Buffer
	b.WriteString("# What each reply is taken for\n\n" +
		"The rules in the order in which they are tried; the first that fits decides. Generated from the\n" +
		"code by `make generate`. The class is the basic code's (4 temporary, 5 permanent) where none is\n" +
		"given; the scope is the usual one of the cause where none is given.\n\n" +
		"| rule | matches | cause | scope | class | source | for example |\n|---|---|---|---|---|---|---|\n")
	for _, r := range smtpretry.BuiltinRules() {
		class, scope := "", ""
		if r.Class != smtpretry.Unknown {
			class = r.Class.String()
		}
		if r.Scope != smtpretry.ScopeNone {
			scope = r.Scope.String()
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.Name, cell(r.Matches), r.Cause, scope, class, cell(r.Source), cell(r.Sample))
	}
	return b.Bytes()
}

func cell(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "|", `\|`), "\n", " ") }

func limitsPage(t *testing.T) []byte {
	raw, err := os.ReadFile("providers.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Providers []struct {
			Provider   string
			Hosts      []string
			MXSuffixes []string `json:"mx_suffixes"`
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# Published limits\n\n" +
		"What applies by itself to a host of a known provider, until `SetLimit` says otherwise. Figures that\n" +
		"hold for some customers only are in `providers.json` but are not applied. Generated from it by\n" +
		"`make generate`.\n\n| provider | hosts | limit | value | source |\n|---|---|---|---|---|\n")
	l := smtpretry.NewLimiter(smtpretry.Limit{})
	for _, p := range file.Providers {
		names := slices.Concat(p.Hosts, p.MXSuffixes)
		if len(names) == 0 {
			continue
		}
		host := strings.ReplaceAll(names[0], "*", "eu-north-1")
		for _, o := range l.Explain(host).Origins {
			if o.From == smtpretry.OriginLearned {
				continue // not published: what an unknown host is sent at first
			}
			hosts := slices.Clone(p.Hosts)
			for _, s := range p.MXSuffixes {
				hosts = append(hosts, "\\*."+s)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", p.Provider, strings.Join(hosts, ", "), o.Field, o.Value, cell(o.Source))
		}
	}
	return b.Bytes()
}
