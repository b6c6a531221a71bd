// Package letter makes of what a user hands in a message that may go on the wire,
// as sendmail does for submissions.
package letter

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-message/textproto"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// maxSize is the largest message that is read: more than any known server takes.
const maxSize = 256 << 20

// ErrTooLarge reports a message of more than 256 MiB.
var ErrTooLarge = errors.New("the message is larger than 256 MiB")

// ErrNoRecipients reports a message for nobody.
var ErrNoRecipients = errors.New("no recipients: name them, or have a To, Cc or Bcc field")

// Options say what is to be done with a message.
type Options struct {
	From       *string   // envelope sender, "" or "<>" for none; nil: by the header
	Name       string    // of the sender, for a From field that is missing
	To         []string  // recipients beside the header's
	FromHeader bool      // the recipients of the header get it, too
	Domain     string    // completes addresses that have none, and Message-ID
	User       string    // who sends, for a message that does not say it
	Now        time.Time // for a Date field that is missing
}

// A Letter is a message that is ready to go.
type Letter struct {
	From string
	To   []string
	Body []byte // with CRLF at each line's end
	UTF8 bool   // the header has letters that need SMTPUTF8
}

// Read reads a message. If dotEnds, a line that is but a dot ends it, as it does in
// an SMTP session; what is behind it is not read.
func Read(r io.Reader, dotEnds bool) ([]byte, error) {
	r = io.LimitReader(r, maxSize+1)
	var raw []byte
	var err error
	if dotEnds {
		raw, err = readToDot(bufio.NewReader(r))
	} else {
		raw, err = io.ReadAll(r)
	}
	if err == nil && len(raw) > maxSize {
		err = ErrTooLarge
	}
	return raw, err
}

func readToDot(r *bufio.Reader) (raw []byte, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if string(bytes.TrimRight(line, "\r\n")) == "." {
			return raw, nil
		}
		raw = append(raw, line...)
		if err == io.EOF {
			return raw, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// New makes a message ready: lines end in CRLF, what a header must have and has
// not is added (Date, Message-ID, From), and Bcc and Return-Path are taken out.
// Everything else goes out octet by octet as it is.
func New(raw []byte, o Options) (*Letter, error) {
	raw = withCRLF(raw)
	// A line of a mailbox file, from programs that hand on what they have.
	if bytes.HasPrefix(raw, []byte("From ")) || bytes.HasPrefix(raw, []byte(">From ")) {
		_, raw, _ = bytes.Cut(raw, []byte("\r\n"))
	}
	body := bufio.NewReader(bytes.NewReader(raw))
	fields, err := textproto.ReadHeader(body)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	h := mail.Header{Header: message.Header{Header: fields}}
	l := &Letter{}
	if err := l.envelope(h, o); err != nil {
		return nil, err
	}
	for _, key := range []string{"Bcc", "Resent-Bcc", "Return-Path"} {
		h.Del(key)
	}
	if err := complete(&h, l.From, o); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(raw) + 512)
	if err := textproto.WriteHeader(&b, h.Header.Header); err != nil {
		return nil, err
	}
	head := b.Bytes()
	if l.UTF8 = !isASCII(head); l.UTF8 && !utf8.Valid(head) {
		return nil, errors.New("the header has octets that are neither ASCII nor UTF-8; encode them (RFC 2047)")
	}
	if _, err := b.ReadFrom(body); err != nil {
		return nil, err
	}
	l.Body = b.Bytes()
	return l, nil
}

// envelope takes sender and recipients from the options, or else the header.
func (l *Letter) envelope(h mail.Header, o Options) error {
	switch {
	case o.From != nil && (*o.From == "" || *o.From == "<>"):
	case o.From != nil:
		from, err := Addresses(*o.From, o.Domain)
		if err != nil || len(from) != 1 {
			return fmt.Errorf("the sender %q is not one address", *o.From)
		}
		l.From = from[0]
	default:
		for _, key := range []string{"Resent-Sender", "Resent-From", "Sender", "From"} {
			from, err := fieldAddresses(h, key, o.Domain)
			if err != nil {
				return err
			}
			if len(from) > 0 {
				l.From = from[0]
				break
			}
		}
		l.From = cmp.Or(l.From, o.User+"@"+o.Domain)
	}
	l.To = append(l.To, o.To...)
	if o.FromHeader {
		keys := []string{"To", "Cc", "Bcc"}
		if h.Has("Resent-To") || h.Has("Resent-Cc") || h.Has("Resent-Bcc") {
			keys = []string{"Resent-To", "Resent-Cc", "Resent-Bcc"} // RFC 5322 section 3.6.6
		}
		for _, key := range keys {
			to, err := fieldAddresses(h, key, o.Domain)
			if err != nil {
				return err
			}
			l.To = append(l.To, to...)
		}
	}
	l.To = distinct(l.To)
	if len(l.To) == 0 {
		return ErrNoRecipients
	}
	return nil
}

// complete adds the fields that RFC 5322 section 3.6 asks for, and Message-ID.
func complete(h *mail.Header, from string, o Options) error {
	if !h.Has("Message-Id") {
		domain := o.Domain
		if _, d, ok := strings.Cut(from, "@"); ok && isASCII([]byte(d)) {
			domain = d
		}
		if err := h.GenerateMessageIDWithHostname(domain); err != nil {
			return err
		}
	}
	if !h.Has("Date") {
		h.SetDate(o.Now)
	}
	if !h.Has("From") {
		h.SetAddressList("From", []*mail.Address{{Name: o.Name, Address: cmp.Or(from, "MAILER-DAEMON@"+o.Domain)}})
	}
	return nil
}

// Message returns the letter as smtpretry sends it.
func (l *Letter) Message() *smtpretry.Message {
	m := &smtpretry.Message{From: l.From, To: l.To, Size: int64(len(l.Body)),
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l.Body)), nil }}
	if l.UTF8 {
		m.MailOptions = &smtp.MailOptions{UTF8: true}
	}
	return m
}

// withCRLF ends lines with CRLF that end with LF. A CR elsewhere stays, and is
// refused when the message is sent.
func withCRLF(raw []byte) []byte {
	bare := bytes.Count(raw, []byte("\n")) - bytes.Count(raw, []byte("\r\n"))
	ended := len(raw) == 0 || raw[len(raw)-1] == '\n'
	if bare == 0 && ended {
		return raw
	}
	out := make([]byte, 0, len(raw)+bare+2)
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		out = append(out, bytes.TrimSuffix(line, []byte("\r"))...)
		out = append(out, "\r\n"...)
		raw = rest
	}
	return out
}

func isASCII(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r >= utf8.RuneSelf })
}
