package smtpretry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/textproto"
	"os"
	"slices"
	"syscall"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A reply is what the server said, in go-smtp's terms.
type reply struct {
	code     int
	enhanced smtp.EnhancedCode // as parsed by go-smtp; zero if it found none
	text     string            // without the basic code; lines joined by \n
	several  bool              // one of several, for the recipients of an LMTP message
}

// replyOf finds the server's reply in err. Of an aggregate with one reply per
// LMTP recipient it takes the temporary one of the lowest address, else the
// one of the lowest address: a caller that did not take the aggregate apart is
// told to try again as long as one recipient is open.
func replyOf(err error) (reply, bool) {
	if se, ok := err.(*smtp.SMTPError); ok && se != nil { // as go-smtp gives it
		return reply{code: se.Code, enhanced: se.EnhancedCode, text: se.Message}, true
	}
	var lmtp smtp.LMTPDataError
	if errors.As(err, &lmtp) && len(lmtp) > 0 {
		var deciding *smtp.SMTPError
		for _, addr := range slices.Sorted(maps.Keys(lmtp)) {
			e := lmtp[addr]
			if e != nil && (deciding == nil || deciding.Code/100 != 4 && e.Code/100 == 4) {
				deciding = e
			}
		}
		if deciding != nil {
			return reply{deciding.Code, deciding.EnhancedCode, deciding.Message, true}, true
		}
		return reply{}, false
	}
	var se *smtp.SMTPError
	if errors.As(err, &se) && se != nil {
		return reply{code: se.Code, enhanced: se.EnhancedCode, text: se.Message}, true
	}
	var te *textproto.Error
	if errors.As(err, &te) && te != nil {
		return reply{code: te.Code, text: te.Msg}, true
	}
	return reply{}, false
}

// asReply returns the server's reply in err, nil if there is none.
func asReply(err error) *smtp.SMTPError {
	if err == nil {
		return nil
	}
	if r, ok := err.(*smtp.SMTPError); ok { // as it usually comes
		return r
	}
	var r *smtp.SMTPError
	_ = errors.As(err, &r)
	return r
}

// ruleNotRecognised is the rule for errors of no known type.
const ruleNotRecognised = "not-recognised"

// classifyFailure says what an error means that is no reply. It goes by types
// and sentinels only: the text of an error is for people.
func classifyFailure(err error, at Stage) Verdict {
	v := Verdict{Stage: at, ConnDead: true, InDoubt: at == StageDot}
	v.Class, v.Cause, v.Scope, v.Rule = readFailure(err, at)
	return v
}

func readFailure(err error, at Stage) (Class, Cause, Scope, string) {
	early := at == StageDial || at == StageGreeting
	switch {
	case isOurDecision(err):
		return Unknown, CauseUnknown, ScopeMessage, "context"
	case isDNS(err):
		if isNoSuchHost(err) {
			return Permanent, CauseDNS, ScopeHost, "no-such-host"
		}
		return Temporary, CauseDNS, ScopeHost, "dns"
	case isTLS(err):
		return Permanent, CauseTLS, ScopeHost, "tls"
	case isNoSMTP(err):
		if early {
			return Permanent, CauseProtocol, ScopeHost, "not-smtp"
		}
		return Unknown, CauseProtocol, ScopeConnection, "garbled-reply"
	case isSASL(err):
		return Permanent, CauseAuth, ScopeAccount, "sasl"
	case isBadAddress(err):
		return Permanent, CauseNetwork, ScopeHost, "bad-address"
	case isNetwork(err):
		if at == StageDial {
			return Temporary, CauseNetwork, ScopeHost, "cannot-connect"
		}
		if isTimeout(err) {
			return Temporary, CauseNetwork, ScopeConnection, "timeout"
		}
		return Temporary, CauseNetwork, ScopeConnection, "link-broken"
	case at == StageTLS:
		// crypto/tls has no type for most of what ends a handshake.
		return Unknown, CauseTLS, ScopeHost, "handshake"
	}
	return Unknown, CauseUnknown, ScopeMessage, ruleNotRecognised
}

// isOurDecision is about a context that ended, and not about package net's
// own timeouts, which answer to context.DeadlineExceeded as well.
func isOurDecision(err error) bool {
	if errors.Is(err, context.Canceled) {
		return true
	}
	var timed net.Error
	if errors.As(err, &timed) && error(timed) != context.DeadlineExceeded {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded)
}

func isDNS(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e)
}

func isNoSuchHost(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound && !e.IsTemporary && !e.IsTimeout
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		roots        x509.SystemRootsError
		op           *net.OpError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &record), errors.As(err, &alert),
		errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &roots):
		return true
	case errors.As(err, &op):
		// An alert over TCP has an unexported type, in a net.OpError with
		// one of two operations that package net never uses.
		return op.Op == "remote error" || op.Op == "local error"
	}
	return false
}

// isNoSMTP is about bytes that are no reply.
func isNoSMTP(err error) bool {
	var e textproto.ProtocolError
	return errors.As(err, &e) || errors.Is(err, smtp.ErrTooLongLine)
}

func isSASL(err error) bool {
	var e *sasl.OAuthBearerError
	return errors.As(err, &e) ||
		errors.Is(err, sasl.ErrUnexpectedServerChallenge) || errors.Is(err, sasl.ErrUnexpectedClientResponse)
}

// isBadAddress is about an address that no dialler can use.
func isBadAddress(err error) bool {
	var (
		address *net.AddrError
		network net.UnknownNetworkError
		parse   *net.ParseError
	)
	return errors.As(err, &address) || errors.As(err, &network) || errors.As(err, &parse)
}

func isNetwork(err error) bool {
	var (
		e     net.Error
		errno syscall.Errno
	)
	return errors.As(err, &e) || errors.As(err, &errno) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}
