package smtpretry

import (
	"encoding/base64"
	"strings"
	"unicode"
)

const (
	redacted = "***"

	// minRun is how many octets in a row make a repetition, wherever they
	// stand: a line can be repeated in part.
	minRun = 8

	// minSecret is how short a word of what was said is looked for, if it
	// stands alone.
	minSecret = 4
)

// redact replaces in text what repeats any of the lines, as they are or in
// base64. No more of the text is kept than a [Verdict] could show.
func redact(text string, lines []string) string {
	text = text[:min(len(text), 2*maxText)]
	var sent strings.Builder
	words := map[string]bool{}
	for _, line := range lines {
		coded := base64.StdEncoding.EncodeToString([]byte(line))
		sent.WriteString(line + "\n" + coded + "\n")
		words[strings.TrimRight(coded, "=")] = true
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }) {
			words[word] = true
		}
	}
	var out strings.Builder
	for len(text) > 0 {
		n := run(text, sent.String())
		if n == 0 {
			n = wordOf(text, out.String(), words)
		}
		if n > 0 {
			out.WriteString(redacted)
		} else {
			n = 1
			out.WriteByte(text[0])
		}
		text = text[n:]
	}
	return out.String()
}

// run returns the length of what text begins with and sent holds, 0 if it is
// short.
func run(text, sent string) int {
	n := minRun
	if len(text) < n || strings.IndexByte(text[:n], '\n') >= 0 || !strings.Contains(sent, text[:n]) {
		return 0
	}
	for n < len(text) && text[n] != '\n' && strings.Contains(sent, text[:n+1]) {
		n++
	}
	return n
}

// wordOf returns the length of the word that text begins with, if it is one of
// words and does not go on at either end.
func wordOf(text, before string, words map[string]bool) int {
	if before != "" && isWordByte(before[len(before)-1]) {
		return 0
	}
	longest := 0
	for word := range words {
		if len(word) >= minSecret && len(word) > longest && strings.HasPrefix(text, word) &&
			(len(text) == len(word) || !isWordByte(text[len(word)])) {
			longest = len(word)
		}
	}
	return longest
}
