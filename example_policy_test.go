package smtpretry_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// At most four attempts within a minute.
func ExamplePolicy() {
	dialer, stop := exampleServer(putOff(100))
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Policy: smtpretry.Policy{
			MaxAttempts: 4,
			MaxElapsed:  time.Minute,
			Backoff:     smtpretry.Backoff{Initial: time.Millisecond, Multiplier: 1.5},
		},
	})
	if err != nil {
		panic(err)
	}
	defer client.Quit()

	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println(errors.Is(err, smtpretry.ErrExhausted))
	fmt.Println(err)
	// Output:
	// true
	// smtpretry: mail.example.org: attempts exhausted (1 deferred): 450 4.2.1 Mailbox temporarily unavailable [temporary bad-recipient at rcpt, about the recipient]
}

// The waits of the default policy, each of which is spread by ±50 %.
func ExampleBackoff_Delay() {
	var b smtpretry.Backoff
	for n := 1; n <= 8; n++ {
		fmt.Println(n, b.Delay(n))
	}
	// Output:
	// 1 5s
	// 2 10s
	// 3 20s
	// 4 40s
	// 5 1m20s
	// 6 2m40s
	// 7 5m0s
	// 8 5m0s
}

// For a call that somebody waits for: it ends within 30 seconds.
func ExampleInteractivePolicy() {
	p := smtpretry.InteractivePolicy()
	p.MaxElapsed = 10 * time.Second // less patience still
	fmt.Println(p.MaxElapsed, p.Backoff.Delay(1), p.Backoff.Delay(2), p.Backoff.Delay(3))
	// Output: 10s 1s 2s 4s
}

// For a queue, which has days.
func ExampleQueuePolicy() {
	p := smtpretry.QueuePolicy()
	fmt.Println(p.MaxElapsed, p.Backoff.Delay(1), p.Backoff.Delay(9))
	// Output: 120h0m0s 40m0s 4h0m0s
}

// When a message is tried again that is greylisted for ten minutes each time.
func ExamplePolicy_Tries() {
	v := smtpretry.Classify(&smtp.SMTPError{Code: 450, Message: "Greylisted, try again in 10 minutes"}, smtpretry.StageRcpt)
	for at := range (smtpretry.Policy{MaxElapsed: time.Hour}).Tries(v) {
		fmt.Print(at, " ")
	}
	// Output: 0s 10m0s 20m0s 30m0s 40m0s 50m0s 1h0m0s
}
