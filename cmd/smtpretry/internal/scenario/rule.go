package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A rule makes the server do something at a stage.
type rule struct {
	At    testserver.Stage `yaml:"at"`    // stage
	To    string           `yaml:"to"`    // only for this recipient: an address, "local@" or "@domain"
	From  string           `yaml:"from"`  // only from this sender, alike
	Reply string           `yaml:"reply"` // what it says
	Do    string           `yaml:"do"`    // instead of a reply: close, reset, stall or pass
	Then  string           `yaml:"then"`  // after the reply: close, reset or stall
	Keep  bool             `yaml:"keep"`  // at dot: the message is accepted whatever is said

	Wait   time.Duration `yaml:"wait"`    // before the reply
	Drip   time.Duration `yaml:"drip"`    // before each octet of the reply
	AtByte int64         `yaml:"at_byte"` // at body: once so many octets have come

	Times int           `yaml:"times"` // how often; 0: always
	Skip  int           `yaml:"skip"`  // the first so many times not
	For   time.Duration `yaml:"for"`   // from the first time on, this long
}

var ruleStages = []testserver.Stage{testserver.Greeting, testserver.Hello, testserver.TLS, testserver.Auth, testserver.Mail, testserver.Rcpt,
	testserver.Data, testserver.Body, testserver.Dot, testserver.Idle, testserver.Quit, testserver.Other}

func (r *rule) config() (testserver.Rule, error) {
	none := testserver.Rule{}
	if !slices.Contains(ruleStages, r.At) {
		return none, fmt.Errorf("at is %q, want one of %v", r.At, ruleStages)
	}
	if (r.Reply == "") == (r.Do == "") {
		return none, errors.New("want either reply or do")
	}
	var action *testserver.Action
	var err error
	if r.Reply != "" {
		action, err = replyOf(r.Reply)
	} else {
		action, err = oneOf("do", r.Do, map[string]*testserver.Action{"close": testserver.Close(), "reset": testserver.Reset(),
			"stall": testserver.Stall(), "pass": testserver.Pass()})
	}
	if err != nil {
		return none, err
	}
	then, err := oneOf("then", r.Then, map[string]func() *testserver.Action{"close": action.ThenClose, "reset": action.ThenReset, "stall": action.ThenStall})
	if err != nil {
		return none, err
	}
	if then != nil {
		action = then()
	}
	if r.Keep {
		action = action.Keep()
	}
	if r.Wait > 0 {
		action = action.After(r.Wait)
	}
	if r.Drip > 0 {
		action = action.Drip(r.Drip)
	}
	if r.AtByte > 0 {
		action = action.AtByte(r.AtByte)
	}
	made := testserver.On(r.At, action).To(r.To).From(r.From).Skip(r.Skip)
	switch {
	case r.Times > 0 && r.For > 0:
		return none, errors.New("times and for: want one of them")
	case r.Times < 0 || r.Skip < 0:
		return none, errors.New("times and skip cannot be negative")
	case r.Times > 0:
		made = made.Times(r.Times)
	case r.For > 0:
		made = made.For(r.For)
	default:
		made = made.Always()
	}
	return made, nil
}

var replyText = regexp.MustCompile(`^[2-5]\d\d([ -]|$)`)

// replyOf checks a reply's lines.
func replyOf(text string) (*testserver.Action, error) {
	text = strings.TrimRight(text, "\n")
	for line := range strings.SplitSeq(text, "\n") {
		if !replyText.MatchString(line) {
			return nil, fmt.Errorf("the reply's line %q does not begin with a code, as in 450 4.2.0 Try later", line)
		}
	}
	return testserver.Reply(text), nil
}
