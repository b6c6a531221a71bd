package smtpretry_test

import (
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestLMTP: after the dot each recipient has a reply of its own.
func TestLMTP(t *testing.T) {
	const a, b, c = "a@example.net", "b@example.net", "c@example.net"
	all := []string{a, b, c}
	tests := []struct {
		name   string
		script testserver.Script
		states []smtpretry.State
		holds  []string
		errs   []error
	}{
		{"all good", nil, []smtpretry.State{accepted, accepted, accepted}, all, nil},
		{"one refused", testserver.Script{testserver.On(testserver.Dot, testserver.Reply("552 5.2.2 Mailbox full")).To(b)},
			[]smtpretry.State{accepted, rejected, accepted}, []string{a, c}, []error{smtpretry.ErrRejected, smtpretry.ErrPartial}},
		{"one put off", testserver.Script{testserver.On(testserver.Dot, testserver.Reply("450 4.2.0 Busy")).To(b)},
			[]smtpretry.State{accepted, accepted, accepted}, all, nil},
		{"one refused at RCPT, one put off", testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To(a),
			testserver.On(testserver.Dot, testserver.Reply("450 4.2.0 Busy")).To(c)},
			[]smtpretry.State{rejected, accepted, accepted}, []string{b, c}, []error{smtpretry.ErrRejected, smtpretry.ErrPartial}},
		{"another 2yz", testserver.Script{testserver.On(testserver.Dot, testserver.Reply("251 2.1.5 Forwarded")).To(b)},
			[]smtpretry.State{accepted, accepted, accepted}, all, nil},
		{"3yz", testserver.Script{testserver.On(testserver.Dot, testserver.Reply("354 hm")).To(b)},
			[]smtpretry.State{accepted, inDoubt, accepted}, []string{a, c}, []error{smtpretry.ErrInDoubt, smtpretry.ErrPartial}},
		{"lost between the replies", testserver.Script{testserver.On(testserver.Dot, testserver.Close().Keep()).To(b)},
			[]smtpretry.State{accepted, inDoubt, inDoubt}, all, []error{smtpretry.ErrInDoubt, smtpretry.ErrPartial}},
		{"lost before the replies", testserver.Script{testserver.On(testserver.Dot, testserver.Reset()).To(a)},
			[]smtpretry.State{inDoubt, inDoubt, inDoubt}, []string{b, c}, []error{smtpretry.ErrInDoubt}},
		{"refused, then lost", testserver.Script{
			testserver.On(testserver.Dot, testserver.Reply("552 5.2.2 Mailbox full")).To(a),
			testserver.On(testserver.Dot, testserver.Close()).To(b)},
			[]smtpretry.State{rejected, inDoubt, inDoubt}, []string{c}, []error{smtpretry.ErrRejected, smtpretry.ErrInDoubt}},
		{"421 to the last", testserver.Script{testserver.On(testserver.Dot, testserver.Reply("421 4.3.2 Bye").ThenClose()).To(c)},
			[]smtpretry.State{accepted, accepted, accepted}, all, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, testserver.Config{LMTP: true, Script: test.script}, func(t *testing.T, srv *testserver.Server) {
				cl := client(t, srv, func(cfg *smtpretry.Config) { cfg.Dialer.LMTP = true })
				res, err := cl.Send(t.Context(), note(all...))
				wantStates(t, res, test.states...)
				holds(t, srv, text, test.holds...)
				if (err != nil) != (test.errs != nil) {
					t.Fatalf("error %v", err)
				}
				if err != nil {
					wantOneReason(t, err, test.errs...)
				}
			})
		})
	}
}

// TestLMTPManyRecipients: all replies together may be long.
func TestLMTPManyRecipients(t *testing.T) {
	bubble(t, testserver.Config{LMTP: true, Bodies: testserver.KeepSize}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Dialer.LMTP = true })
		start := time.Now()
		m := note(addresses(3000)...)
		m.Body = body("MAIL is the first word here.\r\n") // and not taken for the command
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		took(t, start, 0, 0)
		if st := srv.Stats(); st.Accepted != 1 || st.Delivered != 3000 {
			t.Errorf("%d recipients in %d messages, want 3000 in 1", st.Delivered, st.Accepted)
		}
	})
}
