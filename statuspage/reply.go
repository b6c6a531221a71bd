package statuspage

import (
	"cmp"
	"fmt"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A reply is what a host said, or the failure to get a reply; several in a row
// that mean the same are one.
type reply struct {
	Outcome  string    `json:"outcome"` // accepted, deferred, rejected or in-doubt
	N        int       `json:"n"`       // how many in a row
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Stage    string    `json:"stage"`
	Code     int       `json:"code,omitempty"`
	Enhanced string    `json:"enhanced,omitempty"`
	Text     string    `json:"text,omitempty"` // of the last of them
	Cause    string    `json:"cause,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	Advice   string    `json:"advice,omitempty"`
	Said     string    `json:"-"` // all of it in one line
	Again    bool      `json:"-"` // the advice stands above already
}

func newReply(m *met) reply {
	v := &m.verdict
	r := reply{N: m.n, First: m.first, Last: m.last, Stage: v.Stage.String(), Text: v.Text}
	if m.accepted() {
		r.Outcome, r.Said = "accepted", cmp.Or(v.Text, "accepted")
		return r
	}
	switch {
	case v.InDoubt:
		r.Outcome = "in-doubt"
	case v.Class == smtpretry.Permanent:
		r.Outcome = "rejected"
	default:
		r.Outcome = "deferred"
	}
	r.Code, r.Said, r.Rule, r.Advice = v.Code, cmp.Or(v.Reply(), "no reply"), v.Rule, v.Advice()
	if e := v.Enhanced; e[0] != 0 {
		r.Enhanced = fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
	}
	r.Cause, r.Scope = v.Cause.String(), v.Scope.String()
	return r
}
