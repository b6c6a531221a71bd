package smtpretry

import (
	"context"
	"errors"
	"time"

	"github.com/emersion/go-smtp"
)

// A conn is one connection on which mail can be sent. It is used by one
// goroutine at a time.
type conn struct {
	smtp      *smtp.Client
	wire      *wire       // nil: the user made the client, its socket cannot be seen
	exchanges [2]exchange // by turns: one message can follow another's dot
	latest    int         // of exchanges, the last to be begun
	groups    *groups     // nil: commands go out one at a time
	tap       *tap        // then it takes the place of wire as far as it can
	offered   int         // recipients, by hand, in this transaction
	cut       func()      // interrupt, made into a value once; nil: not yet
	addr      string
	name      string    // said in EHLO, if by us
	dirty     bool      // a transaction was begun and not ended: RSET before the next
	left      bool      // it was begun by Send
	dead      bool      // not to be used again
	delivered int       // transactions that were accepted
	used      int       // transactions that were begun
	begun     int       // of these, whose MAIL was taken
	rested    time.Time // since when it is idle
	print     authPrint
	announced ehloLimits
	domains   map[string]bool // of the recipients that were offered, while their number is limited
}

// Close ends the connection politely. The limiter calls it for connections
// that have been idle for too long, at a time when no method may be running
// and what was written to DebugWriter is perhaps being read.
func (cn *conn) Close() error {
	cn.smtp.DebugWriter = nil
	return cn.quit()
}

// quit is Close within a method.
func (cn *conn) quit() error {
	if cn.wire != nil && !cn.dead {
		cn.wire.quit(cn.smtp.DebugWriter)
		return nil
	}
	if !cn.dead {
		cn.tap.expect(0)
		cn.smtp.CommandTimeout = quitTimeout
		if cn.smtp.Quit() == nil {
			return nil
		}
	}
	return cn.smtp.Close()
}

// abort ends the connection at once, so that nothing more is written to it:
// go-smtp would put a final dot before the next command after a body that was
// not finished, and the server would accept half a message.
func (cn *conn) abort() {
	cn.dead = true
	cn.interrupt()
}

// interrupt breaks off whatever is under way, from any goroutine.
func (cn *conn) interrupt() {
	if cn.wire != nil {
		cn.wire.interrupt()
		return
	}
	_ = cn.smtp.Close()
}

// giveBack ends a permit. Its connection is kept, unless it is lost, or has
// carried as many messages as it may and can be replaced.
func (c *Client) giveBack(ctx context.Context, p *permit, cn *conn) {
	most := c.pool.perConn()
	if own := cn.announced.mails; own > 0 && (most == 0 || own < most) {
		most = own
	}
	if !cn.dead && (p.next != nil || most <= 0 || cn.used < most || !c.canDial()) {
		p.release(cn)
		return
	}
	stop := cn.guard(ctx)
	_ = cn.quit() // nothing is under way on it
	cn.unguard(stop)
	p.release(nil)
}

// guard lets ctx break off the conversation until unguard is called with what it
// returns.
func (cn *conn) guard(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return nil
	}
	if cn.cut == nil {
		cn.cut = cn.interrupt
	}
	return context.AfterFunc(ctx, cn.cut)
}

func (cn *conn) unguard(stop func() bool) {
	if stop != nil && !stop() {
		cn.dead = true
	}
}

// greet sees the greeting and EHLO through, so that their failure is not taken
// for that of the first command, with which go-smtp would send them. A name is
// said if none was before; "" leaves go-smtp's.
func (cn *conn) greet(name string) error {
	if name != "" && cn.smtp.Hello(name) == nil {
		cn.name = name
	}
	// A failure is kept by go-smtp and comes again. Auth is the one method
	// that returns it and, with this mechanism, sends nothing else.
	if err := cn.smtp.Auth(noMechanism{}); !errors.Is(err, errNoMechanism) {
		return err
	}
	return nil
}

var errNoMechanism = errors.New("smtpretry: not meant to log in")

// noMechanism is a sasl.Client that ends before it begins.
type noMechanism struct{}

func (noMechanism) Start() (string, []byte, error) { return "", nil, errNoMechanism }
func (noMechanism) Next([]byte) ([]byte, error)    { return nil, errNoMechanism }

// judge notes whether the connection can be used after err.
func (cn *conn) judge(err error) {
	if err == nil {
		return
	}
	if r := asReply(err); r == nil || r.Code == 421 || !isRefusal(r) {
		cn.abort()
	}
}

// isRefusal says whether a reply is one that refuses: with another code than
// 4yz or 5yz where 250 was due, nobody knows whose turn it is.
func isRefusal(r *smtp.SMTPError) bool { return r.Code >= 400 && r.Code < 600 }

// unasked looks for what the server has said or done while the connection was
// idle. On a socket that cannot be seen it is met as the reply to the next
// command.
func (cn *conn) unasked() error {
	if cn.wire == nil || cn.used == 0 || time.Since(cn.rested) < restedAfter {
		return nil
	}
	return cn.wire.unasked()
}

// reset ends a transaction that was begun, if the connection still can. The
// error is that of the connection, which is dead then.
func (cn *conn) reset() error {
	if cn.dead || !cn.dirty {
		return nil
	}
	if err := cn.smtp.Reset(); err != nil {
		cn.abort()
		return err
	}
	cn.dirty, cn.left = false, false
	return nil
}

// isLocal says whether an error is neither a reply nor a failure of the link,
// but go-smtp's own word about a call that it did not carry out.
func isLocal(err error) bool { return Classify(err, StageUnknown).Rule == ruleNotRecognised }
