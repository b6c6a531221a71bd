package smtpretry_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestFaultsLMTP: with LMTP each recipient has its reply after the dot. A
// fault at one of them says nothing about those before it; those after it have
// no reply, unless the conversation goes on.
func TestFaultsLMTP(t *testing.T) {
	for _, f := range faults {
		if f.kind == tooMany {
			// It is said to RCPT only.
			continue
		}
		for nth := 1; nth <= 3; nth++ {
			t.Run(fmt.Sprintf("%s/%d", f.name, nth), func(t *testing.T) { meetFaultLMTP(t, f, nth) })
		}
	}
}

func meetFaultLMTP(t *testing.T, f fault, nth int) {
	rule := testserver.On(testserver.Dot, f.do).To(addressOf("this", nth))
	bubble(t, testserver.Config{LMTP: true, Script: testserver.Script{rule}}, func(t *testing.T, srv *testserver.Server) {
		c := client(t, srv, func(cfg *smtpretry.Config) { cfg.Dialer.LMTP = true })
		to := []string{addressOf("this", 1), addressOf("this", 2), addressOf("this", 3)}
		start := time.Now()
		res, err := c.Send(t.Context(), note(to...))

		want := []smtpretry.State{accepted, accepted, accepted}
		copies := []int{1, 1, 1}
		var reasons []error
		switch f.kind {
		case refuses:
			want[nth-1], copies[nth-1] = rejected, 0
			reasons = []error{smtpretry.ErrRejected, smtpretry.ErrPartial}
		case succeeds3:
			want[nth-1], copies[nth-1] = inDoubt, 0
			reasons = []error{smtpretry.ErrInDoubt, smtpretry.ErrPartial}
		case hangsUp, stalls, confuses, puts421:
			first := nth - 1
			if f.name == "421-close" {
				first++ // that one knows: it is put off
			}
			if f.name == "421-open" {
				first = len(to) // all are answered
			}
			for i := first; i < len(to); i++ {
				want[i] = inDoubt
			}
			if f.kind != puts421 {
				copies[nth-1] = 0 // not kept; those after it are
			}
			if first < len(to) {
				reasons = []error{smtpretry.ErrInDoubt}
				if first > 0 {
					reasons = append(reasons, smtpretry.ErrPartial)
				}
			}
		}
		wantStates(t, res, want...)
		wantOneReason(t, err, reasons...)
		if tries := len(res.Attempts); (f.kind == putsOff || f.kind == puts421) != (tries == 2) || tries > 2 {
			t.Errorf("%d attempts", tries)
		} else if tries == 2 {
			least, most := waitBefore(1)
			took(t, start, least, most)
		}
		var holding []string
		for i, n := range copies {
			holding = append(holding, slices.Repeat(to[i:i+1], n)...)
		}
		holds(t, srv, text, holding...)

		if _, err := c.Send(t.Context(), note("next@example.net")); err != nil {
			t.Errorf("the next message: %v", err)
		}
		holds(t, srv, text, append(holding, "next@example.net")...)
		if t.Failed() {
			t.Logf("%v\n%s", err, srv.Transcript())
		}
	})
}
