package smtpretry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/emersion/go-sasl"
)

const (
	// defaultMaxSpool is larger than what any known provider accepts.
	defaultMaxSpool = 64 << 20

	// memSpool is how much of a body is kept in memory; more goes to a
	// temporary file.
	memSpool = 1 << 20
)

// SendMail sends a message as [smtp.Client.SendMail] does, but tries again by
// Config.Policy, and delivers to those recipients that are accepted even if
// others are refused; the error is then a *[SendError] whose Result tells
// them apart.
//
// r is read from where it stands. If it can seek it is rewound for another
// try; otherwise it is read to its end before anything is sent and kept, in
// memory or a temporary file, up to Config.MaxSpool octets. A longer body is
// sent once, and ends with [ErrNotReplayable] where it would have been tried
// again. A size that is known is compared with the server's limit but, as in
// go-smtp, not sent as SIZE.
func (c *Client) SendMail(from string, to []string, r io.Reader) error {
	if r == nil {
		return &FieldError{Field: "r", Reason: "is nil"}
	}
	var s *spool
	m := &Message{From: from, To: to, Body: func() (io.ReadCloser, error) { return s.open() }}
	if err := m.Validate(); err != nil {
		return err // r is still untouched
	}
	s, err := newSpool(r, c.cfg.MaxSpool)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = c.send(context.Background(), m, &c.cfg.Policy, s.size)
	return err
}

// packageLimiter is shared by the calls of SendMail, so that they keep to the
// published limits together.
var packageLimiter = sync.OnceValue(func() *Limiter { return NewLimiter(Limit{}) })

// SendMail connects to addr, logs in if a is not nil, sends a message and
// disconnects, like [smtp.SendMail], but tries again by the default [Policy],
// for up to 15 minutes. The connection is encrypted as [TLSAuto] says. All
// calls of a program share one [Limiter] with the published limits of known
// providers. For more than a few messages a [Client] is better: it keeps its
// connection.
func SendMail(addr string, a sasl.Client, from string, to []string, r io.Reader) error {
	return sendMail(&Dialer{Addr: addr}, a, from, to, r)
}

// SendMailTLS is SendMail with implicit TLS, like [smtp.SendMailTLS].
func SendMailTLS(addr string, a sasl.Client, from string, to []string, r io.Reader) error {
	return sendMail(&Dialer{Addr: addr, TLS: TLSImplicit}, a, from, to, r)
}

func sendMail(d *Dialer, a sasl.Client, from string, to []string, r io.Reader) error {
	cfg := Config{Dialer: d, Limiter: packageLimiter()}
	if a != nil {
		cfg.Auth = func(context.Context) (sasl.Client, error) { return a, nil }
	}
	c, err := New(cfg)
	if err != nil {
		return err
	}
	err = c.SendMail(from, to, r)
	_ = c.Quit() // the message's fate is known by now
	return err
}

// A spool makes the content of a reader readable more than once. It is not
// safe for concurrent use.
type spool struct {
	size int64 // 0: unknown
	seek io.ReadSeeker
	from int64 // where seek stood
	mem  []byte
	file *os.File  // holds what comes after mem
	kept int64     // octets in file
	rest io.Reader // what was not kept; nil: all was
	used bool      // rest has been read from
}

// newSpool reads r, unless it can seek, and keeps up to limit octets of it (0:
// the default; negative: no more than is looked at before sending).
func newSpool(r io.Reader, limit int64) (*spool, error) {
	if s, ok := seekable(r); ok {
		return s, nil
	}
	switch {
	case limit == 0:
		limit = defaultMaxSpool
	case limit < bodyChunk:
		limit = bodyChunk
	}
	s := &spool{}
	var buf bytes.Buffer
	if done, err := fill(&buf, r, min(limit, memSpool), &s.size); done || err != nil {
		s.mem = buf.Bytes()
		return s, err
	}
	s.mem = buf.Bytes()
	if limit > memSpool {
		f, err := os.CreateTemp("", "smtpretry-*.eml")
		if err != nil {
			return nil, &FieldError{Field: "r", Reason: "cannot be kept in a temporary file", Err: err}
		}
		s.file = f
		done, err := fill(f, r, limit-memSpool, &s.kept)
		s.size += s.kept
		if err != nil {
			s.close()
			return nil, err
		}
		if done {
			return s, nil
		}
	}
	s.rest, s.size = r, 0
	return s, nil
}

// fill copies up to n octets and says whether r has ended.
func fill(w io.Writer, r io.Reader, n int64, count *int64) (done bool, err error) {
	read := &firstError{r: r}
	c, err := io.CopyN(w, read, n)
	*count += c
	switch {
	case err == io.EOF:
		return true, nil
	case read.err != nil && read.err != io.EOF:
		return false, &FieldError{Field: "r", Reason: "cannot be read", Err: read.err}
	case err != nil:
		return false, &FieldError{Field: "r", Reason: "cannot be kept in a temporary file", Err: err}
	}
	return false, nil
}

// firstError tells the errors of a reader from those of the writer beside it.
type firstError struct {
	r   io.Reader
	err error
}

func (f *firstError) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

func seekable(r io.Reader) (*spool, bool) {
	rs, ok := r.(io.ReadSeeker)
	if !ok {
		return nil, false
	}
	from, err := rs.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, false // a pipe
	}
	end, err := rs.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false
	}
	if _, err := rs.Seek(from, io.SeekStart); err != nil {
		return nil, false
	}
	return &spool{seek: rs, from: from, size: max(end-from, 0)}, true
}

// open is a Message.Body.
func (s *spool) open() (io.ReadCloser, error) {
	if s.seek != nil {
		_, err := s.seek.Seek(s.from, io.SeekStart)
		return io.NopCloser(s.seek), err
	}
	parts := []io.Reader{bytes.NewReader(s.mem)}
	if s.file != nil {
		parts = append(parts, io.NewSectionReader(s.file, 0, s.kept))
	}
	if s.rest != nil {
		if s.used {
			return nil, ErrNotReplayable
		}
		parts = append(parts, readerFunc(func(p []byte) (int, error) {
			s.used = true
			return s.rest.Read(p)
		}))
	}
	return io.NopCloser(io.MultiReader(parts...)), nil
}

// readerFunc is an io.Reader.
type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (s *spool) close() {
	if s.file != nil {
		_ = errors.Join(s.file.Close(), os.Remove(s.file.Name()))
	}
}
