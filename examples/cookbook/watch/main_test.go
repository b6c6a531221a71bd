package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stand.In(t, server, testserver.Config{
			Name: "smtp.example.com", TLS: testserver.StartTLS, RequireTLS: true,
			Script: testserver.Script{
				testserver.On(testserver.Greeting, testserver.Reply("421 4.7.0 Too many connections from your IP").ThenClose()),
				testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")).To("nobody@"),
			},
		})
		var out bytes.Buffer
		if err := run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, want := range []string{
			`"cause":"connection-limit"`, "smtp.example.com: a message has to wait",
			"you@example.net: accepted", "nobody@example.net: rejected: 550 5.1.1 No such user",
			"came to greeting: ", "the server said: 550 [5 1 1] No such user",
		} {
			i := strings.Index(out.String()[at:], want)
			if i < 0 {
				t.Fatalf("no %q, or not in this order, in\n%s", want, out.String())
			}
			at += i
		}
	})
}
