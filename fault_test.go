package smtpretry_test

import (
	"fmt"
	"time"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A fault is what a server does once, in place of what it should do.
type fault struct {
	name  string
	about string
	kind  faultKind
	do    *testserver.Action
}

type faultKind int

const (
	puts421   faultKind = iota // 421: go away
	putsOff                    // 4yz
	tooMany                    // 452 for too many recipients
	refuses                    // 5yz
	hangsUp                    // the link breaks
	stalls                     // no reply
	confuses                   // none that can be understood
	succeeds2                  // 2yz, another one than is due
	succeeds3                  // 3yz where it is not due
)

var faults = []fault{
	{"421-close", "`421 4.3.2 Service shutting down`, then the connection is closed", puts421,
		testserver.Reply("421 4.3.2 Service shutting down").ThenClose()},
	{"421-open", "the same, and the connection is left open", puts421, testserver.Reply("421 4.3.2 Service shutting down")},
	{"450", "`450 4.3.0 Try again`", putsOff, testserver.Reply("450 4.3.0 Try again")},
	{"451-lines", "a 451 of two lines", putsOff, testserver.Reply("451-4.3.0 Try\n451 4.3.0 again")},
	{"452", "`452 4.3.1 Insufficient system storage`", putsOff, testserver.Reply("452 4.3.1 Insufficient system storage")},
	{"452-rcpts", "`452 4.5.3 Too many recipients`", tooMany, testserver.Reply("452 4.5.3 Too many recipients")},
	{"554", "`554 5.0.0 No`", refuses, testserver.Reply("554 5.0.0 No")},
	{"close", "the connection is closed without a word", hangsUp, testserver.Close()},
	{"reset", "the connection is reset (TCP RST)", hangsUp, testserver.Reset()},
	{"stall", "no answer, nothing is read any more", stalls, testserver.Stall()},
	{"garbage", "a line that is no reply", confuses, testserver.Raw("xyz hello\r\n")},
	{"mixed", "a reply whose lines have two codes, `250-` and `550`", confuses, testserver.Reply("250-ok\n550 no")},
	{"endless", "a reply that goes on with another line for ever", confuses, testserver.Endless("250-and another line of it")},
	{"2yz", "a 2yz other than the one that is due", succeeds2, testserver.Reply("221 hm")},
	{"3yz", "a 3yz where none is due", succeeds3, testserver.Reply("320 hm")},
}

// A place is where a message meets a fault.
type place struct {
	name  string
	about string
	stage testserver.Stage
	rcpts int // of the message
	nth   int // the recipient whose RCPT it is, from 1; 0: another command
	big   bool
}

var places = []place{
	{name: "greeting", about: "in place of the greeting", stage: testserver.Greeting, rcpts: 3},
	{name: "EHLO", about: "in reply to EHLO", stage: testserver.Hello, rcpts: 3},
	{name: "STARTTLS", about: "in reply to STARTTLS", stage: testserver.TLS, rcpts: 3},
	{name: "AUTH", about: "in reply to AUTH", stage: testserver.Auth, rcpts: 3},
	{name: "MAIL", about: "in reply to MAIL", stage: testserver.Mail, rcpts: 3},
	{name: "RCPT, the only", about: "in reply to the RCPT of a message for one", stage: testserver.Rcpt, rcpts: 1, nth: 1},
	{name: "RCPT, first of 3", about: "in reply to the first of three RCPTs", stage: testserver.Rcpt, rcpts: 3, nth: 1},
	{name: "RCPT, second of 3", about: "in reply to the second", stage: testserver.Rcpt, rcpts: 3, nth: 2},
	{name: "RCPT, last of 3", about: "in reply to the last", stage: testserver.Rcpt, rcpts: 3, nth: 3},
	{name: "DATA", about: "in place of the 354", stage: testserver.Data, rcpts: 3},
	{name: "body", about: "after 100,000 octets of a body that fits into no buffer", stage: testserver.Body, rcpts: 3, big: true},
	{name: "small body", about: "in the middle of a body that leaves in one write with its dot", stage: testserver.Body, rcpts: 3},
	{name: "dot", about: "in reply to the final dot", stage: testserver.Dot, rcpts: 3},
	{name: "idle", about: "unasked, between two messages; a stall is no answer to the next command", stage: testserver.Idle, rcpts: 3},
	{name: "QUIT", about: "in reply to QUIT", stage: testserver.Quit, rcpts: 3},
}

// The ways to come by the connection on which the fault is met.
const (
	fresh       = "dialled"               // for the message, with STARTTLS and AUTH
	reused      = "kept"                  // by the Dialer, after another message
	freshSteps  = "dialled, step by step" // without PIPELINING
	reusedSteps = "kept, step by step"
	withoutDial = "wrapped"                // and there is never another
	redialled   = "wrapped, with a Dialer" // for further ones
	ownDial     = "Config.Dial"            // the program connects, the socket cannot be seen
)

var ways = []string{fresh, freshSteps, reused, reusedSteps, withoutDial, redialled, ownDial}

// A faultCell is a fault, where it is met, and on which connection.
type faultCell struct {
	way   string
	place place
	fault fault
}

func (c faultCell) String() string { return c.place.name + "/" + c.fault.name }

// seen says whether the Dialer made the connection.
func (c faultCell) seen() bool { return c.dialled() || c.kept() }

func (c faultCell) dialled() bool { return c.way == fresh || c.way == freshSteps }
func (c faultCell) kept() bool    { return c.way == reused || c.way == reusedSteps }

// grouped says whether MAIL, RCPTs and DATA go out at once.
func (c faultCell) grouped() bool { return c.way == fresh || c.way == reused }

// secure says whether there are STARTTLS and AUTH before it.
func (c faultCell) secure() bool {
	return c.dialled() || c.kept() && c.place.stage == testserver.Idle
}

// second says whether a message has gone over the connection before.
func (c faultCell) second() bool { return c.kept() || c.place.stage == testserver.Idle }

// rule is what the server's script says of the cell, from when on armed is
// true.
func (c faultCell) rule(keep bool, armed func() bool) testserver.Rule {
	do, stage := c.fault.do, c.place.stage
	switch {
	case c.fault.kind == succeeds2 && (stage == testserver.Idle || stage == testserver.Quit):
		do = testserver.Reply("250 2.0.0 Ok") // which could be the one that is due
	case c.fault.name == "endless" && !c.seen():
		do = do.Drip(time.Second) // only time bounds it there
	}
	switch {
	case stage == testserver.Idle:
		do = do.After(idleBefore)
	case c.place.big:
		do = do.AtByte(100_000)
	case stage == testserver.Body:
		do = do.AtByte(1)
	}
	if keep {
		do = do.Keep()
	}
	r := testserver.On(stage, do).When(func(testserver.At) bool { return armed() })
	if c.place.nth > 0 {
		r = r.When(func(at testserver.At) bool { return at.Rcpt == addressOf("this", c.place.nth) })
	}
	return r
}

// A server says what it has to say idleBefore after the last message, and the
// next one comes at idleAfter.
const (
	idleBefore = 5 * time.Second
	idleAfter  = 10 * time.Second
)

func addressOf(message string, n int) string { return fmt.Sprintf("%s-%d@example.net", message, n) }
