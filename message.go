package smtpretry

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

// A Message is one mail to send: the envelope, and a way to read the content
// as often as it takes.
type Message struct {
	// From is the envelope sender, without angle brackets; empty for the
	// null sender of bounces (RFC 5321 section 4.5.5).
	From string

	// To holds the envelope recipients, at least one. An address that stands
	// twice is sent to once, and both entries get its outcome.
	To []string

	// Body opens the message, header and body. It is called once per
	// transaction and must give the same bytes each time; each reader is
	// closed. Lines may end in CRLF or LF and go out with CRLF; a CR without
	// LF is refused (RFC 5321 section 2.3.8).
	Body func() (io.ReadCloser, error)

	// Size is the length of what Body gives, in octets; 0 if unknown. It is
	// compared with the server's limit before anything is uploaded and sent
	// as SIZE (RFC 1870), which counts CRLF at each line's end: with a body
	// of LF lines it is announced too small. A body of another length is an
	// error and is not delivered.
	Size int64

	// MailOptions are sent with MAIL as [smtp.Client.Mail] sends them; nil:
	// none. UTF8 is added when an address needs it (RFC 6531), Size when
	// Message.Size is known.
	MailOptions *smtp.MailOptions

	// RcptOptions gives the options for one recipient; nil: none.
	RcptOptions func(to string) *smtp.RcptOptions

	// Trace is told of this message only, before Config.Trace is; nil: nothing
	// is told. A queue writes down with it what each transaction of a message
	// has settled, before the next begins.
	Trace *Trace
}

// A State is what became of one recipient.
type State uint8

// What can become of a recipient.
const (
	Deferred State = iota // still open: put off by the server, or never offered to it
	Accepted              // 2yz after the final dot: the server owns the message
	Rejected              // refused for good: never send unchanged again
	InDoubt               // the link broke after the final dot: it may have been accepted
)

var stateWords = [...]string{"deferred", "accepted", "rejected", "in-doubt"}

// String returns the state as one lower-case word.
func (s State) String() string { return word(stateWords[:], s) }

// MarshalText returns the word of [State.String].
func (s State) MarshalText() ([]byte, error) { return marshalWord(stateWords[:], s) }

// UnmarshalText reads the word of [State.String].
func (s *State) UnmarshalText(b []byte) error { return unmarshalWord(stateWords[:], s, b) }

// A Recipient is one recipient's outcome.
type Recipient struct {
	Address string    // as given in Message.To
	State   State     // what became of it
	Verdict Verdict   // the last refusal; zero when accepted or never offered
	Next    time.Time // when it may be tried again, within an Attempt; zero: it is not
}

// A Result accounts for a message: one entry for each recipient, in the
// caller's order, and each attempt that was made.
type Result struct {
	Recipients []Recipient // one per entry of Message.To, same order
	Queued     string      // the server's words to the last accepted transaction, cleaned as Verdict.Text is; often with its queue id
	Attempts   []Attempt   // every attempt, in order
}

// String counts the recipients by state, as "2 accepted, 1 deferred".
func (r *Result) String() string {
	var n [len(stateWords)]int
	for _, rc := range r.Recipients {
		n[rc.State]++
	}
	var parts []string
	for _, s := range []State{Accepted, Deferred, Rejected, InDoubt} {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	return strings.Join(parts, ", ")
}

// Validate says whether m may go on the wire, as Send and Try do before anything
// else: nil, or a *[FieldError]. It does not open the body. A program that keeps
// messages before it sends them can refuse the faulty ones at once.
func (m *Message) Validate() error {
	if m == nil {
		return &FieldError{Field: "Message", Reason: "is nil"}
	}
	if reason := badAddress(m.From); reason != "" {
		return &FieldError{Field: "Message.From", Value: m.From, Reason: reason}
	}
	if len(m.To) == 0 {
		return &FieldError{Field: "Message.To", Reason: "is empty: no recipients"}
	}
	for i, to := range m.To {
		reason := badAddress(to)
		if to == "" {
			reason = "is empty"
		}
		if reason != "" {
			return &FieldError{Field: fmt.Sprintf("Message.To[%d]", i), Value: to, Reason: reason}
		}
		if m.RcptOptions == nil {
			continue
		}
		if err := checkRcptOptions(to, m.RcptOptions(to)); err != nil {
			return err
		}
	}
	if m.Body == nil {
		return &FieldError{Field: "Message.Body", Reason: "is nil"}
	}
	if m.Size < 0 {
		return &FieldError{Field: "Message.Size", Reason: "is negative; 0 means unknown"}
	}
	return checkMailOptions(m.MailOptions)
}

// needsUTF8 says whether an address needs SMTPUTF8 (RFC 6531).
func (m *Message) needsUTF8() bool {
	for _, to := range m.To {
		if !isASCII(to) {
			return true
		}
	}
	return !isASCII(m.From)
}

// badAddress says why addr must not be sent; "" if it may. It refuses what
// could end the path and begin a parameter or another command: go-smtp looks
// for CR and LF only. A quoted local part with a space in it would be lawful
// (RFC 5321 section 4.1.2), but nobody's address needs it, and servers differ
// in how they read it.
func badAddress(addr string) string {
	if !utf8.ValidString(addr) {
		return "is not valid UTF-8"
	}
	for _, r := range addr {
		switch {
		case r == '<' || r == '>':
			return "has an angle bracket; give the bare address"
		case unicode.IsControl(r):
			return "has a control character"
		case unicode.IsSpace(r):
			return "has a space"
		}
	}
	return ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 0x7f {
			return false
		}
	}
	return true
}
