//go:build linux

package realservers_test

import (
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

// TestSize: a message that is too large is refused for good at each place
// where it can be noticed, and nothing of it is delivered.
func TestSize(t *testing.T) {
	t.Parallel()
	big := text + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000)
	for _, test := range []struct {
		listener string
		server   func(*testing.T) *realservers.Server
		at       smtpretry.Stage // where it looks at SIZE
		code     int             // what it says to it
		dot      int             // what it says after the dot
	}{
		{"postfix", postfix, smtpretry.StageMail, 552, 552},
		{"exim", exim, smtpretry.StageMail, 552, 552},
		{"opensmtpd", openSMTPD, smtpretry.StageDot, 554, 554}, // it offers SIZE, and does not look at it
	} {
		t.Run(test.listener, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			c := client(t, s.Addr(test.listener), nil)
			for _, way := range []struct {
				name   string
				change func(*smtpretry.Message)
				stage  smtpretry.Stage
				code   int
			}{
				{"known here", func(m *smtpretry.Message) { m.Size = int64(len(big)) }, smtpretry.StageMail, 0},
				{"announced", func(m *smtpretry.Message) { m.MailOptions = &smtp.MailOptions{Size: int64(len(big))} }, test.at, test.code},
				{"unknown", func(*smtpretry.Message) {}, smtpretry.StageDot, test.dot},
			} {
				t.Run(way.name, func(t *testing.T) {
					m := note("big@example.test")
					m.Body = body(big)
					way.change(m)
					res := send(t, c, m, smtpretry.ErrRejected)
					wantStates(t, res, rejected)
					v := res.Recipients[0].Verdict
					if v.Cause != smtpretry.CauseSize || v.Stage != way.stage || v.Code != way.code || len(res.Attempts) != 1 {
						t.Errorf("the verdict is %v after %d attempts; want size, %d at %v, 1 attempt", v, len(res.Attempts), way.code, way.stage)
					}
				})
			}
			// The connection is still good.
			to := test.listener + "-after-size@example.test"
			res := send(t, c, note(to))
			if !res.Attempts[0].Reused {
				t.Error("the connection was not kept")
			}
			tookOnce(t, s, took(test.listener), []string{to})
			if logged(s, took(test.listener))["big@example.test"] > 0 {
				t.Error("the message was taken")
			}
		})
	}
}
