package smtpretry

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// groupAtOnce is how much of a group is written before replies are read:
	// more than the usual window of RFC 2920 section 3.1 could wait for a
	// server that waits for its replies to be read.
	groupAtOnce = 4 << 10

	// leaveTimeout is how long to wait for a reply that changes nothing.
	leaveTimeout = 10 * time.Second
)

// A talk is how the commands of one transaction go to a server, and its
// replies back. Its methods are called in their order; an error that is no
// *smtp.SMTPError means that there is nothing more to hear.
type talk interface {
	begin() error               // what can be found out before MAIL is written
	mail() error                // the reply to MAIL; nil: it was taken
	rcpt(i int) error           // likewise to each RCPT, in order
	ahead() bool                // has everything up to DATA gone out?
	leave(rcpts int)            // it has, for nothing: so many replies to RCPT are left, and DATA's
	data() error                // the reply to DATA
	io.Writer                   // of the body
	end() error                 // writes the final dot; an error says that it has not left
	said(i int) (string, error) // the reply to it for recipient i, in the order of those taken
	done()
}

// An exchange is the talk over a wire. Where the server offers PIPELINING (RFC
// 2920), all commands up to DATA go out in one write, else one by one.
type exchange struct {
	cn      *conn
	e       *envelope
	n       int // recipients to offer
	grouped bool
	behind  bool       // its commands followed the dot of another message
	group   []byte     // the commands
	sent    int        // octets of them that have gone out
	rest    chan error // from the goroutine that still writes; nil: there is none

	chunk   *[]byte // out's; nil: no body has begun
	out     []byte  // of the body, to be written
	any     bool    // some of it is or was in out
	bol     bool    // at the beginning of a line
	cr      bool    // behind a CR
	failure error   // to write it
	long    bool    // some has gone out before its end

	until  time.Time // when the patience for what follows the dot ends
	queued string    // the reply to the dot, read once for all but with LMTP
	answer error
	heard  bool
}

// begin encodes the commands.
func (x *exchange) begin() error {
	if err := x.addMail(); err != nil {
		return err
	}
	for _, r := range x.e.rcpts[:x.n] {
		if err := x.addRcpt(r.addr); err != nil {
			return err
		}
	}
	x.group = append(x.group, dataCommand...)
	return nil
}

const dataCommand = "DATA\r\n"

// addMail encodes MAIL: go-smtp does, but for what most messages need.
func (x *exchange) addMail() error {
	c, o := x.cn.smtp, x.e.options
	if !isPlain(o) {
		return x.collect(func() error { return c.Mail(x.e.from, o) })
	}
	x.group = append(append(append(x.group, "MAIL FROM:<"...), x.e.from...), '>')
	if ok, _ := c.Extension("8BITMIME"); ok {
		x.group = append(x.group, " BODY=8BITMIME"...)
	}
	if ok, _ := c.Extension("SIZE"); ok && o != nil && o.Size != 0 {
		x.group = strconv.AppendInt(append(x.group, " SIZE="...), o.Size, 10)
	}
	x.group = append(x.group, "\r\n"...)
	return nil
}

// isPlain says whether MAIL needs nothing of o but the size.
func isPlain(o *smtp.MailOptions) bool { return o == nil || *o == smtp.MailOptions{Size: o.Size} }

func (x *exchange) addRcpt(rcpt string) error {
	var o *smtp.RcptOptions
	if x.e.rcptOpts != nil {
		o = x.e.rcptOpts(rcpt)
	}
	if o != nil {
		return x.collect(func() error { return x.cn.smtp.Rcpt(rcpt, o) })
	}
	x.group = append(append(append(x.group, "RCPT TO:<"...), rcpt...), ">\r\n"...)
	return nil
}

// collect keeps what go-smtp writes, and lets it think that it was taken.
func (x *exchange) collect(write func() error) error {
	w, debug := x.cn.wire, x.cn.smtp.DebugWriter
	w.collect, x.cn.smtp.DebugWriter = &x.group, nil
	defer func() { w.collect, x.cn.smtp.DebugWriter = nil, debug }()
	return write()
}

func (x *exchange) ahead() bool      { return x.grouped }
func (x *exchange) mail() error      { return x.ask(250) }
func (x *exchange) rcpt(_ int) error { return x.ask(25) }

func (x *exchange) data() error {
	if !x.grouped { // not all RCPTs need have gone out
		x.sent = len(x.group) - len(dataCommand)
	}
	err := x.ask(354)
	if x.grouped && !x.cn.dead && x.wait() == nil {
		x.cn.groups.took(x.place())
	}
	if err == nil {
		x.chunk = bodyChunks.Get().(*[]byte)
		x.out, x.any, x.bol, x.cr = (*x.chunk)[:0], false, true, false
	}
	return err
}

// ask sends the next command, with all that follow where they may go ahead,
// and reads the reply to it.
func (x *exchange) ask(expect int) error {
	if next := x.group[x.sent:]; len(next) > 0 {
		if !x.grouped {
			next = next[:bytes.IndexByte(next, '\n')+1]
		}
		x.sent += len(next)
		if err := x.send(next); err != nil {
			return x.lost(err)
		}
	}
	_, err := x.hear(expect, time.Now().Add(x.cn.smtp.CommandTimeout))
	return x.lost(err)
}

// send writes commands. Of a long group the replies are read meanwhile.
func (x *exchange) send(p []byte) error {
	w := x.cn.wire
	w.text = w.text[:0]
	if err := w.SetWriteDeadline(time.Now().Add(x.cn.smtp.CommandTimeout)); err != nil {
		return err
	}
	if len(p) <= groupAtOnce {
		return x.write(p)
	}
	rest := make(chan error, 1)
	x.rest = rest
	go func() {
		_, err := w.Conn.Write(p)
		rest <- err
	}()
	return x.show(p)
}

// wait waits for the writing to end.
func (x *exchange) wait() error {
	if x.rest == nil {
		return nil
	}
	err := <-x.rest
	x.rest = nil
	if err != nil {
		x.cn.abort()
	}
	return err
}

func (x *exchange) write(p []byte) error {
	if _, err := x.cn.wire.Conn.Write(p); err != nil {
		x.cn.wire.failed = true
		return err
	}
	return x.show(p)
}

// show gives what is sent to the DebugWriter.
func (x *exchange) show(p []byte) error {
	if x.cn.smtp.DebugWriter == nil {
		return nil
	}
	_, err := x.cn.smtp.DebugWriter.Write(p)
	return err
}

// hear reads the next reply.
func (x *exchange) hear(expect int, until time.Time) ([]byte, error) {
	if err := x.cn.wire.SetReadDeadline(until); err != nil {
		return nil, err
	}
	return x.cn.wire.reply(expect, x.cn.smtp.DebugWriter)
}

// lost returns what err, met where each command was in its place, means if it
// shows that the server cannot take them as a group. Nothing was delivered.
func (x *exchange) lost(err error) error {
	if err == nil || !x.grouped || x.cn.wire.cut.Load() || !isLost(err) {
		return err
	}
	if isNetwork(err) && len(x.cn.wire.text) > 0 || !x.cn.groups.failed(x.place()) {
		return err // a reply had begun, or groups have worked
	}
	x.cn.abort()
	return &fault{rule: ruleNoGroups, class: Temporary, cause: CauseNetwork, scope: ScopeConnection,
		msg: "the server seems not to take several commands at once (RFC 2920), though it offers to", err: err}
}

// leave reads what is left of a group when no recipient was taken. A server
// that goes on to the body all the same gets an empty one, which is for nobody
// (RFC 2920 section 3.1), unless it has taken a recipient.
func (x *exchange) leave(rcpts int) {
	until := time.Now().Add(min(leaveTimeout, x.cn.smtp.CommandTimeout))
	refuses := func(_ []byte, err error) bool {
		if err == nil {
			err = errTaken
		}
		if isNetwork(err) { // a 503 is in its place here
			err = x.lost(err)
		}
		x.cn.judge(err)
		return !x.cn.dead
	}
	for range rcpts {
		if !refuses(x.hear(25, until)) {
			return
		}
	}
	words, err := x.hear(354, until)
	if err == nil && !x.cn.wire.lmtp && x.send([]byte(".\r\n")) == nil {
		words, err = x.hear(250, until)
	}
	if refuses(words, err) && x.wait() == nil {
		x.cn.groups.took(x.place())
	}
}

// errTaken ends a connection on which a server has taken what it had to refuse.
var errTaken = &fault{rule: "out-of-step", class: Temporary, cause: CauseProtocol, scope: ScopeConnection,
	msg: "the server took a command that depends on one it refused"}

// Write takes a part of the body: lines end in CRLF, and one that begins with a
// dot gets another (RFC 5321 section 4.5.2).
func (x *exchange) Write(p []byte) (int, error) {
	if x.unchanged(p) {
		if len(x.out)+len(p) < cap(x.out) {
			x.out = append(x.out, p...)
		} else {
			x.long = true
			x.flush(len(x.out))
			x.upload(p, len(p))
		}
		x.any, x.bol, x.cr = true, p[len(p)-1] == '\n', p[len(p)-1] == '\r'
		return len(p), x.failure
	}
	for rest := p; len(rest) > 0 && x.failure == nil; {
		if x.bol && rest[0] == '.' {
			put(x, ".")
		}
		line, behind, ended := bytes.Cut(rest, []byte("\n"))
		put(x, line)
		if len(line) > 0 {
			x.cr = line[len(line)-1] == '\r'
		}
		if ended && !x.cr {
			put(x, "\r")
		}
		if ended {
			put(x, "\n")
			x.cr = false
		}
		x.any, x.bol, rest = true, ended, behind
	}
	return len(p), x.failure
}

// put adds to what is to be written, and writes it when it is much.
func put[T string | []byte](x *exchange, b T) {
	for len(b) > 0 && x.failure == nil {
		n := min(cap(x.out)-len(x.out), len(b))
		x.out = append(x.out, b[:n]...)
		if b = b[n:]; len(x.out) == cap(x.out) {
			x.long = true
			x.flush(len(x.out))
		}
	}
}

// unchanged says whether p can go out as it is. That each CR of it is followed by
// LF has been seen.
func (x *exchange) unchanged(p []byte) bool {
	if len(p) == 0 || x.bol && p[0] == '.' || bytes.Contains(p, []byte("\n.")) {
		return false
	}
	cr, lf := bytes.Count(p, []byte("\r")), bytes.Count(p, []byte("\n"))
	if p[len(p)-1] == '\r' {
		cr--
	}
	if x.cr {
		cr++
	}
	return cr == lf
}

// flush writes what is to be written, of which own octets are of this message.
func (x *exchange) flush(own int) {
	x.upload(x.out, own)
	x.out = x.out[:0]
}

// upload writes p. When only what comes behind the first own octets has not
// left, it has not failed.
func (x *exchange) upload(p []byte, own int) {
	if x.failure != nil || len(p) == 0 {
		return
	}
	if x.failure = x.cn.wire.SetWriteDeadline(time.Now().Add(dataTimeout)); x.failure != nil {
		return
	}
	n, err := x.cn.wire.Conn.Write(p)
	if err != nil {
		x.cn.wire.failed = true
	}
	if n < own {
		x.failure = err
	} else {
		x.failure = x.show(p[:own])
	}
}

func (x *exchange) end() error {
	if x.cr {
		put(x, "\n")
	} else if !x.any || !x.bol {
		put(x, "\r\n")
	}
	put(x, ".\r\n")
	own := len(x.out)
	x.out = x.e.permit.riders(x.out)
	x.flush(own)
	x.until = time.Now().Add(x.cn.smtp.SubmissionTimeout)
	return x.failure
}

// said reads a reply for each recipient with LMTP, else one for all. Behind a
// failure of the link there is none.
func (x *exchange) said(int) (string, error) {
	if !x.heard || x.cn.wire.lmtp && (x.answer == nil || asReply(x.answer) != nil) {
		words, err := x.hear(250, x.until)
		x.heard, x.queued, x.answer = true, string(words), err
	}
	return x.queued, x.answer
}

func (x *exchange) done() {
	if x.rest != nil { // it was broken off
		x.cn.abort()
		_ = x.wait()
	}
	if x.chunk != nil {
		bodyChunks.Put(x.chunk)
	}
	group := x.group[:0]
	if cap(group) > maxReply {
		group = nil
	}
	*x = exchange{group: group}
}
