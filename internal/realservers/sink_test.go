//go:build linux

package realservers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

// A sinkTest is one behaviour of smtp-sink and what must come of it.
type sinkTest struct {
	options  string
	state    smtpretry.State
	attempts int
	stage    smtpretry.Stage // of the verdict; unless accepted
	code     int
	sunk     int // how many messages it has seen up to the final dot
	timeout  time.Duration
	least    time.Duration // how long it takes
}

var sinkTests = []sinkTest{
	{options: "", state: accepted, attempts: 1, sunk: 1},

	// Hangs up without a word: tried again, but for the final dot.
	{options: "-q CONNECT", state: deferred, attempts: 2, stage: smtpretry.StageGreeting},
	{options: "-q EHLO", state: deferred, attempts: 2, stage: smtpretry.StageHello},
	{options: "-q HELO", state: accepted, attempts: 1, sunk: 1}, // never said
	{options: "-e -q HELO", state: deferred, attempts: 2, stage: smtpretry.StageHello},
	{options: "-q MAIL", state: deferred, attempts: 2, stage: smtpretry.StageMail},
	{options: "-q RCPT", state: deferred, attempts: 2, stage: smtpretry.StageRcpt},
	{options: "-q DATA", state: deferred, attempts: 2, stage: smtpretry.StageData},
	{options: "-q .", state: inDoubt, attempts: 1, stage: smtpretry.StageDot, sunk: 1},
	{options: "-q QUIT", state: accepted, attempts: 1, sunk: 1},
	{options: "-q RSET -f RCPT", state: rejected, attempts: 1, stage: smtpretry.StageRcpt, code: 500},
	{options: "-q RSET -r RCPT", state: deferred, attempts: 2, stage: smtpretry.StageRcpt, code: 450},

	// Says 421 first: nothing is in doubt.
	{options: "-Q CONNECT", state: deferred, attempts: 2, stage: smtpretry.StageGreeting, code: 421},
	{options: "-Q EHLO", state: deferred, attempts: 2, stage: smtpretry.StageHello, code: 421},
	{options: "-e -Q HELO", state: deferred, attempts: 2, stage: smtpretry.StageHello, code: 421},
	{options: "-Q MAIL", state: deferred, attempts: 2, stage: smtpretry.StageMail, code: 421},
	{options: "-Q RCPT", state: deferred, attempts: 2, stage: smtpretry.StageRcpt, code: 421},
	{options: "-Q DATA", state: deferred, attempts: 2, stage: smtpretry.StageData, code: 421},
	{options: "-Q .", state: deferred, attempts: 2, stage: smtpretry.StageDot, code: 421, sunk: 2},
	{options: "-Q QUIT", state: accepted, attempts: 1, sunk: 1},
	{options: "-Q RSET -f RCPT", state: rejected, attempts: 1, stage: smtpretry.StageRcpt, code: 500},

	// Refuses for now.
	{options: "-r CONNECT", state: deferred, attempts: 2, stage: smtpretry.StageGreeting, code: 450},
	{options: "-r EHLO", state: deferred, attempts: 2, stage: smtpretry.StageHello, code: 450},
	{options: "-r MAIL", state: deferred, attempts: 2, stage: smtpretry.StageMail, code: 450},
	{options: "-r RCPT", state: deferred, attempts: 2, stage: smtpretry.StageRcpt, code: 450},
	{options: "-r DATA", state: deferred, attempts: 2, stage: smtpretry.StageData, code: 450},
	{options: "-r .", state: deferred, attempts: 2, stage: smtpretry.StageDot, code: 450, sunk: 2},
	{options: "-r QUIT", state: accepted, attempts: 1, sunk: 1},
	{options: "-r RSET,RCPT", state: deferred, attempts: 2, stage: smtpretry.StageRcpt, code: 450},

	// Refuses for good.
	{options: "-f EHLO", state: accepted, attempts: 1, sunk: 1}, // HELO is said instead
	{options: "-f EHLO,HELO", state: deferred, attempts: 1, stage: smtpretry.StageHello, code: 500},
	{options: "-f MAIL", state: rejected, attempts: 1, stage: smtpretry.StageMail, code: 500},
	{options: "-f RCPT", state: rejected, attempts: 1, stage: smtpretry.StageRcpt, code: 500},
	{options: "-f DATA", state: rejected, attempts: 1, stage: smtpretry.StageData, code: 500},
	{options: "-f .", state: rejected, attempts: 1, stage: smtpretry.StageDot, code: 500, sunk: 1},
	{options: "-f QUIT", state: accepted, attempts: 1, sunk: 1},

	// Takes its time: within what it is given, and beyond.
	{options: "-W RCPT:1", state: accepted, attempts: 1, sunk: 1, least: time.Second},
	{options: "-W .:1", state: accepted, attempts: 1, sunk: 1, least: time.Second},
	{options: "-W MAIL:3", state: deferred, attempts: 2, stage: smtpretry.StageMail, timeout: 500 * time.Millisecond},
	{options: "-W DATA:3", state: deferred, attempts: 2, stage: smtpretry.StageData, timeout: 500 * time.Millisecond},
	{options: "-W .:3", state: inDoubt, attempts: 1, stage: smtpretry.StageDot, sunk: 1, timeout: 500 * time.Millisecond},

	// Speaks less, or otherwise.
	{options: "-e", state: accepted, attempts: 1, sunk: 1},
	{options: "-p", state: accepted, attempts: 1, sunk: 1},
	{options: "-a", state: accepted, attempts: 1, sunk: 1},
	{options: "-E", state: accepted, attempts: 1, sunk: 1},
	{options: "-P", state: accepted, attempts: 1, sunk: 1},
	{options: "-8", state: accepted, attempts: 1, sunk: 1},
}

// TestSink: each way in which smtp-sink can misbehave.
func TestSink(t *testing.T) {
	t.Parallel()
	var sinks []realservers.Sink
	for _, test := range sinkTests {
		sinks = append(sinks, realservers.Sink{Name: test.name(), Options: strings.Fields(test.options)})
	}
	s := own(t, func() (*realservers.Server, error) { return realservers.StartSinks(sinks) })
	t.Run("each", func(t *testing.T) { // ends before the servers do
		for _, test := range sinkTests {
			t.Run(test.name(), func(t *testing.T) {
				t.Parallel()
				test.run(t, s)
			})
		}
	})
}

func (test *sinkTest) name() string {
	return "sink" + strings.NewReplacer(" ", "_", ".", "dot", ",", "+").Replace(test.options)
}

func (test *sinkTest) run(t *testing.T, s *realservers.Server) {
	c := client(t, s.Addr(test.name()), func(cfg *smtpretry.Config) {
		cfg.Policy.MaxAttempts = 2
		cfg.Policy.Backoff = smtpretry.Backoff{Initial: 50 * time.Millisecond, Max: 50 * time.Millisecond}
	})
	if test.timeout > 0 {
		c.CommandTimeout, c.SubmissionTimeout = test.timeout, test.timeout
	}
	start := time.Now()
	res, err := c.Send(t.Context(), note("a@example.test"))
	took := time.Since(start)
	wantStates(t, res, test.state)
	switch test.state {
	case accepted:
		wantError(t, err)
	case deferred:
		if test.attempts == 1 {
			wantError(t, err, smtpretry.ErrRefused)
		} else {
			wantError(t, err, smtpretry.ErrExhausted)
		}
	case rejected:
		wantError(t, err, smtpretry.ErrRejected)
	case inDoubt:
		wantError(t, err, smtpretry.ErrInDoubt)
	}
	if v := res.Recipients[0].Verdict; test.state != accepted && (v.Stage != test.stage || v.Code != test.code) {
		t.Errorf("the verdict is %v, want %d at %v", v, test.code, test.stage)
	}
	charged := 0 // RSET that is refused, or answered by hanging up, costs nothing
	for _, a := range res.Attempts {
		if a.Charged {
			charged++
		}
	}
	if charged != test.attempts {
		t.Errorf("%d attempts charged, want %d: %+v", charged, test.attempts, res.Attempts)
	}
	if took < test.least {
		t.Errorf("took %v, want at least %v", took, test.least)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	var sunk []string
	// It takes away what it had begun once it has seen the connection end.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if sunk, err = s.Sunk(test.name()); err != nil {
			t.Fatal(err)
		}
		if len(sunk) == test.sunk || time.Now().After(end) {
			break
		}
	}
	if len(sunk) != test.sunk {
		t.Errorf("it has seen %d messages, want %d", len(sunk), test.sunk)
	}
	for _, m := range sunk {
		if !strings.Contains(m, "<a@example.test>") || !strings.HasSuffix(strings.TrimRight(m, "\n"), "Hello there.") {
			t.Errorf("it has seen %q", m)
		}
	}
}
