package maillog

import (
	"cmp"
	"crypto/x509"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// failures are what logs say where no reply came. Each stands for the error that
// a Go program would have met, so that there is one classifier for both.
var failures = []struct {
	pattern *regexp.Regexp
	stage   smtpretry.Stage // StageUnknown: of the words behind "while"
	err     error
}{
	{regexp.MustCompile(`(?i)not found, try again|try again\)?$|host lookup did not complete|temporary failure in name|server failure|no such host.*try again`), smtpretry.StageDial,
		&net.DNSError{Err: "server misbehaving", IsTemporary: true}},
	{regexp.MustCompile(`(?i)host or domain name not found|no such host|unable to look up host|all relevant MX records point to non-existent hosts|unknown host`), smtpretry.StageDial,
		&net.DNSError{Err: "no such host", IsNotFound: true}},
	{regexp.MustCompile(`(?i)certificate (?:not trusted|not verified|verification|has expired|is not valid)|certificate signed by unknown|x509:`), smtpretry.StageTLS, x509.UnknownAuthorityError{}},
	{regexp.MustCompile(`(?i)cannot start TLS|TLS handshake|TLS session: |handshake failure|TLS is required|required.*TLS|TLS encryption`), smtpretry.StageTLS, x509.CertificateInvalidError{}},
	{regexp.MustCompile(`(?i)connection refused`), smtpretry.StageDial, syscall.ECONNREFUSED},
	{regexp.MustCompile(`(?i)no route to host`), smtpretry.StageDial, syscall.EHOSTUNREACH},
	{regexp.MustCompile(`(?i)network is unreachable`), smtpretry.StageDial, syscall.ENETUNREACH},
	{regexp.MustCompile(`(?i)connection reset|broken pipe`), smtpretry.StageUnknown, syscall.ECONNRESET},
	{regexp.MustCompile(`(?i)connection timed out|i/o timeout|operation timed out`), smtpretry.StageDial, os.ErrDeadlineExceeded},
	{regexp.MustCompile(`(?i)timed out while|SMTP timeout|timeout (?:after|while)|timed out`), smtpretry.StageUnknown, os.ErrDeadlineExceeded},
	{regexp.MustCompile(`(?i)lost connection|closed connection|connection (?:was )?closed|dropped connection|server dropped|\bEOF\b`), smtpretry.StageUnknown, io.EOF},
}

// whileDoing is where a log says at which stage something failed.
var whileDoing = regexp.MustCompile(`(?i)\b(?:while|in response to|in reply to|after) (?:sending )?(.*)`)

// classifyFailure says what words mean that tell of no reply. dsn is the status
// code that the log gives besides; its class decides if nothing else does. A
// stage that is known goes before one that is read.
func classifyFailure(text string, at smtpretry.Stage, dsn smtp.EnhancedCode, final bool) smtpretry.Verdict {
	for _, f := range failures {
		if !f.pattern.MatchString(text) {
			continue
		}
		if m := whileDoing.FindStringSubmatch(text); m != nil {
			at = cmp.Or(at, stageNamed(m[1]))
		}
		v := smtpretry.Classify(f.err, cmp.Or(at, f.stage))
		v.Text = oneLine(text)
		return v
	}
	// The mail server's own words for something that it found out by itself
	// are read as a reply would be.
	code := 450
	if final {
		code = 550
	}
	v := smtpretry.Classify(&smtp.SMTPError{Code: code, EnhancedCode: dsn, Message: text}, at)
	v.Code, v.ConnDead = 0, false
	if text == "" {
		v.Text = "(the log gives no reason)"
	}
	return v
}

// oneLine is a text fit for a table: at most 1,024 octets of one line.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 1024 {
		s = strings.ToValidUTF8(s[:1024], "")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}
