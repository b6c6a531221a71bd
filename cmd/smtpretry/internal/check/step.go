package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// A Result says how one step ended.
type Result uint8

// The results.
const (
	OK      Result = iota // as it should be
	Note                  // worth knowing; nothing has to change
	Warning               // works, but not everywhere or not for long
	Fault                 // keeps mail from being sent or delivered
	Skipped               // could not be looked at, or need not be
)

var resultWords = [...]string{"ok", "note", "warning", "fault", "skipped"}

// String returns the result as one lower-case word.
func (r Result) String() string {
	if int(r) < len(resultWords) {
		return resultWords[r]
	}
	return fmt.Sprintf("invalid(%d)", r)
}

// MarshalText returns the word of [Result.String].
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// The names of the steps.
const (
	StepResolver    = "resolver"    // does the DNS resolver answer
	StepMX          = "mx"          // which hosts take the domain's mail
	StepDNS         = "dns"         // the addresses of a host
	StepConnect     = "connect"     // can they be connected to
	StepGreeting    = "greeting"    // the server's first reply
	StepHello       = "hello"       // EHLO: what the server offers
	StepTLS         = "tls"         // STARTTLS or implicit TLS
	StepCertificate = "certificate" // is the server's certificate good
	StepAuth        = "auth"        // the login
	StepLimits      = "limits"      // the limits known for the host
	StepMail        = "mail"        // MAIL FROM
	StepRcpt        = "rcpt"        // RCPT TO
	StepAddress     = "address"     // which address mail leaves from
	StepReverse     = "reverse-dns" // the name of that address, and its address
	StepBlockList   = "block-list"  // is it in a DNS block list
	StepDomain      = "domain"      // does the sender's domain exist and take mail
	StepSPF         = "spf"
	StepDKIM        = "dkim"      // the record of a selector
	StepSignature   = "signature" // a DKIM signature of a message
	StepDMARC       = "dmarc"
	StepMTASTS      = "mta-sts"
	StepTLSRPT      = "tls-rpt"
)

// A Step is one thing that was looked at.
type Step struct {
	Name      string        // one of the Step constants
	About     string        // the host, address, domain or list that it is about; may be empty
	Result    Result        // how it ended
	Finding   string        // what is not as it should be, as a word that stays the same; empty if OK
	Text      string        // what was found, or why it was skipped, on one line
	Details   []string      // more of it, a line each
	Advice    string        // what to change; empty if nothing
	Temporary bool          // of a fault: it may go away by itself
	Reply     *Reply        // of a refusal: what the server said
	Start     time.Time     // when it began
	Took      time.Duration // how long it took; 0 if skipped

	failing string // the organization whose names could not be looked up
}

// A Reply is a refusal of the server's.
type Reply struct {
	Code     int             `json:"code"`               // basic reply code; 0 if there was none
	Enhanced string          `json:"enhanced,omitempty"` // as "5.7.8"
	Text     string          `json:"text"`               // the server's words on one line
	Class    smtpretry.Class `json:"class"`
	Cause    smtpretry.Cause `json:"cause"`
	Scope    smtpretry.Scope `json:"scope"`
	Stage    smtpretry.Stage `json:"stage"`
	Retry    float64         `json:"retry_after,omitempty"` // seconds that the reply asked for
	Rule     string          `json:"rule"`                  // of smtpretry.Classify
}

// MarshalJSON returns s with the keys that are documented for the command.
func (s Step) MarshalJSON() ([]byte, error) {
	return asJSON(struct {
		Step      string   `json:"step"`
		About     string   `json:"about,omitempty"`
		Result    Result   `json:"result"`
		Finding   string   `json:"finding,omitempty"`
		Text      string   `json:"text"`
		Details   []string `json:"details,omitempty"`
		Advice    string   `json:"advice,omitempty"`
		Temporary bool     `json:"temporary,omitempty"`
		Reply     *Reply   `json:"reply,omitempty"`
		Start     string   `json:"start"`
		TookMS    float64  `json:"took_ms"`
	}{s.Name, s.About, s.Result, s.Finding, s.Text, s.Details, s.Advice, s.Temporary, s.Reply,
		stamp(s.Start), float64(s.Took.Microseconds()) / 1000})
}

// asJSON leaves the < and > of addresses as they are.
func asJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// stamp is a time as all output has it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (s *Step) set(r Result, finding, format string, args ...any) *Step {
	s.Result, s.Finding, s.Text = r, finding, ui.Line(fmt.Sprintf(format, args...))
	return s
}

func (s *Step) ok(format string, args ...any) { s.set(OK, "", format, args...) }

func (s *Step) note(finding, format string, args ...any) *Step {
	return s.set(Note, finding, format, args...)
}

func (s *Step) warn(finding, format string, args ...any) *Step {
	return s.set(Warning, finding, format, args...)
}

func (s *Step) fault(finding, format string, args ...any) *Step {
	return s.set(Fault, finding, format, args...)
}

// skip says why the step was not done. A finding is for what should have been
// possible.
func (s *Step) skip(finding, format string, args ...any) *Step {
	return s.set(Skipped, finding, format, args...)
}

// advise says what to change.
func (s *Step) advise(format string, args ...any) {
	s.Advice = ui.Line(fmt.Sprintf(format, args...))
}

// passing marks a fault that may go away by itself.
func (s *Step) passing() *Step {
	s.Temporary = true
	return s
}

func (s *Step) detail(format string, args ...any) {
	s.Details = append(s.Details, ui.Line(fmt.Sprintf(format, args...)))
}

// refused makes the step a fault of what the server said, or of what came in
// the place of a reply.
func (s *Step) refused(finding string, err error, at smtpretry.Stage) {
	v := smtpretry.Classify(err, at)
	if v.Code == 0 {
		s.fault("no-reply", "%s", reason(err))
	} else {
		s.fault(finding, "%s", v.Reply())
		s.Reply = &Reply{Code: v.Code, Enhanced: ui.Enhanced(v), Text: v.Text, Class: v.Class, Cause: v.Cause, Scope: v.Scope, Stage: v.Stage,
			Retry: v.RetryAfter.Seconds(), Rule: v.Rule}
	}
	s.advise("%s", v.Advice())
	s.Temporary = v.Class != smtpretry.Permanent
}

// failedLookup makes the step a fault of DNS.
func (s *Step) failedLookup(err error) {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		s.failing = organizational(strings.TrimSuffix(dns.Name, "."))
	}
	s.fault("lookup-failed", "the lookup failed: %s", reason(err)).passing().
		advise("The domain's name servers do not answer, or answer with an error. Look at them, or try again later.")
}

// oneOf is a list for people.
func oneOf(words []string) string { return strings.Join(words, ", ") }

// sequence is a row of steps each of which needs those before.
type sequence struct {
	about   string
	steps   []Step
	blocked string // why no more can be done; empty: nothing is in the way
}

// do does a step, unless one before has failed.
func (q *sequence) do(name string, f func(*Step)) {
	q.doAbout(name, q.about, f)
}

func (q *sequence) doAbout(name, about string, f func(*Step)) {
	if q.blocked != "" {
		q.steps = append(q.steps, skipped(name, about, q.blocked))
		return
	}
	s := timed(name, about, f)
	if s.Result == Fault {
		q.blocked = because(name)
	}
	q.steps = append(q.steps, s)
}

// because is why a step is skipped that needs another.
func because(step string) string { return "because " + step + " failed" }

// skipped is a step that cannot be done.
func skipped(name, about, why string) Step {
	return *(&Step{Name: name, About: about, Start: time.Now()}).skip("", "%s", why)
}

// timed does one step.
func timed(name, about string, f func(*Step)) Step {
	s := Step{Name: name, About: about, Start: time.Now()}
	f(&s)
	if s.Result != Skipped {
		s.Took = time.Since(s.Start)
	}
	return s
}

// roughly is a duration for people.
func roughly(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
