package smtpretry

import (
	"bytes"
	"io"
	"testing/iotest"
)

// BodyChunk is how much of a body is read at a time.
const BodyChunk = bodyChunk

// ReadBody reads b as a message's body is read, in single octets if slow.
func ReadBody(b []byte, slow bool) ([]byte, error) {
	var r io.Reader = bytes.NewReader(b)
	if slow {
		r = iotest.OneByteReader(r)
	}
	var body body
	if err := body.open(&Message{Body: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}, nil); err != nil {
		return nil, err
	}
	defer body.close()
	var got []byte
	for {
		p, err := body.next()
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return nil, err
		}
		got = append(got, p...)
	}
}
