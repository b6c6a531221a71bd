package smtpretry_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// Classify tells what an error of go-smtp's client means, without sending
// anything.
func ExampleClassify() {
	err := &smtp.SMTPError{
		Code:         421,
		EnhancedCode: smtp.EnhancedCode{4, 7, 0},
		Message:      "Too many connections, try again in 5 minutes",
	}
	v := smtpretry.Classify(err, smtpretry.StageGreeting)
	fmt.Println("class:", v.Class)
	fmt.Println("cause:", v.Cause)
	fmt.Println("scope:", v.Scope)
	fmt.Println("wait: ", v.RetryAfter)
	// Output:
	// class: temporary
	// cause: connection-limit
	// scope: connection
	// wait:  5m0s
}

func ExampleVerdict_Advice() {
	err := &smtp.SMTPError{
		Code:         450,
		EnhancedCode: smtp.EnhancedCode{4, 2, 0},
		Message:      "Greylisted, please come back later",
	}
	fmt.Println(smtpretry.Classify(err, smtpretry.StageRcpt).Advice())
	// Output: Greylisting: a first contact is put off on purpose. Try again from the same IP address with the same sender and recipient after some minutes; changing any of them starts the wait anew.
}

// The words of the server go to whoever asks its support, the meaning to the log.
func ExampleVerdict_Reply() {
	err := &smtp.SMTPError{
		Code:         550,
		EnhancedCode: smtp.EnhancedCode{5, 7, 26},
		Message:      "This mail is unauthenticated",
	}
	v := smtpretry.Classify(err, smtpretry.StageDot)
	fmt.Println(v.Reply())
	fmt.Println(v)
	// Output:
	// 550 5.7.26 This mail is unauthenticated
	// 550 5.7.26 This mail is unauthenticated [permanent sender-policy at dot, about the sender]
}

// A rule for what one server of one's own means by its words.
func ExampleRule() {
	dialer, stop := exampleServer(
		testserver.On(testserver.Dot, testserver.Reply("554 5.7.1 Order 66 is in effect")),
	)
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{
			MaxAttempts: 1,
			Rules: []smtpretry.Rule{{
				Name:       "order-66",
				Codes:      []int{554},
				Text:       []string{"order 66"},
				Class:      smtpretry.Temporary, // it passes, whatever the code says
				Cause:      smtpretry.CauseOverload,
				RetryAfter: time.Hour,
			}},
		},
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	var failed *smtpretry.SendError
	if errors.As(err, &failed) {
		v := failed.Result.Recipients[0].Verdict
		fmt.Println(v.Rule, v.Class, v.Cause, v.RetryAfter)
	}
	// Output: order-66 temporary overload 1h0m0s
}

// What a verdict is about says what to hold back: this recipient, this message,
// everything from this login, or everything to this host.
func ExampleVerdict() {
	for _, err := range []*smtp.SMTPError{
		{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Temporary System Problem"},
		{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "Mailbox full"},
		{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Message rejected as spam"},
	} {
		v := smtpretry.Classify(err, smtpretry.StageDot)
		all := v.Scope == smtpretry.ScopeHost || v.Scope == smtpretry.ScopeAccount
		fmt.Printf("%d %v: again: %t, about all mail there: %t\n", v.Code, v.Cause, v.Class != smtpretry.Permanent, all)
	}
	// Output:
	// 421 overload: again: true, about all mail there: true
	// 452 mailbox-full: again: true, about all mail there: false
	// 554 content: again: false, about all mail there: false
}

func ExampleVerdict_Source() {
	err := &smtp.SMTPError{
		Code:         450,
		EnhancedCode: smtp.EnhancedCode{4, 2, 0},
		Message:      "Greylisted, please come back later",
	}
	v := smtpretry.Classify(err, smtpretry.StageRcpt)
	fmt.Println(v.Rule, "by", v.Source())
	// Output: greylist by RFC 6647
}
