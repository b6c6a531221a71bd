package show_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/examples/internal/show"
)

func TestTrace(t *testing.T) {
	var out bytes.Buffer
	trace := show.Trace(&out)
	now := time.Now()

	refused := errors.New("connection refused")
	noReply := smtpretry.Classify(refused, smtpretry.StageDial)
	trace.Attempted(smtpretry.Attempt{
		Host: "mx.example", End: now, Next: now.Add(90 * time.Second), Err: refused, Verdict: noReply,
		Recipients: []smtpretry.Recipient{{Address: "a@example.net", Verdict: noReply}, {Address: "b@example.net", Verdict: noReply}},
	})
	unknown := smtpretry.Classify(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "User unknown"}, smtpretry.StageRcpt)
	trace.Attempted(smtpretry.Attempt{
		Host: "mx.example", End: now, Stage: smtpretry.StageDot, Queued: "2.0.0 Ok",
		Recipients: []smtpretry.Recipient{
			{Address: "a@example.net", State: smtpretry.Accepted},
			{Address: "b@example.net", State: smtpretry.Rejected, Verdict: unknown},
			{Address: "c@example.net", State: smtpretry.Accepted},
		},
	})
	lost := smtpretry.Verdict{Class: smtpretry.Temporary, Stage: smtpretry.StageDot, InDoubt: true}
	trace.Attempted(smtpretry.Attempt{
		Host: "mx.example", End: now, Err: errors.New("EOF"), Verdict: lost,
		Recipients: []smtpretry.Recipient{{Address: "a@example.net", State: smtpretry.InDoubt, Verdict: lost}},
	})
	trace.Waiting(smtpretry.Wait{Host: "mx.example", For: "retry", Until: now.Add(time.Hour)})
	trace.Waiting(smtpretry.Wait{Host: "mx.example", For: "rate", Until: now.Add(time.Hour)})
	trace.Waiting(smtpretry.Wait{Host: "mx.example", For: "connections"})

	exampletest.Lines(t, out.String(),
		`^ +time +host +stage +verdict +next try +reply$`,
		`mx\.example +dial +unknown unknown \(message\) +in 90\.00s +connection refused$`,
		`mx\.example +dot +accepted +a@example\.net, c@example\.net: 2\.0\.0 Ok$`,
		`mx\.example +rcpt +permanent bad-recipient \(recipient\) +none +b@example\.net: 550 5\.1\.1 User unknown$`,
		`mx\.example +dot +in doubt +none +EOF$`,
		`mx\.example +waits: rate +in 3\d{3}\.\d\ds`,
		`mx\.example +waits: connections *$`,
	)
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 7 {
		t.Errorf("%d lines, want the heading and 6; nothing for a wait that an attempt has told of:\n%s", n, &out)
	}
}

func TestTimeline(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1e9, 0).Add(time.Duration(s) * time.Second) }
	busy := smtpretry.Classify(&smtp.SMTPError{Code: 421, Message: "Service busy"}, smtpretry.StageGreeting)
	var out bytes.Buffer
	show.Timeline(&out, &smtpretry.Result{
		Recipients: []smtpretry.Recipient{{Address: "a@example.net", State: smtpretry.Accepted}},
		Attempts: []smtpretry.Attempt{
			{Start: at(0), End: at(0), Verdict: busy, Err: errors.New("421")},
			{Start: at(36), End: at(36), Verdict: busy, Err: errors.New("421")},
			{Start: at(48), End: at(48)},
		},
	})
	const want = `
Timeline: 1 accepted after 3 attempts in 48.00s
   0.00s  |✗···································             |  421 temporary at greeting: overload
  36.00s  |                                    ✗··········· |  421 temporary at greeting: overload
  48.00s  |                                                ✓|  accepted
`
	if out.String() != want {
		t.Errorf("drawn\n%s\nwant\n%s", &out, want)
	}
	out.Reset()
	if show.Timeline(&out, &smtpretry.Result{}); out.Len() > 0 {
		t.Errorf("a message without attempts has the timeline %q", &out)
	}
}
