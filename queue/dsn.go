package queue

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// A DSN sends delivery status notifications (RFC 3464) to the sender of a message
// when recipients of it have failed, and when it is late if there is a
// Config.DelayAfter. They are queued in the transaction that records what they
// tell of, so there is one of each. A message from the null sender gets none, nor
// does a recipient whose NOTIFY option (RFC 3461) says so.
//
// Of the message they return its header; its body only on a failure, when it was
// asked for with RET=FULL and has at most 64 KiB.
type DSN struct {
	// ReportingMTA is this machine's name; default: the host's.
	ReportingMTA string

	// From is the From field of the notifications; default:
	// "Mail Delivery System <mailer-daemon@ReportingMTA>". The envelope sender
	// is always the null one.
	From string
}

// mostReturned is how many octets of a message are returned.
const mostReturned = 64 << 10

// notification makes the notification about recipients; nil: none.
func (q *Queue) notification(m *mail, body []byte, at []int, kind noticeKind) *parcel {
	if q.cfg.DSN == nil || m.sender == "" {
		return nil
	}
	var wanted []*recipient
	for _, i := range at {
		if r := &m.rcpts[i]; wants(r.Options, kind) {
			wanted = append(wanted, r)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	host := q.cfg.Route("", m.sender)
	if host == "" {
		q.log.Error("there is no destination for a delivery status notification", "id", m.id, "to", m.sender)
		return nil
	}
	now := time.Now()
	content := q.cfg.DSN.compose(m, body, wanted, kind, now)
	until := now.Add(cmp.Or(q.cfg.maxElapsed(), 5*24*time.Hour))
	return &parcel{body: content, mails: []mail{{
		state: Waiting, priority: m.priority, size: int64(len(content)), due: stamp(now), until: stamp(until), alarm: stamp(until),
		created: stamp(now), host: host, rcpts: []recipient{{Addr: m.sender, Options: never3461}},
	}}}
}

// never3461: nobody is told of the fate of a notification.
var never3461 = &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}}

// wants says whether the sender wants to be told. Without a NOTIFY option that is
// so (RFC 3461 section 4.1).
func wants(o *smtp.RcptOptions, kind noticeKind) bool {
	if o == nil || len(o.Notify) == 0 {
		return true
	}
	if kind == noticeDelayed {
		return slices.Contains(o.Notify, smtp.DSNNotifyDelayed)
	}
	return slices.Contains(o.Notify, smtp.DSNNotifyFailure)
}

// compose writes the notification.
func (d *DSN) compose(m *mail, body []byte, rcpts []*recipient, kind noticeKind, now time.Time) []byte {
	mta := d.ReportingMTA
	if mta == "" {
		mta, _ = os.Hostname()
		mta = cmp.Or(mta, "localhost")
	}
	mta = header(mta)
	from := header(cmp.Or(d.From, "Mail Delivery System <mailer-daemon@"+mta+">"))
	utf8 := !isASCII(m.sender)
	for _, r := range rcpts {
		utf8 = utf8 || !isASCII(r.Addr)
	}
	subject, action := "Undelivered mail returned to sender", "failed"
	if kind == noticeDelayed {
		subject, action = "Delayed mail: it is still being tried", "delayed"
	}
	boundary := fmt.Sprintf("=_%s%s", random(), random())
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }

	line("From: %s", from)
	line("To: <%s>", m.sender)
	line("Subject: %s", subject)
	line("Date: %s", now.Format(time.RFC1123Z))
	line("Message-ID: <%d.%s%s@%s>", m.id, random(), random(), mta)
	line("Auto-Submitted: auto-replied")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=delivery-status; boundary=\"%s\"", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	if kind == noticeDelayed {
		line("Your message of %s could not be delivered yet.", unstamp(m.created).Format(time.RFC1123Z))
		line("It is tried again until %s; you need not send it again.", unstamp(m.until).Format(time.RFC1123Z))
	} else {
		line("Your message of %s could not be delivered to:", unstamp(m.created).Format(time.RFC1123Z))
	}
	line("")
	for _, r := range rcpts {
		line("<%s>", r.Addr)
		for part := range strings.SplitSeq(fold(r.reply(m), 70), "\n") {
			line("    %s", part)
		}
	}
	line("")

	line("--%s", boundary)
	if utf8 { // RFC 6533
		line("Content-Type: message/global-delivery-status")
		line("Content-Transfer-Encoding: 8bit")
	} else {
		line("Content-Type: message/delivery-status")
	}
	line("")
	line("Reporting-MTA: dns; %s", mta)
	if o := m.options.Mail; o != nil && o.EnvelopeID != "" {
		line("Original-Envelope-Id: %s", header(o.EnvelopeID))
	}
	line("Arrival-Date: %s", unstamp(m.created).Format(time.RFC1123Z))
	for _, r := range rcpts {
		line("")
		if o := r.Options; o != nil && o.OriginalRecipient != "" {
			line("Original-Recipient: %s; %s", cmp.Or(strings.ToLower(string(o.OriginalRecipientType)), "rfc822"), header(o.OriginalRecipient))
		}
		if isASCII(r.Addr) {
			line("Final-Recipient: rfc822; %s", r.Addr)
		} else {
			line("Final-Recipient: utf-8; %s", r.Addr)
		}
		line("Action: %s", action)
		line("Status: %s", r.status(kind))
		if v := r.Verdict; v != nil && v.Code != 0 {
			line("Diagnostic-Code: smtp; %s", header(said(*v)))
		}
		if kind == noticeDelayed {
			line("Will-Retry-Until: %s", unstamp(m.until).Format(time.RFC1123Z))
		}
	}
	line("")

	line("--%s", boundary)
	head, full := body, body
	if i := bytes.Index(body, []byte("\r\n\r\n")); i >= 0 {
		head = body[:i+2]
	} else if i := bytes.Index(body, []byte("\n\n")); i >= 0 {
		head = body[:i+1]
	}
	returned, kindOf := head, "text/rfc822-headers"
	if o := m.options.Mail; o != nil && o.Return == smtp.DSNReturnFull && kind == noticeFailed && len(full) <= mostReturned {
		returned, kindOf = full, "message/rfc822"
	}
	if len(returned) > mostReturned {
		returned = returned[:mostReturned]
	}
	line("Content-Type: %s", kindOf)
	if !isASCII(string(returned)) {
		line("Content-Transfer-Encoding: 8bit")
	}
	line("")
	b.Write(returned)
	line("")
	line("--%s--", boundary)
	return b.Bytes()
}

// reply is what is to be said of a recipient.
func (r *recipient) reply(m *mail) string {
	if r.Verdict == nil {
		return cmp.Or(m.reply, "it was not tried")
	}
	return said(*r.Verdict)
}

// status is the recipient's status code (RFC 3463).
func (r *recipient) status(kind noticeKind) string {
	v := r.Verdict
	switch {
	case v != nil && v.Enhanced[0] != 0 && (kind == noticeDelayed || v.Enhanced[0] == 5):
		return fmt.Sprintf("%d.%d.%d", v.Enhanced[0], v.Enhanced[1], v.Enhanced[2])
	case kind == noticeDelayed:
		return "4.0.0"
	case v != nil && v.Code >= 500:
		return "5.0.0"
	}
	return "5.4.7" // delivery time expired
}

// header makes s fit for a header field.
func header(s string) string {
	s = textproto.TrimString(clean(s))
	if isASCII(s) {
		return s
	}
	return mime.QEncoding.Encode("utf-8", s)
}

// fold breaks s into lines of about n octets, at spaces.
func fold(s string, n int) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(s) {
		switch {
		case i == 0:
		case width+1+len(word) > n:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 0x7f {
			return false
		}
	}
	return true
}
