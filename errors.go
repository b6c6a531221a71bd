package smtpretry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"
)

// What a [SendError] answers [errors.Is] for. More than one can be true of
// the same error: a message can be delivered to one recipient, refused for a
// second and in doubt for a third.
var (
	// ErrRejected: at least one recipient was refused for good, by a 5yz
	// reply to MAIL, RCPT, DATA or the final dot.
	ErrRejected = errors.New("smtpretry: rejected")

	// ErrRefused: the server or the account refused service for good before
	// any recipient was offered: credentials, certificate, a greeting of
	// 554, a host name that does not exist. It says nothing about the
	// recipients, which stay [Deferred].
	ErrRefused = errors.New("smtpretry: refused before any recipient was offered")

	// ErrExhausted: recipients are still deferred, and the attempts or the
	// time of the [Policy] are used up, or the next attempt would come
	// after the context's deadline.
	ErrExhausted = errors.New("smtpretry: attempts exhausted")

	// ErrInDoubt: the connection broke between the final dot and its reply
	// (RFC 5321 section 6.1, RFC 1047). The message may have been delivered;
	// sending it again may double it.
	ErrInDoubt = errors.New("smtpretry: delivery in doubt")

	// ErrPartial: some recipients were accepted and some were not.
	ErrPartial = errors.New("smtpretry: delivered to some recipients only")

	// ErrNotReplayable: the message would have been tried again, but its
	// body was consumed and can be neither rewound nor spooled.
	ErrNotReplayable = errors.New("smtpretry: body cannot be read again")

	// ErrNoReconnect: the wrapped connection is gone and there is neither a
	// Dialer nor a Dial function to make another.
	ErrNoReconnect = errors.New("smtpretry: connection lost and no way to reconnect")

	// ErrClosed: the Client was closed.
	ErrClosed = errors.New("smtpretry: client closed")
)

// errPastDeadline: the next attempt would come after the context's deadline.
var errPastDeadline = fmt.Errorf("%w: the next one would be after the deadline: %w", ErrExhausted, context.DeadlineExceeded)

// A FieldError reports bad input, or a message body that failed. Nothing was
// sent, or in the case of the body nothing that the server could have taken for
// a message.
type FieldError struct {
	Field  string // which field, as "Message.To[2]" or "Config.Host"
	Value  string // the offending value; empty where it would not help
	Reason string // what is wrong with it
	Err    error  // the error behind it, if any
}

// Error implements error. It is one line.
func (e *FieldError) Error() string {
	var b strings.Builder
	b.WriteString("smtpretry: ")
	b.WriteString(oneLine(e.Field))
	if e.Value != "" {
		fmt.Fprintf(&b, " %q", e.Value[:min(len(e.Value), maxText)])
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(oneLine(e.Err.Error()))
	}
	return b.String()
}

// Unwrap returns the error behind e.
func (e *FieldError) Unwrap() error { return e.Err }

// A SendError says why Send stopped before every recipient was accepted, and
// what the server said last. It unwraps to the error that decided, so
// errors.As finds the *smtp.SMTPError with the server's code and words, and
// to its reasons, which are among the Err values of this package and, when
// the context ended or was about to, its cause.
type SendError struct {
	Host    string  // the limiter's key
	Reasons []error // why it stopped, the main one first
	Last    error   // the gravest of what the recipients not accepted last met; nil if none was offered
	Result  *Result // the account of every recipient
}

// Error implements error. It is one line.
func (e *SendError) Error() string {
	var b strings.Builder
	b.WriteString("smtpretry: ")
	if e.Host != "" {
		b.WriteString(e.Host)
		b.WriteString(": ")
	}
	for i, r := range e.Reasons {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(strings.TrimPrefix(oneLine(r.Error()), "smtpretry: "))
	}
	if e.Result != nil {
		fmt.Fprintf(&b, " (%s)", e.Result)
	}
	v := e.verdict()
	switch {
	case v.Text != "":
		b.WriteString(": " + v.String())
	case e.Last != nil:
		b.WriteString(": " + oneLine(e.Last.Error()))
		if v.Rule != "" {
			b.WriteString(" " + v.meaning())
		}
	}
	return b.String()
}

// Unwrap returns Last, then the reasons.
func (e *SendError) Unwrap() []error {
	if e.Last == nil {
		return e.Reasons
	}
	return append([]error{e.Last}, e.Reasons...)
}

// verdict is that which Last belongs to.
func (e *SendError) verdict() Verdict {
	if e.Result == nil {
		return Verdict{}
	}
	i := gravest(e.Result.Recipients)
	if i < 0 {
		return Verdict{}
	}
	return e.Result.Recipients[i].Verdict
}

// gravest returns the place of the recipient whose verdict tells most about why
// a message was not accepted by all: a refusal for good before another reply,
// and that before a failure without one; -1 if none was refused.
func gravest(rs []Recipient) int {
	place, most := -1, 0
	for i, r := range rs {
		weight := 1
		switch v := r.Verdict; {
		case r.State == Accepted || v.Rule == "":
			continue
		case v.Class == Permanent:
			weight = 3
		case v.Code != 0:
			weight = 2
		}
		if weight > most {
			place, most = i, weight
		}
	}
	return place
}

// A fault is a failure that smtpretry finds by itself. It knows its meaning,
// so that [Classify] need not guess.
type fault struct {
	rule  string
	class Class
	cause Cause
	scope Scope
	msg   string
	err   error // behind it; may be nil
}

func (f *fault) Error() string {
	if f.err != nil {
		return "smtpretry: " + f.msg + ": " + f.err.Error()
	}
	return "smtpretry: " + f.msg
}

func (f *fault) Unwrap() error { return f.err }

// verdict is what f means, met at stage at. A reply behind it keeps its code.
func (f *fault) verdict(at Stage) Verdict {
	v := Verdict{Class: f.class, Cause: f.cause, Scope: f.scope, Stage: at, Text: oneLine(f.Error()), Rule: f.rule,
		ConnDead: f.scope == ScopeConnection}
	var r *smtp.SMTPError
	if errors.As(f.err, &r) {
		v.Code = r.Code
	}
	return v
}

// oneLine makes s fit for a log line: at most maxText octets, and nothing in
// it that ends a line or moves a cursor.
func oneLine(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	writePrintable(&b, strings.TrimSpace(s))
	return b.String()
}
