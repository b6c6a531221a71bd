package smtpretry_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry"
)

// notNow are replies that people look up, by what they mean. All of one line have
// the same verdict: cause, class, scope and advice are what Classify says of them.
var notNow = []struct {
	replies               []string
	cause                 smtpretry.Cause
	slowDown, waiting, to string
}{
	{[]string{
		"greeting: 421 4.3.0 Temporary System Problem - Please Try Again Later",
		"hello: 421 4.7.0 Try again later, closing connection",
		"greeting: 421 4.4.5 Server busy, try again later",
		"mail: 421 Service not available, closing transmission channel",
		"dot: 452 4.3.1 Insufficient system storage",
	}, smtpretry.CauseOverload, "all of you who send to this host: let it recover", "yes",
		"minutes, mostly; after some hours ask the provider"},
	{[]string{
		"greeting: 421 4.7.0 Too many connections from your IP",
		"greeting: 421 Too many concurrent SMTP connections from this IP address; please try again later.",
		"dot: 432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
	}, smtpretry.CauseConnectionLimit, "all behind this IP address, or with this account", "with fewer connections afterwards",
		"seconds, once others are closed"},
	{[]string{
		"mail: 421 Max message per connection reached, closing transmission channel",
		"mail: 421 too many messages in this connection",
	}, smtpretry.CauseConnectionLimit, "nobody: connect anew", "is not needed",
		"at once, over a new connection"},
	{[]string{
		"dot: 421 4.7.28 Gmail has detected an unusual rate of email. To protect our users from spam, email has been temporarily rate limited.",
		"dot: 421 4.7.28 [192.0.2.1] Our system has detected an unusual rate of unsolicited mail originating from your IP address.",
		"mail: 421 4.1.0 192.0.2.1 Throttled - try again later.",
		"mail: 450 4.7.1 Error: too much mail from 192.0.2.1",
	}, smtpretry.CauseRateLimit, "all that send from this IP address", "if less is sent afterwards",
		"minutes for a limit per minute; hours where it is about unwanted mail"},
	{[]string{
		"dot: 454 Throttling failure: Maximum sending rate exceeded",
		"mail: 421 4.4.2 Message submission rate for this client has exceeded the configured limit",
	}, smtpretry.CauseRateLimit, "all that send with this account", "if less is sent afterwards",
		"seconds to a minute: it is a rate"},
	{[]string{
		"dot: 454 Throttling failure: Daily message quota exceeded",
		"mail: 550 5.4.5 Daily user sending quota exceeded",
	}, smtpretry.CauseRateLimit, "all that send with this account", "yes",
		"up to 24 hours; it comes back bit by bit, 24 hours after each message"},
	{[]string{
		"rcpt: 450 4.2.1 The user you are trying to contact is receiving email at a rate that prevents additional messages from being delivered.",
	}, smtpretry.CauseRateLimit, "all that send to this recipient", "yes", "minutes to an hour"},
	{[]string{
		"rcpt: 451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)",
		"mail: 421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
		"mail: 421 Message from (192.0.2.1) temporarily deferred",
	}, smtpretry.CauseReputation, "all that send from this IP address", "not by itself",
		"hours, and until the cause is gone; after Yahoo's TSS04, 2 hours without a try"},
	{[]string{
		"rcpt: 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
	}, smtpretry.CauseReputation, "all that send from this IP address: stop", "no", "until it is taken off the list"},
	{[]string{
		"greeting: 421 Cannot connect to SMTP server 192.0.2.1 (192.0.2.1:25), connect error 10060",
		"greeting: 421 Unable to connect to the server",
	}, smtpretry.CauseNetwork, "nobody", "if the server was down", "minutes; if it lasts, it is the name, the port or a firewall"},
	{[]string{
		"data: 421 4.4.2 Error: timeout exceeded",
		"mail: 421 4.7.0 Connection expired, try reconnecting.",
	}, smtpretry.CauseNetwork, "nobody", "is not needed", "at once, over a new connection"},
	{[]string{
		"rcpt: 450 4.2.0 Greylisted, try again in 300 seconds",
		"rcpt: 451 4.7.1 Greylisting in action, please come back in 00:04:58",
	}, smtpretry.CauseGreylist, "nobody", "yes", "what it says, else some minutes; from the same address"},
	{[]string{
		"auth: 454 4.7.0 Too many login attempts, please try again later.",
		"auth: 421 Too many auth failures, try again later",
	}, smtpretry.CauseAuth, "all that log in with this account", "if nobody tries meanwhile", "some minutes, sometimes hours"},
	{[]string{
		"dot: 421 4.7.40 Your email has been rate limited because the sending domain doesn't have a DMARC record",
	}, smtpretry.CauseSenderPolicy, "nobody: publish the record", "no", "until DNS shows it"},
	{[]string{
		"greeting: 421 4.7.1 - ERROR: Connection refused. Cannot resolve PTR record for 192.0.2.1",
	}, smtpretry.CauseSenderPolicy, "nobody: give the address a name", "no", "until DNS shows it"},
	{[]string{
		"dot: 421 4.7.29 Your email has been rate limited because this message wasn't sent over a TLS connection.",
		"rcpt: 421 4.7.0 TLS required for RCPT domain, closing connection.",
	}, smtpretry.CauseTLS, "nobody: turn TLS on", "no", "at once, over TLS"},
	{[]string{
		"greeting: 421 Reverse DNS failure : Try again later",
	}, smtpretry.CauseDNS, "nobody", "if DNS was out of order", "minutes; if it lasts, it is your DNS"},
	{[]string{
		"dot: 421 4.7.0 [192.0.2.1] Our system has detected that this message is suspicious due to the nature of the content and/or the links within.",
	}, smtpretry.CauseContent, "nobody: change the message", "no", "until it is another message"},
	{[]string{
		"rcpt: 452 4.5.3 Too many recipients",
		"rcpt: 421 Too many recipients. Try the remaining addresses again later.",
	}, smtpretry.CauseTooManyRecipients, "nobody: fewer in one message", "is not needed", "at once, in further messages"},
}

// Test421 holds the table of docs/421.md against the classifier, and its code
// against the Examples; make generate writes both.
func Test421(t *testing.T) {
	page, err := os.ReadFile("docs/421.md")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?s)(<!-- generated: replies -->\n).*?(<!-- end -->)`).
		ReplaceAllLiteralString(string(page), "<!-- generated: replies -->\n"+notNowTable(t)+"<!-- end -->")
	want = regexp.MustCompile(`(?s)<!-- code: (Example\w+) -->\n.*?<!-- end -->`).
		ReplaceAllStringFunc(want, func(block string) string {
			name := regexp.MustCompile(`Example\w+`).FindString(block)
			return "<!-- code: " + name + " -->\n```go\n" + exampleCode(t, name) + "```\n<!-- end -->"
		})
	compare(t, "docs/421.md", []byte(want))

	// What the guides advise is answered by a place in the project.
	_, advice, _ := strings.Cut(want, "## What the guides advise\n")
	advice, _, _ = strings.Cut(advice, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| .*\|$`).FindAllString(advice, -1)
	if len(rows) < 12 {
		t.Errorf("only %d rows of advice", len(rows))
	}
	for _, row := range rows[1:] {
		if !strings.Contains(row, "](") {
			t.Errorf("no link in %s", row)
		}
	}
}

func notNowTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| the server says | cause | who has to slow down | does waiting help? | what to do | how long |\n|---|---|---|---|---|---|\n")
	for _, row := range notNow {
		var words []string
		var first smtpretry.Verdict
		for i, sample := range row.replies {
			_, text, _ := strings.Cut(sample, ": ")
			at, err := sampleOf(t, sample)
			v := smtpretry.Classify(err, at)
			if i == 0 {
				first = v
			}
			if v.Cause != row.cause || v.Class != first.Class || v.Scope != first.Scope || v.Advice() != first.Advice() {
				t.Errorf("%q is %v %v about the %v, want %v as the first of its line", text, v.Class, v.Cause, v.Scope, row.cause)
			}
			words = append(words, "`"+text+"`")
		}
		fmt.Fprintf(&b, "| %s | **%s**, %s, about the %s | %s | %s | %s | %s |\n", strings.Join(words, "<br>"),
			first.Cause, first.Class, first.Scope, row.slowDown, row.waiting, first.Advice(), row.to)
	}
	return b.String()
}

// exampleCode is the body of an Example, without what it prints.
func exampleCode(t *testing.T, name string) string {
	t.Helper()
	for _, file := range []string{"example_test.go", "example_replies_test.go"} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?ms)^func ` + name + `\(\) \{\n(.*?)^\t// Output:`).FindSubmatch(src)
		if m != nil {
			return strings.ReplaceAll("\n"+string(m[1]), "\n\t", "\n")[1:]
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}
