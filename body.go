package smtpretry

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
)

// bodyChunk is how much of a body is read at a time, and how much of it is
// looked at before MAIL is sent: a body that cannot be opened, or a short one
// that is faulty, is found before anything goes on the wire.
const bodyChunk = 32 << 10

var bodyChunks = sync.Pool{New: func() any { b := make([]byte, bodyChunk); return &b }}

// A body reads the content of a message once and refuses what must not be
// sent. Not safe for concurrent use.
type body struct {
	r      io.ReadCloser
	chunk  *[]byte
	head   []byte // read and not yet handed out
	size   int64  // what Message.Size says; 0: nothing
	n      int64  // octets read so far
	lastCR bool   // the last octet read was a CR
	end    bool   // all was read
	err    error  // a *FieldError
	doubt  *sameBody
	sum    *maphash.Hash // nil without doubt
}

// A sameBody sees that a message which is sent again, though it may have been
// delivered, is the same.
type sameBody struct {
	seed   maphash.Seed
	sum    uint64 // of the body that was sent
	summed bool
}

// open opens the content of m and reads its beginning. The error is a
// *FieldError; there is nothing to close then.
func (b *body) open(m *Message, doubt *sameBody) error {
	r, err := m.Body()
	if err != nil {
		return &FieldError{Field: "Message.Body", Reason: "cannot be opened", Err: err}
	}
	if r == nil {
		return &FieldError{Field: "Message.Body", Reason: "gave no reader"}
	}
	*b = body{r: r, size: m.Size, chunk: bodyChunks.Get().(*[]byte), doubt: doubt}
	if doubt != nil {
		b.sum = new(maphash.Hash)
		b.sum.SetSeed(doubt.seed)
	}
	b.fill()
	if b.err != nil {
		b.close()
	}
	return b.err
}

// next returns the next part of the body, valid until the following call; at
// its end io.EOF, and a *FieldError when the body is faulty.
func (b *body) next() ([]byte, error) {
	for len(b.head) == 0 {
		switch {
		case b.err != nil:
			return nil, b.err
		case b.end:
			return nil, io.EOF
		}
		b.fill()
	}
	p := b.head
	b.head = nil
	return p, nil
}

// fill reads until the chunk is full or the body ends.
func (b *body) fill() {
	buf := *b.chunk
	n, err := io.ReadFull(b.r, buf)
	b.end = err == io.EOF || err == io.ErrUnexpectedEOF
	b.head = buf[:n]
	b.n += int64(n)
	if err != nil && !b.end {
		b.err = &FieldError{Field: "Message.Body", Reason: "cannot be read", Err: err}
	}
	b.check(b.head)
	if b.sum != nil {
		_, _ = b.sum.Write(b.head)
	}
	if b.err != nil {
		b.head = nil // nothing of a faulty part goes out
	}
}

func (b *body) check(p []byte) {
	fail := func(field, reason string) {
		if b.err == nil {
			b.err = &FieldError{Field: field, Reason: reason}
		}
	}
	// Some servers take CR for the end of a line and some do not: what is
	// text for one is a command for the other.
	bare := b.lastCR && (len(p) > 0 && p[0] != '\n' || len(p) == 0 && b.end)
	if len(p) > 0 {
		b.lastCR = p[len(p)-1] == '\r'
		bare = bare || b.lastCR && b.end
	}
	for rest := p; !bare; {
		i := bytes.IndexByte(rest, '\r')
		if i < 0 || i == len(rest)-1 {
			break
		}
		bare = rest[i+1] != '\n'
		rest = rest[i+1:]
	}
	if bare {
		fail("Message.Body", "has a CR without LF (RFC 5321 section 2.3.8)")
	}
	switch {
	case b.size <= 0:
	case b.n > b.size:
		fail("Message.Size", fmt.Sprintf("says %d octets, but the body has more", b.size))
	case b.end && b.n < b.size:
		fail("Message.Size", fmt.Sprintf("says %d octets, but the body ended after %d", b.size, b.n))
	}
}

// unchanged says whether the body, now read, may be sent.
func (b *body) unchanged() error {
	s := b.doubt
	if s == nil {
		return nil
	}
	sum := b.sum.Sum64()
	if s.summed && sum != s.sum {
		return &FieldError{Field: "Message.Body", Reason: "has changed since an attempt that is in doubt"}
	}
	s.sum, s.summed = sum, true
	return nil
}

// close closes the reader. Its error says nothing about what was sent.
func (b *body) close() {
	_ = b.r.Close()
	bodyChunks.Put(b.chunk)
	b.chunk, b.head = nil, nil
}
