package smtpretry

import (
	"errors"
	"io"
	"time"

	"github.com/emersion/go-smtp"
)

// A steps is the talk by the methods of go-smtp's client, one command at a time,
// on a connection whose socket cannot be seen.
type steps struct {
	cn     *conn
	e      *envelope
	body   *smtp.DataCommand
	queued string // the reply to the dot
	answer error
	each   map[string]*smtp.DataResponse // with LMTP, of those who accepted
}

func (s *steps) begin() error { return nil }
func (s *steps) mail() error  { return s.cn.smtp.Mail(s.e.from, s.e.options) }
func (s *steps) ahead() bool  { return false }
func (s *steps) leave(int)    {}
func (s *steps) done()        {}

func (s *steps) rcpt(i int) error {
	var opts *smtp.RcptOptions
	if s.e.rcptOpts != nil {
		opts = s.e.rcptOpts(s.e.rcpts[i].addr)
	}
	s.cn.tap.expect(0)
	return s.cn.smtp.Rcpt(s.e.rcpts[i].addr, opts)
}

func (s *steps) data() (err error) {
	if s.body, err = s.cn.smtp.Data(); err == nil {
		s.cn.watchBody(len(s.e.rcpts))
	}
	return err
}

// within breaks the connection off after d unless stop is called before. It
// takes the place of a deadline, which cannot be set.
func (s *steps) within(d time.Duration) (stop func() bool) {
	return time.AfterFunc(d, s.cn.interrupt).Stop
}

func (s *steps) Write(p []byte) (int, error) {
	defer s.within(dataTimeout)()
	return s.body.Write(p)
}

// end sends the final dot and reads what becomes of the message. Whether the
// dot has left cannot be seen.
func (s *steps) end() error {
	// The last octets and the dot are written here, too.
	defer s.within(dataTimeout + s.cn.smtp.SubmissionTimeout)()
	resp, err := s.body.CloseWithResponse()
	if s.answer = err; err == nil {
		s.queued = resp.StatusText
	}
	if err == nil || asReply(err) != nil {
		return nil
	}
	// Either the link broke, or this is LMTP; then nothing has been sent
	// yet, and this call does. On plain SMTP it does nothing.
	each, lerr := s.body.CloseWithLMTPResponse()
	if s.each = each; each != nil || isLocal(err) {
		s.answer = lerr
	}
	return nil
}

func (s *steps) said(i int) (string, error) {
	if s.each == nil {
		return s.queued, s.answer
	}
	if ok := s.each[s.e.rcpts[i].addr]; ok != nil {
		return ok.StatusText, nil
	}
	var refused smtp.LMTPDataError
	if errors.As(s.answer, &refused) && refused[s.e.rcpts[i].addr] != nil {
		return "", refused[s.e.rcpts[i].addr]
	}
	return "", linkOf(s.answer)
}

// linkOf returns the failure of the link in what CloseWithLMTPResponse
// returns, which can be joined with the replies of some recipients.
func linkOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			var replies smtp.LMTPDataError
			if !errors.As(e, &replies) {
				return e
			}
		}
	}
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}
