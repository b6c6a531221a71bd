package queue

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/smtpretry/smtpretry"
)

// localVerdict is that of a failure of our own.
func localVerdict(err error) smtpretry.Verdict {
	text := "not sent"
	if err != nil {
		text = err.Error()
	}
	return smtpretry.Verdict{Class: smtpretry.Temporary, Scope: smtpretry.ScopeMessage, Text: clean(text), Rule: "queue"}
}

// said is what there is to say of a verdict in one line.
func said(v smtpretry.Verdict) string {
	return cmp.Or(v.Reply(), "no reply, "+v.Cause.String()+" at "+v.Stage.String())
}

// clean makes text fit for a column and a line.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	const most = 1000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// riverError is an attempt's error as River lists it.
func riverError(attempt int, text string, at time.Time) string {
	return marshal(rivertype.AttemptError{At: at.UTC(), Attempt: max(attempt, 1), Error: text})
}
