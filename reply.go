package smtpretry

import (
	"bytes"
	"io"
	"net/textproto"
	"strings"

	"github.com/emersion/go-smtp"
)

// maxReplyLine is the longest line of a reply that is read, as in go-smtp.
const maxReplyLine = 2000

// part returns what has come, at most so many octets and nothing behind the
// end of a line. It is valid until the next call.
func (w *wire) part(most int) ([]byte, error) {
	if w.unread <= 0 {
		return nil, errReplyTooLong
	}
	if w.mixed {
		return nil, errMixedReply
	}
	if _, err := w.in.Peek(1); err != nil {
		return nil, err
	}
	p, _ := w.in.Peek(min(w.in.Buffered(), most, w.unread))
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i+1]
	}
	_, _ = w.in.Discard(len(p))
	w.unread -= len(p)
	w.firstLen += copy(w.first[w.firstLen:], p)
	if w.check.scan(p) < len(p) {
		w.mixed = true
		return nil, errMixedReply
	}
	return p, nil
}

// reply reads one reply and returns its words, valid until the next. One of
// another code than expect, whose last digits can be left out, is an
// *smtp.SMTPError; with expect 0 every reply from 400 up is. What is read goes
// to debug, too, if it is not nil.
func (w *wire) reply(expect int, debug io.Writer) ([]byte, error) {
	w.unread = maxReply
	w.text = w.text[:0]
	code, more := 0, true
	for first := true; more; first = false {
		if !first {
			w.text = append(w.text, '\n')
		}
		start := len(w.text)
		if err := w.line(debug); err != nil {
			return nil, err
		}
		line := w.text[start:]
		this, goesOn := replyCode(line)
		switch {
		case first && this < 100:
			return nil, textproto.ProtocolError("no reply: " + string(line))
		case first:
			code = this
		case this != code:
			continue // not what RFC 5321 section 4.2.1 asks for; only words
		}
		more = goesOn
		w.text = append(w.text[:start], line[4:]...)
	}
	if codeFits(code, expect) {
		return w.text, nil
	}
	return nil, replyError(code, string(w.text))
}

// line appends the next line to w.text, without its end.
func (w *wire) line(debug io.Writer) error {
	for n := 0; ; {
		p, err := w.part(maxReply)
		if err == io.EOF && n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if debug != nil {
			if _, err := debug.Write(p); err != nil {
				return err
			}
		}
		if n += len(p); n > maxReplyLine {
			return smtp.ErrTooLongLine
		}
		w.text = append(w.text, p...)
		if p[len(p)-1] == '\n' {
			w.text = bytes.TrimSuffix(w.text[:len(w.text)-1], []byte("\r"))
			return nil
		}
	}
}

// replyCode reads the beginning of a line: its code, 0 if it has none, and
// whether the reply goes on.
func replyCode(line []byte) (code int, more bool) {
	if len(line) < 4 || line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	for _, d := range line[:3] {
		if d < '0' || d > '9' {
			return 0, false
		}
		code = 10*code + int(d-'0')
	}
	return code, line[3] == '-'
}

// codeFits says whether a code is the expected one, or begins with its digits.
func codeFits(code, expect int) bool {
	if expect == 0 {
		return code < 400
	}
	for code > expect && expect < 100 {
		code /= 10
	}
	return code == expect
}

// replyError is a reply as go-smtp gives it: with the enhanced status code,
// which stands before each line (RFC 2034 section 4), apart from the words.
func replyError(code int, msg string) *smtp.SMTPError {
	word, rest, found := strings.Cut(msg, " ")
	enhanced, n := scanEnhanced(word)
	if !found || n == 0 || n < len(word) {
		return &smtp.SMTPError{Code: code, Message: msg}
	}
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: strings.ReplaceAll(rest, "\n"+word+" ", "\n")}
}
