package smtpretry

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// A Stage is a step of the SMTP conversation, in the order in which one
// message passes them.
type Stage uint8

// The stages of one message.
const (
	StageUnknown  Stage = iota // not known
	StageDial                  // resolving the name, opening the connection
	StageGreeting              // the server's first reply, before any command
	StageHello                 // EHLO, HELO or LHLO
	StageTLS                   // STARTTLS and the TLS handshake
	StageAuth                  // AUTH
	StageMail                  // MAIL FROM
	StageRcpt                  // RCPT TO
	StageData                  // DATA, up to the 354
	StageBody                  // while the message is being uploaded
	StageDot                   // the final dot, up to its reply
)

var stageWords = [...]string{"unknown", "dial", "greeting", "hello", "tls", "auth", "mail", "rcpt", "data", "body", "dot"}

// String returns the stage as one lower-case word.
func (s Stage) String() string { return word(stageWords[:], s) }

// MarshalText returns the word of [Stage.String].
func (s Stage) MarshalText() ([]byte, error) { return marshalWord(stageWords[:], s) }

// UnmarshalText reads the word of [Stage.String].
func (s *Stage) UnmarshalText(b []byte) error { return unmarshalWord(stageWords[:], s, b) }

// A Class says whether the same thing may be tried again.
type Class uint8

// The classes. The first digit of the basic reply code decides between
// Temporary and Permanent (RFC 5321 section 4.2.1), with few documented
// exceptions.
const (
	Unknown   Class = iota // no reply code says; retried like Temporary
	Temporary              // 4yz and broken links: try again later
	Permanent              // 5yz: never try again unchanged
)

var classWords = [...]string{"unknown", "temporary", "permanent"}

// String returns the class as one lower-case word.
func (c Class) String() string { return word(classWords[:], c) }

// MarshalText returns the word of [Class.String].
func (c Class) MarshalText() ([]byte, error) { return marshalWord(classWords[:], c) }

// UnmarshalText reads the word of [Class.String].
func (c *Class) UnmarshalText(b []byte) error { return unmarshalWord(classWords[:], c, b) }

// A Cause is the reason for a refusal, as a mail operator would name it.
type Cause uint8

// The causes.
const (
	CauseUnknown           Cause = iota // no reason can be read
	CauseOverload                       // busy, a temporary system problem, resources, storage
	CauseConnectionLimit                // too many connections at once, too fast, or too much in one
	CauseRateLimit                      // too many messages or recipients per time, quota used up
	CauseReputation                     // IP, domain or sender blocked, listed or deferred on history
	CauseGreylist                       // the first contact is put off on purpose
	CauseAuth                           // login, credentials, authentication required
	CauseTLS                            // encryption required, handshake, certificate
	CauseSenderPolicy                   // SPF, DKIM, DMARC, reverse DNS, HELO name
	CauseContent                        // spam, virus, URL, attachment
	CauseSize                           // the message is too large
	CauseMailboxFull                    // the recipient's mailbox is full
	CauseBadRecipient                   // no such user, disabled, moved
	CauseTooManyRecipients              // too many recipients in one message
	CauseBadSender                      // sender address refused, or its domain does not exist
	CauseRelayDenied                    // relaying, routing, domain not served here
	CauseProtocol                       // syntax, sequence, malformed message, no SMTP at all
	CauseDNS                            // a name could not be looked up
	CauseNetwork                        // timeouts, resets, refused or closed connections
	CauseLoop                           // the message goes round in circles
)

var causeWords = [...]string{"unknown", "overload", "connection-limit", "rate-limit", "reputation", "greylist", "auth", "tls",
	"sender-policy", "content", "size", "mailbox-full", "bad-recipient", "too-many-recipients", "bad-sender", "relay-denied",
	"protocol", "dns", "network", "loop"}

// String returns the cause as one lower-case word.
func (c Cause) String() string { return word(causeWords[:], c) }

// MarshalText returns the word of [Cause.String].
func (c Cause) MarshalText() ([]byte, error) { return marshalWord(causeWords[:], c) }

// UnmarshalText reads the word of [Cause.String].
func (c *Cause) UnmarshalText(b []byte) error { return unmarshalWord(causeWords[:], c, b) }

// A Scope says what a refusal is about, and so what to hold back.
type Scope uint8

// The scopes.
const (
	ScopeNone       Scope = iota // nothing was refused
	ScopeConnection              // this connection: close it, come back with fewer or after a pause
	ScopeHost                    // everything to this destination
	ScopeAccount                 // everything from this login
	ScopeSender                  // everything with this MAIL FROM or sender domain
	ScopeRecipient               // only this address, or its domain
	ScopeMessage                 // only this message
)

var scopeWords = [...]string{"none", "connection", "host", "account", "sender", "recipient", "message"}

// String returns the scope as one lower-case word.
func (s Scope) String() string { return word(scopeWords[:], s) }

// MarshalText returns the word of [Scope.String].
func (s Scope) MarshalText() ([]byte, error) { return marshalWord(scopeWords[:], s) }

// UnmarshalText reads the word of [Scope.String].
func (s *Scope) UnmarshalText(b []byte) error { return unmarshalWord(scopeWords[:], s, b) }

// A Verdict says what one reply, or one failure without a reply, means. The
// zero Verdict stands for a success.
type Verdict struct {
	Class      Class             // may the same thing be tried again?
	Cause      Cause             // why it was refused
	Scope      Scope             // what the refusal is about
	Stage      Stage             // where in the conversation it was met
	Code       int               // basic reply code; 0 when there was no reply
	Enhanced   smtp.EnhancedCode // RFC 3463 status, re-read tolerantly; zero when absent or when its class disagrees with Code
	Text       string            // the server's words on one line, control characters replaced
	RetryAfter time.Duration     // the wait that the reply asked for, 10 s to 24 h; 0 if none, or if Permanent
	ConnDead   bool              // the connection cannot be used again
	InDoubt    bool              // the final dot may have arrived, no reply was seen
	Rule       string            // name of the rule that decided, for explanation
}

// Classify says what err, met at stage at, means. It reads the replies that
// go-smtp reports ([*smtp.SMTPError], [*textproto.Error], the first recipient of
// an [smtp.LMTPDataError]) and the failures that are no replies; both may be
// wrapped. It is pure and safe for concurrent use, and it never panics.
// Classify(nil, at) is the zero Verdict.
func Classify(err error, at Stage) Verdict {
	return classify(nil, err, at)
}

// classify is Classify with rules of the user's ahead of the built-in ones.
func classify(own []Rule, err error, at Stage) Verdict {
	if err == nil {
		return Verdict{}
	}
	if _, plain := err.(*smtp.SMTPError); !plain {
		var known *fault
		if errors.As(err, &known) {
			return known.verdict(at)
		}
	}
	rep, ok := replyOf(err)
	if !ok {
		return classifyFailure(err, at)
	}
	v := classifyReply(own, &rep, at)
	if rep.several && (isNetwork(err) || isNoSMTP(err)) {
		v.ConnDead = true // some recipients got a reply before the link broke
	}
	return v
}

// classifyReply applies the rules to a reply.
func classifyReply(own []Rule, rep *reply, at Stage) Verdict {
	v := Verdict{Stage: at, Code: rep.code}
	switch rep.code / 100 {
	case 4:
		v.Class = Temporary
	case 5:
		v.Class = Permanent
	}
	v.Enhanced, v.Text = readText(rep)
	if v.Class == Unknown {
		// A success where none was expected, or a code no RFC knows: whose
		// turn it is cannot be told any more.
		v.Cause, v.Scope, v.ConnDead, v.Rule = CauseProtocol, ScopeConnection, true, "unexpected-code"
		return v
	}
	v.ConnDead = rep.code == 421 || at == StageGreeting || at == StageHello
	v.RetryAfter = waitNamed(v.Text)

	if r := ownRule(own, &v); r != nil {
		r.apply(&v)
		return v
	}
	builtin().decide(&v)
	return v
}

// String returns the verdict as one line: what was said, and what it means.
func (v Verdict) String() string {
	if v.Rule == "" {
		return "success"
	}
	return cmp.Or(v.Reply(), "no reply") + " " + v.meaning()
}

// Reply returns what the server said in one line, its codes in front:
// "450 4.2.0 Greylisted". Of a failure without a reply it returns Text, which may be
// empty.
func (v Verdict) Reply() string {
	if v.Code == 0 {
		return v.Text
	}
	codes := strconv.Itoa(v.Code)
	if v.Enhanced != (smtp.EnhancedCode{}) {
		codes += fmt.Sprintf(" %d.%d.%d", v.Enhanced[0], v.Enhanced[1], v.Enhanced[2])
	}
	return strings.TrimSpace(codes + " " + v.Text)
}

// Source returns on whose word the rule that decided stands: an RFC, or whose
// documentation or server it is. It is empty where no built-in rule decided: for
// rules of a [Policy], unless they bear the name of a built-in one, for failures
// without a reply, and for the zero Verdict.
func (v Verdict) Source() string {
	if v.Code == 0 {
		return "" // failures have rules of their own
	}
	for i := range builtin().rules {
		if r := &builtin().rules[i]; r.name == v.Rule {
			return r.source
		}
	}
	return ""
}

func (v Verdict) meaning() string {
	return fmt.Sprintf("[%s %s at %s, about the %s]", v.Class, v.Cause, v.Stage, v.Scope)
}

func word[T ~uint8](words []string, v T) string {
	if int(v) < len(words) {
		return words[v]
	}
	return fmt.Sprintf("invalid(%d)", v)
}

func marshalWord[T ~uint8](words []string, v T) ([]byte, error) {
	if int(v) >= len(words) {
		return nil, fmt.Errorf("smtpretry: value %d has no word", v)
	}
	return []byte(words[v]), nil
}

func unmarshalWord[T ~uint8](words []string, v *T, b []byte) error {
	for i, w := range words {
		if w == string(b) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("smtpretry: unknown word %q", b)
}
