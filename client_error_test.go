package smtpretry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// reasons are what a SendError answers errors.Is for.
var reasons = []error{smtpretry.ErrRejected, smtpretry.ErrRefused, smtpretry.ErrExhausted, smtpretry.ErrInDoubt,
	smtpretry.ErrPartial, smtpretry.ErrNotReplayable, smtpretry.ErrNoReconnect, smtpretry.ErrClosed,
	context.Canceled, context.DeadlineExceeded}

// wantOneReason checks that err answers for the given reasons and for no other.
func wantOneReason(t *testing.T, err error, want ...error) {
	t.Helper()
	wanted := map[error]bool{}
	for _, r := range want {
		wanted[r] = true
	}
	for _, r := range reasons {
		if errors.Is(err, r) != wanted[r] {
			t.Errorf("errors.Is(%v, %v) is %v", err, r, !wanted[r])
		}
	}
}

// replyIn returns the reply that errors.As finds, nil if there is none.
func replyIn(err error) *smtp.SMTPError {
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		return reply
	}
	return nil
}
