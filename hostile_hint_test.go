package smtpretry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// TestAbsurdHints: no wait that a server asks for is out of bounds, also when
// its product would not fit into a time.Duration.
func TestAbsurdHints(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"try again in 9999999999 seconds":                         0, // no number that means anything
		"try again in 99999999999999999999999999 hours":           0,
		"try again in -5 seconds":                                 0,
		"try again in 0 seconds":                                  0,
		"try again in 1 second":                                   10 * time.Second,
		"try again in 999999 seconds":                             24 * time.Hour,
		"try again in 213504 days":                                24 * time.Hour, // 2^64 ns and 49 minutes
		"try again in 106752 days":                                24 * time.Hour, // beyond 2^63 ns
		"penalty: 213504 days x 999999 retries":                   24 * time.Hour,
		"penalty: 900000 seconds x 20497 retries":                 24 * time.Hour, // 2^64 ns and more
		"try again in 99:99:99":                                   24 * time.Hour,
		"try again in " + strings.Repeat("1", 1000) + " min":      0,
		strings.Repeat("try again in 600 seconds ", 1000):         10 * time.Minute,
		"try again in 5 " + strings.Repeat(" ", 900) + "minutes.": 5 * time.Minute,
	} {
		v := smtpretry.Classify(&smtp.SMTPError{Code: 451, Message: text}, smtpretry.StageMail)
		if v.RetryAfter != want {
			t.Errorf("%q: RetryAfter %v, want %v", fmt.Sprintf("%.50s", text), v.RetryAfter, want)
		}
	}
}
