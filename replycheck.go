package smtpretry

// A replyCheck follows the lines of replies as they come. All lines of a reply
// have the same code (RFC 5321 section 4.2.1); net/textproto takes one with
// another for more of the same reply, and with it whatever comes next, which
// may be the reply about the next recipient.
type replyCheck struct {
	line [4]byte // how the current line begins: code, and what follows it
	n    int     // octets of the current line, at most len(line)
	code [3]byte // of the reply
	more bool    // another line of it is due
}

var errMixedReply = &fault{rule: "mixed-reply", class: Unknown, cause: CauseProtocol, scope: ScopeConnection,
	msg: "the lines of the server's reply have different codes"}

// scan reads on, and returns how much of p is fine: all of it, or what comes
// before a line with another code than its reply began with.
func (c *replyCheck) scan(p []byte) (fine int) {
	start := 0 // of the current line, if it is in p
	for i, b := range p {
		if c.n < len(c.line) {
			c.line[c.n] = b
			if c.n++; c.n == len(c.line) && !c.begins() {
				return start
			}
		}
		if b == '\n' {
			c.n, start = 0, i+1
		}
	}
	return len(p)
}

// begins looks at the beginning of a line.
func (c *replyCheck) begins() bool {
	code := [3]byte(c.line[:3])
	for _, d := range code {
		if d < '0' || d > '9' {
			return true // for textproto to complain about
		}
	}
	if c.more && code != c.code {
		return false
	}
	c.code, c.more = code, c.line[3] == '-'
	return true
}
