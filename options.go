package smtpretry

import (
	"time"

	"github.com/emersion/go-smtp"
)

// The checks of this file are those that go-smtp makes, or leaves out, when a
// command is about to be written; made beforehand, they cost no transaction
// and name the field.

func checkMailOptions(o *smtp.MailOptions) error {
	if o == nil {
		return nil
	}
	switch o.Return {
	case "", smtp.DSNReturnFull, smtp.DSNReturnHeaders:
	default:
		return &FieldError{Field: "Message.MailOptions.Return", Value: string(o.Return), Reason: "is neither FULL nor HDRS"}
	}
	switch {
	case !isPrintable(o.EnvelopeID):
		return &FieldError{Field: "Message.MailOptions.EnvelopeID", Value: o.EnvelopeID, Reason: "is not printable ASCII (RFC 3461 section 4.4)"}
	case o.Auth != nil && !isPrintable(*o.Auth):
		return &FieldError{Field: "Message.MailOptions.Auth", Value: *o.Auth, Reason: "is not printable ASCII (RFC 4954 section 5)"}
	case o.Size < 0:
		return &FieldError{Field: "Message.MailOptions.Size", Reason: "is negative"}
	case o.Body == smtp.BodyBinaryMIME:
		return &FieldError{Field: "Message.MailOptions.Body", Value: string(o.Body), Reason: "needs BDAT, which is not spoken here (RFC 3030)"}
	}
	return nil
}

func checkRcptOptions(to string, o *smtp.RcptOptions) error {
	if o == nil {
		return nil
	}
	bad := func(option, value, reason string) error {
		return &FieldError{Field: "Message.RcptOptions(" + to + ")." + option, Value: value, Reason: reason}
	}
	seen := map[smtp.DSNNotify]bool{}
	for _, n := range o.Notify {
		switch n {
		case smtp.DSNNotifyNever, smtp.DSNNotifyDelayed, smtp.DSNNotifyFailure, smtp.DSNNotifySuccess:
		default:
			return bad("Notify", string(n), "is no condition of RFC 3461 section 4.1")
		}
		if seen[n] {
			return bad("Notify", string(n), "stands twice")
		}
		seen[n] = true
	}
	switch {
	case seen[smtp.DSNNotifyNever] && len(seen) > 1:
		return bad("Notify", string(smtp.DSNNotifyNever), "stands beside other conditions")
	case o.OriginalRecipient == "":
	case o.OriginalRecipientType == smtp.DSNAddressTypeRFC822 && !isPrintable(o.OriginalRecipient):
		return bad("OriginalRecipient", o.OriginalRecipient, "is not printable ASCII")
	case o.OriginalRecipientType == smtp.DSNAddressTypeUTF8 && oneLine(o.OriginalRecipient) != o.OriginalRecipient:
		return bad("OriginalRecipient", o.OriginalRecipient, "is not printable")
	case o.OriginalRecipientType != smtp.DSNAddressTypeRFC822 && o.OriginalRecipientType != smtp.DSNAddressTypeUTF8:
		return bad("OriginalRecipientType", string(o.OriginalRecipientType), "is neither RFC822 nor UTF-8")
	}
	if p := o.MTPriority; p != nil && (*p < -9 || *p > 9) {
		return bad("MTPriority", "", "is not between -9 and 9 (RFC 6710)")
	}
	if d := o.DeliverBy; d != nil {
		if d.Mode != smtp.DeliverByNotify && d.Mode != smtp.DeliverByReturn {
			return bad("DeliverBy.Mode", string(d.Mode), "is neither N nor R (RFC 2852)")
		}
		if d.Mode == smtp.DeliverByReturn && d.Time < time.Second {
			return bad("DeliverBy.Time", d.Time.String(), "must be at least a second in mode R (RFC 2852)")
		}
	}
	return nil
}

// isPrintable says whether s has only the characters that xtext can carry
// (RFC 3461 section 4).
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
