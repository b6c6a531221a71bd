package smtpretry_test

import (
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry"
)

// TestRedact: repetitions go, and no other words.
func TestRedact(t *testing.T) {
	plain := []string{"\x00me\x00right"} // AG1lAHJpZ2h0
	tests := []struct {
		text  string
		lines []string
		want  string
	}{
		{"5.7.8 Authentication failed", plain, "5.7.8 Authentication failed"},
		{"unrecognized: \"AUTH PLAIN AG1lAHJpZ2h0\"", plain, "unrecognized: \"AUTH PLAIN ***\""},
		{"unrecognized: AG1lAHJp...", plain, "unrecognized: ***..."},
		{"'right' is wrong, right?", plain, "'***' is wrong, ***?"},
		{"alright, frighten me rightly", plain, "alright, frighten me rightly"}, // words of their own
		{"no right", nil, "no right"},
		{"no right", []string{""}, "no right"},
		{"cmlnaHQ= cmlnaHQ", []string{"me", "right"}, "*** ***"},
		{"wrong horse or correct horse battery", []string{"correct horse"}, "wrong *** or *** battery"},
		{"over two\nright\nlines", plain, "over two\n***\nlines"},
		{"pässwörter", []string{"pässwört"}, "***er"},
		{strings.Repeat("x", 5000), plain, strings.Repeat("x", 2048)},
	}
	for _, test := range tests {
		if got := smtpretry.Redact(test.text, test.lines); got != test.want {
			t.Errorf("redact(%.80q, %q) is %.80q, want %.80q", test.text, test.lines, got, test.want)
		}
	}
}
