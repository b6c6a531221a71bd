package smtpretry_test

import (
	"errors"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestMixedReply: a reply with two codes is given up at once, however it is
// cut into pieces, and what was said before it counts.
func TestMixedReply(t *testing.T) {
	for _, drip := range []bool{false, true} {
		do := testserver.Reply("250-2.1.5 one\n250-2.1.5 two\n550 5.1.1 no")
		if drip {
			do = do.Drip(1)
		}
		bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Rcpt, do).Skip(1)}}, func(t *testing.T, srv *testserver.Server) {
			res, err := client(t, srv, nil).Send(t.Context(), note("a@example.net", "b@example.net"))
			if err != nil {
				t.Fatal(err)
			}
			if rule := res.Attempts[0].Verdict.Rule; rule != "mixed-reply" || len(res.Attempts) != 2 {
				t.Errorf("rule %s, %d attempts, want mixed-reply and another", rule, len(res.Attempts))
			}
			holds(t, srv, text, "a@example.net", "b@example.net")
		})
	}
	// Lines that agree are one reply, whatever their words.
	bubble(t, testserver.Config{Script: testserver.Script{testserver.On(testserver.Rcpt, testserver.Reply("550-5.1.1 450 is not\n550-\n550 250-the code"))}},
		func(t *testing.T, srv *testserver.Server) {
			_, err := client(t, srv, nil).Send(t.Context(), note("a@example.net"))
			var r *smtp.SMTPError
			if !errors.As(err, &r) || r.Code != 550 {
				t.Errorf("got %v, want the 550", err)
			}
		})
}
