package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestPartial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := testserver.Start(t, mixed())
		var out bytes.Buffer
		start := time.Now()
		if err := run(t.Context(), &out, &smtpretry.Dialer{Addr: srv.Addr(), NetDial: srv.Dial}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("took %v, want the 10 s that the server asked for and at most a tenth more", took)
		}
		exampletest.Lines(t, out.String(),
			`dot +accepted +ann@example\.net, bob@example\.net: 2\.0\.0 Ok`,
			`rcpt +permanent bad-recipient \(recipient\) +none +nobody@example\.net: 550 5\.1\.1 `,
			`rcpt +temporary greylist \(recipient\) +in 10\.\d\ds +new@example\.net: 450 4\.2\.0 `,
			`^ +10\.\d\ds .* dot +accepted +2\.0\.0 Ok`,
			`^recipient +outcome +what to do`,
			`^ann@example\.net +accepted`,
			`^nobody@example\.net +rejected +.*does not exist`,
			`^new@example\.net +accepted`,
			`^bob@example\.net +accepted`,
			`^ErrPartial:`,
			`^ErrRejected:`,
			`^last refusal: 550 .*User unknown`,
		)
		if bytes.Contains(out.Bytes(), []byte("ErrExhausted")) {
			t.Error("ErrExhausted is true of an error although nobody is left deferred")
		}

		// Everybody got it once, whatever the number of attempts.
		got := map[string]int{}
		for _, m := range srv.Messages() {
			for _, to := range m.Addrs() {
				got[to]++
			}
		}
		for _, to := range []string{"ann@example.net", "bob@example.net", "new@example.net"} {
			if got[to] != 1 {
				t.Errorf("%s got the message %d times, want once", to, got[to])
			}
		}
		if len(got) != 3 {
			t.Errorf("delivered to %v, want three recipients", got)
		}
	})
}
