package smtpretry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

func TestClassifyNil(t *testing.T) {
	if v := smtpretry.Classify(nil, smtpretry.StageDot); v != (smtpretry.Verdict{}) {
		t.Errorf("got %+v, want the zero Verdict", v)
	}
	if v := smtpretry.Classify(nil, smtpretry.StageDot); v.Advice() != "" {
		t.Errorf("advice on a success: %q", v.Advice())
	}
}

func TestClassifyFailures(t *testing.T) {
	const (
		none, temporary, permanent = smtpretry.Unknown, smtpretry.Temporary, smtpretry.Permanent
	)
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	read := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, dialTimeout := (&net.Dialer{}).DialContext(expired, "tcp", "127.0.0.1:1") // package net's own error for it
	if dialTimeout == nil {
		t.Fatal("dialled with an expired context")
	}
	tests := []struct {
		name  string
		err   error
		at    smtpretry.Stage
		class smtpretry.Class
		cause smtpretry.Cause
		scope smtpretry.Scope
		rule  string
	}{
		{"EOF", io.EOF, smtpretry.StageMail, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"unexpected EOF", io.ErrUnexpectedEOF, smtpretry.StageGreeting, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"reset", read(os.NewSyscallError("read", syscall.ECONNRESET)), smtpretry.StageRcpt, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"broken pipe", read(syscall.EPIPE), smtpretry.StageBody, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"bare errno", syscall.ECONNRESET, smtpretry.StageBody, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"closed by us", net.ErrClosed, smtpretry.StageData, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"closed pipe", io.ErrClosedPipe, smtpretry.StageData, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"timeout", read(os.ErrDeadlineExceeded), smtpretry.StageRcpt, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "timeout"},
		{"wrapped timeout", fmt.Errorf("rcpt: %w", os.ErrDeadlineExceeded), smtpretry.StageRcpt, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "timeout"},
		{"refused", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), smtpretry.StageDial, temporary, smtpretry.CauseNetwork, smtpretry.ScopeHost, "cannot-connect"},
		{"unreachable", dial(syscall.EHOSTUNREACH), smtpretry.StageDial, temporary, smtpretry.CauseNetwork, smtpretry.ScopeHost, "cannot-connect"},
		{"dial timeout", dialTimeout, smtpretry.StageDial, temporary, smtpretry.CauseNetwork, smtpretry.ScopeHost, "cannot-connect"},
		{"no such host", dial(&net.DNSError{Err: "no such host", IsNotFound: true}), smtpretry.StageDial, permanent, smtpretry.CauseDNS, smtpretry.ScopeHost, "no-such-host"},
		{"resolver down", dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), smtpretry.StageDial, temporary, smtpretry.CauseDNS, smtpretry.ScopeHost, "dns"},
		{"resolver slow", dial(&net.DNSError{Err: "timeout", IsTimeout: true}), smtpretry.StageDial, temporary, smtpretry.CauseDNS, smtpretry.ScopeHost, "dns"},
		{"no port", dial(&net.AddrError{Err: "missing port in address"}), smtpretry.StageDial, permanent, smtpretry.CauseNetwork, smtpretry.ScopeHost, "bad-address"},
		{"unknown network", dial(net.UnknownNetworkError("tpc")), smtpretry.StageDial, permanent, smtpretry.CauseNetwork, smtpretry.ScopeHost, "bad-address"},
		{"certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, smtpretry.StageTLS, permanent, smtpretry.CauseTLS, smtpretry.ScopeHost, "tls"},
		{"unknown authority", fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}), smtpretry.StageHello, permanent, smtpretry.CauseTLS, smtpretry.ScopeHost, "tls"},
		{"wrong name", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "mx.example"}, smtpretry.StageTLS, permanent, smtpretry.CauseTLS, smtpretry.ScopeHost, "tls"},
		{"out of date", x509.CertificateInvalidError{Reason: x509.Expired}, smtpretry.StageTLS, permanent, smtpretry.CauseTLS, smtpretry.ScopeHost, "tls"},
		{"no TLS there", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, smtpretry.StageTLS, permanent, smtpretry.CauseTLS, smtpretry.ScopeHost, "tls"},
		{"alert", &net.OpError{Op: "remote error", Err: tls.AlertError(40)}, smtpretry.StageTLS, permanent, smtpretry.CauseTLS, smtpretry.ScopeHost, "tls"},
		{"handshake cut", io.EOF, smtpretry.StageTLS, temporary, smtpretry.CauseNetwork, smtpretry.ScopeConnection, "link-broken"},
		{"handshake failed otherwise", errors.New("tls: no common version"), smtpretry.StageTLS, none, smtpretry.CauseTLS, smtpretry.ScopeHost, "handshake"},
		{"not SMTP", textproto.ProtocolError("short response: x"), smtpretry.StageGreeting, permanent, smtpretry.CauseProtocol, smtpretry.ScopeHost, "not-smtp"},
		{"garbled later", fmt.Errorf("mail: %w", textproto.ProtocolError("short response: x")), smtpretry.StageMail, none, smtpretry.CauseProtocol, smtpretry.ScopeConnection, "garbled-reply"},
		{"line too long", smtp.ErrTooLongLine, smtpretry.StageRcpt, none, smtpretry.CauseProtocol, smtpretry.ScopeConnection, "garbled-reply"},
		{"OAuth", &sasl.OAuthBearerError{Status: "invalid_token"}, smtpretry.StageAuth, permanent, smtpretry.CauseAuth, smtpretry.ScopeAccount, "sasl"},
		{"SASL", sasl.ErrUnexpectedServerChallenge, smtpretry.StageAuth, permanent, smtpretry.CauseAuth, smtpretry.ScopeAccount, "sasl"},
		{"cancelled", fmt.Errorf("send: %w", context.Canceled), smtpretry.StageMail, none, smtpretry.CauseUnknown, smtpretry.ScopeMessage, "context"},
		{"deadline", context.DeadlineExceeded, smtpretry.StageMail, none, smtpretry.CauseUnknown, smtpretry.ScopeMessage, "context"},
		{"anything else", errors.New("disk on fire"), smtpretry.StageBody, none, smtpretry.CauseUnknown, smtpretry.ScopeMessage, "not-recognised"},
	}
	for _, test := range tests {
		v := smtpretry.Classify(test.err, test.at)
		if v.Class != test.class || v.Cause != test.cause || v.Scope != test.scope || v.Rule != test.rule {
			t.Errorf("%s: got %v %v/%v by %s, want %v %v/%v by %s", test.name, v.Class, v.Cause, v.Scope, v.Rule, test.class, test.cause, test.scope, test.rule)
		}
		if !v.ConnDead || v.InDoubt || v.Code != 0 || v.Stage != test.at {
			t.Errorf("%s: got %+v, want a dead connection, no doubt, no code, the stage", test.name, v)
		}
	}
}

// An alert over TCP comes in a type that crypto/tls does not export.
func TestClassifyRealHandshake(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		_ = tls.Server(server, &tls.Config{}).Handshake() // no certificate: it sends an alert
	}()
	err := tls.Client(client, &tls.Config{ServerName: "mx.example"}).Handshake()
	if v := smtpretry.Classify(err, smtpretry.StageTLS); v.Rule != "tls" || v.Class != smtpretry.Permanent {
		t.Errorf("%v: got %+v, want rule tls, permanent", err, v)
	}
}

func TestClassifyInDoubt(t *testing.T) {
	for _, err := range []error{io.EOF, syscall.ECONNRESET, os.ErrDeadlineExceeded, context.Canceled, textproto.ProtocolError("x"), errors.New("x")} {
		if v := smtpretry.Classify(err, smtpretry.StageDot); !v.InDoubt {
			t.Errorf("%v after the final dot: not in doubt", err)
		}
	}
	if v := smtpretry.Classify(&smtp.SMTPError{Code: 421, Message: "closing"}, smtpretry.StageDot); v.InDoubt || !v.ConnDead {
		t.Errorf("421 to the dot: got %+v, want no doubt, a dead connection", v)
	}
}

func TestClassifyErrorTypes(t *testing.T) {
	full := &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}
	gone := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	tests := []struct {
		name string
		err  error
		code int
		rule string
	}{
		{"SMTPError", full, 452, "mailbox-full"},
		{"wrapped", fmt.Errorf("rcpt: %w", full), 452, "mailbox-full"},
		{"joined", errors.Join(errors.New("x"), gone), 550, "no-such-user"},
		{"textproto", &textproto.Error{Code: 550, Msg: "5.1.1 no such user"}, 550, "no-such-user"},
		{"LMTP, the temporary one", smtp.LMTPDataError{"a@example.org": gone, "b@example.org": full}, 452, "mailbox-full"},
		{"LMTP, the first address", smtp.LMTPDataError{"b@example.org": gone, "a@example.org": {Code: 554, Message: "virus found"}}, 554, "virus"},
		{"LMTP with nil", smtp.LMTPDataError{"a@example.org": nil, "b@example.org": gone}, 550, "no-such-user"},
	}
	for _, test := range tests {
		v := smtpretry.Classify(test.err, smtpretry.StageDot)
		if v.Code != test.code || v.Rule != test.rule {
			t.Errorf("%s: got %d by %s, want %d by %s", test.name, v.Code, v.Rule, test.code, test.rule)
		}
	}
	v := smtpretry.Classify(errors.Join(io.EOF, smtp.LMTPDataError{"a@example.org": gone}), smtpretry.StageDot)
	if !v.ConnDead {
		t.Error("LMTP replies and then EOF: the connection is not reported dead")
	}
}

func TestClassifyUnexpectedCodes(t *testing.T) {
	for _, code := range []int{250, 354, 0, 999, -1, 99} {
		v := smtpretry.Classify(&smtp.SMTPError{Code: code, Message: "queued"}, smtpretry.StageData)
		if v.Class != smtpretry.Unknown || v.Cause != smtpretry.CauseProtocol || v.Scope != smtpretry.ScopeConnection || !v.ConnDead || v.Rule != "unexpected-code" {
			t.Errorf("code %d: got %+v, want unknown protocol/connection, a dead connection", code, v)
		}
	}
}

func TestConnDead(t *testing.T) {
	tests := []struct {
		code int
		at   smtpretry.Stage
		dead bool
	}{
		{421, smtpretry.StageRcpt, true}, {421, smtpretry.StageDot, true}, {450, smtpretry.StageRcpt, false}, {550, smtpretry.StageMail, false},
		{554, smtpretry.StageGreeting, true}, {451, smtpretry.StageHello, true}, {535, smtpretry.StageAuth, false},
	}
	for _, test := range tests {
		if v := smtpretry.Classify(&smtp.SMTPError{Code: test.code, Message: "no"}, test.at); v.ConnDead != test.dead {
			t.Errorf("%d at %v: dead = %v, want %v", test.code, test.at, v.ConnDead, test.dead)
		}
	}
}

func TestEnhancedCode(t *testing.T) {
	tests := []struct {
		reply string
		want  smtp.EnhancedCode
		text  string
	}{
		{"451 4.7.0 come back", smtp.EnhancedCode{4, 7, 0}, "come back"},
		{"451 4.7.0", smtp.EnhancedCode{4, 7, 0}, ""},
		{"550 5.7.1: refused", smtp.EnhancedCode{5, 7, 1}, "refused"},
		{"550 refused (#5.7.1)", smtp.EnhancedCode{5, 7, 1}, "refused (#5.7.1)"},
		{"550 (5.7.1) refused", smtp.EnhancedCode{5, 7, 1}, "refused"},
		{"421 #4.4.5 too many", smtp.EnhancedCode{4, 4, 5}, "too many"},
		{"450 [4.7.1] no", smtp.EnhancedCode{4, 7, 1}, "no"},
		{"450 mx7 4.7.1 <a@b.example>: no", smtp.EnhancedCode{4, 7, 1}, "mx7 4.7.1 <a@b.example>: no"},
		{"421 #4.x.2 too many", smtp.EnhancedCode{}, "#4.x.2 too many"},
		{"550 4.7.1 disagrees", smtp.EnhancedCode{}, "disagrees"},
		{"451 10.20.30 x", smtp.EnhancedCode{}, "x"},
		{"550 5.7.1000 x", smtp.EnhancedCode{}, "x"},
		{"550 5.7.1.4 is an address", smtp.EnhancedCode{}, "5.7.1.4 is an address"},
		{"550 id a-5.7.1 x", smtp.EnhancedCode{}, "id a-5.7.1 x"},
		{"452-4.5.3 one\n452 4.5.3 two", smtp.EnhancedCode{4, 5, 3}, "one two"},
		{"452 4.5.3\nfoo", smtp.EnhancedCode{4, 5, 3}, ""},
		{"550-5.7.1 one\n550-5.7.1\n550 5.7.2 two", smtp.EnhancedCode{5, 7, 1}, "one two"},
		{"554 no code at all", smtp.EnhancedCode{}, "no code at all"},
	}
	for _, test := range tests {
		v := smtpretry.Classify(replyError(t, test.reply), smtpretry.StageRcpt)
		if v.Enhanced != test.want || v.Text != test.text {
			t.Errorf("%q: got %v %q, want %v %q", test.reply, v.Enhanced, v.Text, test.want, test.text)
		}
	}
}

func TestText(t *testing.T) {
	v := smtpretry.Classify(&smtp.SMTPError{Code: 550, Message: "a\x00b\x1b[31m\tc\x7f\r\n  d\xff\x85\xef \u2028e  \u202ef é\uFFFD"}, smtpretry.StageRcpt)
	if want := "a�b�[31m c� dÿ�ï �e �f é�"; v.Text != want {
		t.Errorf("got %q, want %q", v.Text, want)
	}
	v = smtpretry.Classify(&smtp.SMTPError{Code: 550, Message: strings.Repeat("é", 5000) + "\nuser unknown"}, smtpretry.StageRcpt)
	if len(v.Text) > 1024 || len(v.Text) < 1000 || !utf8.ValidString(v.Text) {
		t.Errorf("%d octets, valid %v: want about 1024, cut between letters", len(v.Text), utf8.ValidString(v.Text))
	}
}

func TestWaitNamed(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"Greylisting in action, please come back in 00:04:58", 4*time.Minute + 58*time.Second},
		{"Greylisted for 300 seconds (see http://example.org/5)", 300 * time.Second},
		{"try again in 5 seconds", 10 * time.Second},
		{"greylisted for 60 seconds by ZEROSPAM", time.Minute},
		{"retrying too fast. penalty: 30 seconds x 0 retries.", 30 * time.Second},
		{"retrying too fast. penalty: 30 seconds x 3 retries.", 2 * time.Minute},
		{"retry after 2 hours", 2 * time.Hour},
		{"wait 15 minutes", 15 * time.Minute},
		{"Please wait at least 90s", 90 * time.Second},
		{"try again in 3 days", 24 * time.Hour},
		{"Bitte versuchen Sie es in 10 Minuten wieder", 10 * time.Minute},
		{"réessayez dans 2 heures", 2 * time.Hour},
		{"intente de nuevo en 20 minutos", 20 * time.Minute},
		{"riprova tra 5 minuti", 5 * time.Minute},
		{"one message every 2 minutes", 2 * time.Minute},
		{"retry in 00:99:xx", 0},
		{"come back in 300", 0},
		{"limit of 50 messages per 30 minutes", 0},
		{"too many in the last 24 hours", 0},
		{"recipients (200) over past 24h reached", 0},
		{"try later, 192.0.2.30 s", 0},
		{"at 14:30:00 today", 0},
		{"in 99999999 seconds", 0},
		{"try again later", 0},
		{"", 0},
	}
	for _, test := range tests {
		if got := smtpretry.WaitNamed(test.text); got != test.want {
			t.Errorf("%q: got %v, want %v", test.text, got, test.want)
		}
	}
	if v := smtpretry.Classify(&smtp.SMTPError{Code: 550, Message: "User unknown, mailbox empty for 3 hours"}, smtpretry.StageRcpt); v.RetryAfter != 0 {
		t.Errorf("a permanent refusal has RetryAfter %v", v.RetryAfter)
	}
}

// The cases that a sender must not get wrong, each against its neighbour.
func TestClassifyBorders(t *testing.T) {
	tests := []struct {
		at                         smtpretry.Stage
		reply, class, cause, scope string
	}{
		{smtpretry.StageRcpt, "552 too many recipients", "temporary", "too-many-recipients", "message"},
		{smtpretry.StageDot, "552 too many recipients", "permanent", "too-many-recipients", "message"},
		{smtpretry.StageRcpt, "552 5.2.2 mailbox full", "permanent", "mailbox-full", "recipient"},
		{smtpretry.StageDot, "552 5.3.4 message too big", "permanent", "size", "message"},
		{smtpretry.StageMail, "421 4.3.0 Temporary System Problem", "temporary", "overload", "host"},
		{smtpretry.StageGreeting, "421 Too many connections from this IP", "temporary", "connection-limit", "connection"},
		{smtpretry.StageGreeting, "554 5.7.1 Go away, spammer", "permanent", "reputation", "host"},
		{smtpretry.StageDot, "554 5.7.1 Looks like spam", "permanent", "content", "message"},
		{smtpretry.StageAuth, "454 4.7.0 temporary system problem", "temporary", "auth", "account"},
		{smtpretry.StageAuth, "530 5.7.0 Must issue STARTTLS first", "permanent", "tls", "host"},
		{smtpretry.StageRcpt, "450 4.2.0 Greylisted", "temporary", "greylist", "recipient"},
		{smtpretry.StageRcpt, "550 Greylisted", "permanent", "greylist", "recipient"},
		{smtpretry.StageRcpt, "550 Greylisted, try again in 5 minutes", "temporary", "greylist", "recipient"},
		{smtpretry.StageMail, "421 4.7.1 permanently deferred, retrying will NOT succeed", "permanent", "reputation", "host"},
		{smtpretry.StageMail, "550 Your sender address is blacklisted", "permanent", "reputation", "sender"},
		{smtpretry.StageRcpt, "550 You are blocked by the recipient", "permanent", "bad-sender", "recipient"},
		{smtpretry.StageRcpt, "450 User is receiving mail too quickly", "temporary", "rate-limit", "recipient"},
		{smtpretry.StageMail, "450 4.7.1 Too many messages from 192.0.2.1 this hour", "temporary", "rate-limit", "host"},
		{smtpretry.StageDot, "454 Throttling failure: Daily message quota exceeded", "temporary", "rate-limit", "account"},
		{smtpretry.StageRcpt, "550 Relaying denied, authenticate yourself first", "permanent", "auth", "account"},
		{smtpretry.StageRcpt, "550 This server does not relay for example.org", "permanent", "relay-denied", "recipient"},
		{smtpretry.StageDot, "451 Temporary failure on relaying to the next server", "temporary", "overload", "host"},
		{smtpretry.StageRcpt, "550 Recipient verification failed", "permanent", "bad-recipient", "recipient"},
		{smtpretry.StageRcpt, "550 Sender verification failed: no such user", "permanent", "bad-sender", "sender"},
		{smtpretry.StageMail, "451 Could not resolve the domain of the sender", "temporary", "dns", "sender"},
		{smtpretry.StageRcpt, "451 User is over quota", "temporary", "mailbox-full", "recipient"},
		{smtpretry.StageMail, "451 Your quota of messages per hour is used up", "temporary", "rate-limit", "account"},
		{smtpretry.StageMail, "450 Too many mails from user@example.org per hour", "temporary", "rate-limit", "sender"},
		{smtpretry.StageGreeting, "421 Connections from your IP temporarily refused, server is busy", "temporary", "overload", "host"},
		{smtpretry.StageGreeting, "421 Connections from your IP temporarily refused", "temporary", "reputation", "host"},
		{smtpretry.StageDot, "451 Content filter is down", "temporary", "overload", "host"},
		{smtpretry.StageDot, "550 Content filter found forbidden words", "permanent", "content", "message"},
		{smtpretry.StageHello, "501 Invalid domain name", "permanent", "protocol", "host"},
		{smtpretry.StageHello, "501 Domain name does not exist", "permanent", "sender-policy", "host"},
		{smtpretry.StageMail, "421 4.4.2 Sorry", "temporary", "network", "connection"},
		{smtpretry.StageRcpt, "550 5.7.1 Sorry", "permanent", "unknown", "recipient"},
	}
	for _, test := range tests {
		v := smtpretry.Classify(replyError(t, test.reply), test.at)
		if v.Class.String() != test.class || v.Cause.String() != test.cause || v.Scope.String() != test.scope {
			t.Errorf("%v: %s: got %v %v/%v by %s, want %s %s/%s", test.at, test.reply, v.Class, v.Cause, v.Scope, v.Rule, test.class, test.cause, test.scope)
		}
	}
}

func TestClassifyOtherLanguages(t *testing.T) {
	tests := []struct {
		at           smtpretry.Stage
		reply, cause string
	}{
		{smtpretry.StageRcpt, "550 Das Postfach existiert nicht", "bad-recipient"},
		{smtpretry.StageRcpt, "552 Postfach ist voll", "mailbox-full"},
		{smtpretry.StageMail, "450 Zu viele Verbindungen von Ihrer IP", "connection-limit"},
		{smtpretry.StageRcpt, "550 Utilisateur inconnu", "bad-recipient"},
		{smtpretry.StageGreeting, "421 Trop de connexions, veuillez réessayer plus tard", "connection-limit"},
		{smtpretry.StageDot, "550 Votre message a été rejeté car considéré comme spam", "content"},
		{smtpretry.StageRcpt, "550 El usuario no existe", "bad-recipient"},
		{smtpretry.StageRcpt, "452 Buzón lleno", "mailbox-full"},
		{smtpretry.StageDot, "550 Mensaje rechazado por contener virus", "content"},
		{smtpretry.StageRcpt, "550 Utente sconosciuto", "bad-recipient"},
		{smtpretry.StageRcpt, "550 Usuário inexistente", "bad-recipient"},
		{smtpretry.StageRcpt, "550 Taki użytkownik nie istnieje", "bad-recipient"},
		{smtpretry.StageRcpt, "550 Bo\xeete du destinataire pleine", "mailbox-full"}, // Latin-1
	}
	for _, test := range tests {
		if v := smtpretry.Classify(replyError(t, test.reply), test.at); v.Cause.String() != test.cause {
			t.Errorf("%s: got %v by %s, want %s", test.reply, v.Cause, v.Rule, test.cause)
		}
	}
}

// Whatever is said, somebody is told something, and nothing twice over.
func TestAdvice(t *testing.T) {
	said := map[string]smtpretry.Cause{}
	for cause := smtpretry.CauseUnknown; cause <= smtpretry.CauseLoop; cause++ {
		for class := smtpretry.Unknown; class <= smtpretry.Permanent; class++ {
			for scope := smtpretry.ScopeNone; scope <= smtpretry.ScopeMessage; scope++ {
				for _, code := range []int{0, 421, 550} {
					v := smtpretry.Verdict{Class: class, Cause: cause, Scope: scope, Code: code, Rule: "x"}
					s := v.Advice()
					if len(s) < 40 || !strings.HasSuffix(s, ".") {
						t.Fatalf("%+v: %q is no advice", v, s)
					}
					if other, ok := said[s]; ok && other != cause {
						t.Fatalf("%v and %v are given the same advice: %q", cause, other, s)
					}
					said[s] = cause
				}
			}
		}
	}
	doubt := smtpretry.Classify(io.EOF, smtpretry.StageDot).Advice()
	if !strings.Contains(doubt, "may have the message") {
		t.Errorf("in doubt: %q", doubt)
	}
	busy := smtpretry.Classify(&smtp.SMTPError{Code: 421, Message: "Temporary System Problem"}, smtpretry.StageMail).Advice()
	if !strings.Contains(busy, "nothing is wrong with the message") {
		t.Errorf("421 Temporary System Problem: %q", busy)
	}
}

func TestReply(t *testing.T) {
	for _, test := range []struct {
		v    smtpretry.Verdict
		want string
	}{
		{smtpretry.Verdict{}, ""},
		{smtpretry.Verdict{Text: "connection refused"}, "connection refused"},
		{smtpretry.Verdict{Code: 421}, "421"},
		{smtpretry.Verdict{Code: 421, Text: "Try later"}, "421 Try later"},
		{smtpretry.Verdict{Code: 450, Enhanced: smtp.EnhancedCode{4, 2, 0}}, "450 4.2.0"},
		{smtpretry.Verdict{Code: 450, Enhanced: smtp.EnhancedCode{4, 2, 0}, Text: "Greylisted"}, "450 4.2.0 Greylisted"},
	} {
		if got := test.v.Reply(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.v, got, test.want)
		}
	}
}
