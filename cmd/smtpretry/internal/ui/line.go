package ui

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/smtpretry/smtpretry"
)

// maxLine is the longest line of what others said that is kept.
const maxLine = 500

// Line makes a line of a text that may come from anybody: nothing in it ends
// a line or moves a cursor.
func Line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + " …"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Enhanced is the enhanced status code of a verdict, empty if it has none.
func Enhanced(v smtpretry.Verdict) string {
	if v.Enhanced[0] == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v.Enhanced[0], v.Enhanced[1], v.Enhanced[2])
}
