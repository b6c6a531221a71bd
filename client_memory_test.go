//go:build !race

package smtpretry_test

import (
	"fmt"
	"testing"

	"github.com/smtpretry/smtpretry"
)

// TestMemoryOfSend counts the allocations of a message that is taken at once,
// over a kept connection; two of them are the body's.
func TestMemoryOfSend(t *testing.T) {
	for rcpts, most := range map[int]float64{1: 8, 10: 16, 100: 16} {
		c := parrotClient(t, "250-PIPELINING\r\n")
		m := &smtpretry.Message{From: "me@example.org", Body: body(text)}
		for i := range rcpts {
			m.To = append(m.To, fmt.Sprintf("recipient-%d@example.net", i))
		}
		n := testing.AllocsPerRun(1000, func() {
			if _, err := c.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		})
		if n > most {
			t.Errorf("%d recipients: %v allocations, want at most %v", rcpts, n, most)
		}
	}
}
