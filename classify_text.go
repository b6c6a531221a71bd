package smtpretry

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

// Bounds on what is read of a reply. RFC 5321 section 4.5.3.1.5 allows 512
// octets per line; the longest replies seen have about ten lines.
const (
	maxText = 1024 // octets of Verdict.Text
)

// The bounds of Verdict.RetryAfter.
const (
	minRetryAfter = 10 * time.Second
	maxRetryAfter = 24 * time.Hour
)

// readText gives the enhanced status code of a reply and its words on one
// line. go-smtp reads the code only where the RFC puts it; real servers also
// write "5.7.1: text", "(#5.7.1)" at the end, "[4.7.1]", and no text at all.
func readText(rep *reply) (smtp.EnhancedCode, string) {
	class := rep.code / 100
	enhanced := rep.enhanced
	if !plausible(enhanced, class) {
		enhanced = smtp.EnhancedCode{}
	}

	text := rep.text
	if len(text) > 2*maxText {
		text = text[:2*maxText]
	}
	var out strings.Builder
	for more := true; more; {
		var line string
		line, text, more = strings.Cut(text, "\n")
		line = strings.TrimSpace(line)
		if code, rest, ok := cutEnhanced(line); ok && code[0] == class {
			// Repeated on each line (RFC 2034), and kept in Verdict.Enhanced.
			if enhanced == (smtp.EnhancedCode{}) {
				enhanced = code
			}
			line = rest
		}
		clean := isClean(line)
		switch {
		case clean && !more && out.Len() == 0:
			if enhanced == (smtp.EnhancedCode{}) {
				enhanced = findEnhanced(line, class)
			}
			return enhanced, line
		case line == "":
			continue
		case out.Len() == 0:
			out.Grow(min(len(line)+1+len(text), maxText))
		case out.Len() < maxText:
			out.WriteByte(' ')
		}
		if clean && out.Len()+len(line) <= maxText {
			out.WriteString(line)
		} else {
			writePrintable(&out, line)
		}
	}
	if enhanced == (smtp.EnhancedCode{}) {
		enhanced = findEnhanced(rep.text[:min(len(rep.text), 2*maxText)], class)
	}
	return enhanced, out.String()
}

// isClean says whether line can be shown as it is.
func isClean(line string) bool {
	if len(line) > maxText {
		return false
	}
	last := byte(' ')
	for i := range len(line) {
		c := line[i]
		if c < ' ' || c >= 0x7f || c == ' ' && last == ' ' {
			return false
		}
		last = c
	}
	return true
}

// writePrintable writes line with white space folded, control characters
// replaced and octets that are no UTF-8 read as Latin-1, as some servers send
// it, until there are maxText octets.
func writePrintable(out *strings.Builder, line string) {
	last := ' '
	for i, r := range line {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(line[i:]); n == 1 {
				r = rune(line[i])
			}
		}
		switch {
		case r == '\t' || r == '\r' || r == '\n':
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if out.Len()+utf8.RuneLen(r) > maxText {
			return
		}
		if r != ' ' || last != ' ' {
			out.WriteRune(r)
		}
		last = r
	}
}

// plausible says whether code can be an enhanced status code of the class
// (RFC 3463 section 2; subjects 0 to 7 are registered).
func plausible(code smtp.EnhancedCode, class int) bool {
	return code[0] == class && code[1] >= 0 && code[1] <= 9 && code[2] >= 0 && code[2] <= 999
}

// cutEnhanced cuts an enhanced status code, and the punctuation around it,
// off the start of s.
func cutEnhanced(s string) (code smtp.EnhancedCode, rest string, ok bool) {
	start := 0
	for start < len(s) && strings.IndexByte("#([ ", s[start]) >= 0 {
		start++
	}
	code, n := scanEnhanced(s[start:])
	if n == 0 {
		return code, s, false
	}
	return code, strings.TrimLeft(s[start+n:], " \t:;)]-"), true
}

// scanEnhanced reads an enhanced status code that s starts with, and returns
// its length; 0 if there is none.
func scanEnhanced(s string) (code smtp.EnhancedCode, n int) {
	if s == "" || !isDigit(s[0]) {
		return code, 0
	}
	for part := range 3 {
		if part > 0 {
			if n >= len(s) || s[n] != '.' {
				return code, 0
			}
			n++
		}
		from := n
		for n < len(s) && isDigit(s[n]) && n-from < 4 {
			code[part] = code[part]*10 + int(s[n]-'0')
			n++
		}
		if n == from {
			return code, 0
		}
	}
	if n < len(s) && (isWordByte(s[n]) || s[n] == '.' && n+1 < len(s) && isWordByte(s[n+1])) {
		return code, 0 // an IP address, a version, an id
	}
	if !plausible(code, code[0]) || code[0] != 2 && code[0] != 4 && code[0] != 5 {
		return code, 0
	}
	return code, n
}

// findEnhanced looks for an enhanced status code of the class anywhere in the
// text, as a word of its own.
func findEnhanced(text string, class int) smtp.EnhancedCode {
	digit := byte('0' + class)
	for at := 1; at < len(text); at++ {
		dot := strings.IndexByte(text[at:], '.')
		if dot < 0 {
			break
		}
		at += dot
		i := at - 1
		if text[i] != digit {
			continue
		}
		if i > 0 && strings.IndexByte(" (#[\n\t-", text[i-1]) < 0 {
			continue
		}
		if i > 1 && text[i-1] == '-' && isWordByte(text[i-2]) {
			continue // part of an id
		}
		if code, n := scanEnhanced(text[i:]); n > 0 {
			return code
		}
	}
	return smtp.EnhancedCode{}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWordByte(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
