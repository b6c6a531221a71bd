package smtpretry

import "io"

const (
	// maxReply is the longest reply that is read, all its lines together;
	// go-smtp bounds the line but not their number. RFC 5321 section
	// 4.5.3.1.5 gives a line 512 octets, and EHLO's, the longest usual
	// reply, has a few dozen.
	maxReply = 64 << 10

	// maxReplyRcpt is added for each recipient of an LMTP transaction, all
	// of whom answer after the dot (RFC 2033 section 4.2).
	maxReplyRcpt = 2 << 10
)

// A tap is a DebugWriter that bounds and checks the replies on a connection whose socket
// cannot be seen: go-smtp shows it what was read, and gives up the reading if
// it fails. It is shown what was written as well, so it counts commands and
// replies together, and does not count while a body goes out.
type tap struct {
	debug io.Writer // the one whose place it takes; may be nil
	left  int       // octets that may still come
	body  bool      // does not count
	check replyCheck
}

// Write implements io.Writer.
func (t *tap) Write(p []byte) (int, error) {
	if !t.body {
		if t.left <= 0 {
			return 0, errReplyTooLong
		}
		t.left -= len(p)
		if fine := t.check.scan(p); fine < len(p) {
			return fine, errMixedReply
		}
	}
	if t.debug == nil {
		return len(p), nil
	}
	return t.debug.Write(p)
}

// expect sets what may come of the replies to what follows: few commands, or
// the end of a body with a reply for each of rcpts recipients.
func (t *tap) expect(rcpts int) {
	if t != nil {
		t.left, t.body = maxReply+rcpts*maxReplyRcpt, false
	}
}

// upload lets a body pass, until expect is called.
func (t *tap) upload() {
	if t != nil {
		t.body = true
	}
}
