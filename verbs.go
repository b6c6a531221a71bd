package smtpretry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The methods of this file are those of *smtp.Client. They act on one
// connection and are never repeated by themselves. Their errors are
// go-smtp's, unless the limiter or the dialling failed.

// A rawSession is the connection that the methods of this file hold.
type rawSession struct {
	mu     sync.Mutex           // held while a command runs
	conn   atomic.Pointer[conn] // set with mu held; Close looks at it without
	permit *permit
	name   string // for EHLO, by Hello; "": the Dialer's
	body   *dotWatch
}

// session returns the connection that is held, or takes one. For a message
// (MAIL) the limits are waited for.
func (c *Client) session(message bool) (*conn, error) {
	s := &c.raw
	cn := s.conn.Load()
	if cn != nil && !s.body.whole() {
		c.drop()
		return nil, errUnfinished
	}
	if cn != nil && message {
		c.letGo(cn) // comes back with a place for a message
		cn = nil
	}
	if cn == nil {
		var err error
		if cn, err = c.take(message); err != nil {
			return nil, err
		}
	}
	c.prepare(cn)
	return cn, nil
}

// take gets a connection to hold.
func (c *Client) take(message bool) (*conn, error) {
	ctx, start := c.life, time.Now()
	if end := c.cfg.Policy.end(start); !end.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	rcpts := 0
	if message {
		rcpts = 1
	}
	var wait Wait
	p, err := new(waiter).stand(c.pool, start, time.Time{}, rcpts).acquire(ctx, func(_ context.Context, w Wait) {
		wait, wait.Start = w, time.Now()
		c.waiting(c.cfg.Trace, wait)
	})
	c.cfg.Trace.waited(&wait)
	if err != nil {
		return nil, err
	}
	held := false
	defer func() {
		if !held {
			p.release(nil)
		}
	}()
	cn, ok := p.conn.(*conn)
	if !ok {
		if cn, _, err = c.dial(ctx, c.raw.name); err != nil {
			if c.life.Err() != nil {
				err = ErrClosed
			}
			return nil, err
		}
	}
	held = true
	c.raw.permit, c.raw.body = p, nil
	c.raw.conn.Store(cn)
	if c.life.Err() != nil { // Close may have looked too early to see cn
		c.drop()
		return nil, ErrClosed
	}
	return cn, nil
}

// letGo gives the held connection back.
func (c *Client) letGo(cn *conn) {
	c.raw.conn.Store(nil)
	if c.raw.body != nil {
		// What the server said to the dot went to the user; had it refused
		// everything, it would say so again.
		now := time.Now()
		c.pool.observe(report{accepted: true, began: now, at: now})
	}
	c.giveBack(c.life, c.raw.permit, cn)
}

// drop ends the held connection.
func (c *Client) drop() {
	c.raw.conn.Load().abort()
	c.raw.conn.Store(nil)
	c.raw.permit.release(nil)
}

// yield gives the held connection back, for Send to use, unless a command of
// another goroutine is running on it.
func (c *Client) yield() {
	if !c.raw.mu.TryLock() {
		return
	}
	defer c.raw.mu.Unlock()
	switch cn := c.raw.conn.Load(); {
	case cn == nil:
	case c.raw.body.whole():
		c.letGo(cn)
	default:
		c.drop()
	}
}

// do runs one command and looks at what the server said to it.
func (c *Client) do(at Stage, f func(*conn) error) error {
	c.raw.mu.Lock()
	defer c.raw.mu.Unlock()
	cn, err := c.session(at == StageMail)
	if err != nil {
		return err
	}
	if cn.dirty && cn.left && at >= StageMail { // or recipients of Send's would get this message
		if err := cn.reset(); err != nil {
			c.drop()
			return err
		}
	}
	carried := cn.used
	if err = f(cn); err == nil {
		return nil
	}
	if isLocal(err) {
		return err // nothing was sent
	}
	v := c.classify(err, at)
	if at == StageUnknown && v.Code/100 == 2 {
		return err // 252 is the usual reply to VRFY (RFC 5321 section 3.5.3)
	}
	now := time.Now()
	c.pool.observe(report{verdict: v, began: now, at: now, carried: carried})
	if v.ConnDead && !isSASL(err) { // an exchange that the mechanism ended was cancelled
		c.drop()
	}
	return err
}

// errUnfinished is met after Data when its writer was not closed: go-smtp would
// end the message itself before the next command, wherever it stands.
var errUnfinished = &fault{rule: "unfinished-body", class: Temporary, cause: CauseProtocol, scope: ScopeMessage,
	msg: "the writer that Data returned was not closed: the connection is closed instead, lest half a message be delivered"}

// A dotWatch is a DebugWriter that sees whether the final dot was written.
// Writing it is the only way to end a body, which has its own dots doubled.
type dotWatch struct {
	debug io.Writer // the one whose place it takes; may be nil
	ended func()    // called when the dot was written
	last  []byte
	seen  atomic.Bool
}

// watchBody lets a body through to the server, and as many replies to its end
// as it has recipients.
func (cn *conn) watchBody(rcpts int) *dotWatch {
	cn.tap.upload()
	d := &dotWatch{debug: cn.smtp.DebugWriter, ended: func() { cn.tap.expect(rcpts) }}
	cn.smtp.DebugWriter = d
	return d
}

const finalDot = "\r\n.\r\n"

// Write implements io.Writer.
func (d *dotWatch) Write(p []byte) (int, error) {
	d.last = append(d.last, p[max(len(p)-len(finalDot), 0):]...)
	d.last = d.last[max(len(d.last)-len(finalDot), 0):]
	if string(d.last) == finalDot && !d.seen.Swap(true) {
		defer d.ended()
	}
	if d.debug == nil {
		return len(p), nil
	}
	return d.debug.Write(p)
}

// whole says whether no body is open: d is nil, or has seen the dot.
func (d *dotWatch) whole() bool { return d == nil || d.seen.Load() }

// Hello says EHLO, or HELO, with the given name; see [smtp.Client.Hello]. It
// is said on new connections that the methods below make, too.
func (c *Client) Hello(localName string) error {
	c.raw.mu.Lock()
	c.raw.name = localName
	c.raw.mu.Unlock()
	return c.do(StageHello, func(cn *conn) error {
		if cn.name == localName {
			cn.name = "" // said when it was dialled, and asked for once
			return nil
		}
		return cn.smtp.Hello(localName)
	})
}

// Auth logs in on the held connection; see [smtp.Client.Auth]. The
// connections that Send makes log in by Config.Auth.
func (c *Client) Auth(a sasl.Client) error {
	return c.do(StageAuth, func(cn *conn) error {
		_, err := cn.auth(a)
		return err
	})
}

// Mail begins a transaction, once the limits allow a message; see
// [smtp.Client.Mail].
func (c *Client) Mail(from string, opts *smtp.MailOptions) error {
	return c.do(StageMail, func(cn *conn) error {
		c.raw.permit.started()
		err := cn.smtp.Mail(from, opts)
		c.raw.permit.counted(err == nil)
		cn.dirty, cn.left = err == nil, false
		cn.used++
		cn.offered = 0
		return err
	})
}

// Rcpt adds a recipient; see [smtp.Client.Rcpt].
func (c *Client) Rcpt(to string, opts *smtp.RcptOptions) error {
	return c.do(StageRcpt, func(cn *conn) error {
		cn.offered++
		return cn.smtp.Rcpt(to, opts)
	})
}

// Data begins the message; see [smtp.Client.Data]. The writer must be closed
// before any other method of the Client is called; if it was not, that method
// closes the connection and fails, and no part of the message is delivered.
func (c *Client) Data() (*smtp.DataCommand, error) {
	var w *smtp.DataCommand
	err := c.do(StageData, func(cn *conn) (err error) {
		w, err = cn.smtp.Data()
		if err == nil {
			cn.dirty = false
			c.raw.body = cn.watchBody(cn.offered)
		}
		return err
	})
	return w, err
}

// Reset ends a transaction; see [smtp.Client.Reset].
func (c *Client) Reset() error {
	return c.do(StageUnknown, func(cn *conn) error {
		err := cn.smtp.Reset()
		cn.dirty = cn.dirty && err != nil
		return err
	})
}

// Noop does nothing but see whether the server answers; see
// [smtp.Client.Noop].
func (c *Client) Noop() error {
	return c.do(StageUnknown, func(cn *conn) error { return cn.smtp.Noop() })
}

// Verify asks for an address; see [smtp.Client.Verify].
func (c *Client) Verify(addr string) error {
	return c.do(StageUnknown, func(cn *conn) error { return cn.smtp.Verify(addr) })
}

// Extension says whether the server offers an extension, and with which
// parameters; see [smtp.Client.Extension].
func (c *Client) Extension(ext string) (bool, string) {
	var ok bool
	var param string
	_ = c.do(StageHello, func(cn *conn) error {
		ok, param = cn.smtp.Extension(ext)
		return nil
	})
	return ok, param
}

// SupportsAuth says whether the server offers a mechanism; see
// [smtp.Client.SupportsAuth].
func (c *Client) SupportsAuth(mech string) bool {
	var ok bool
	_ = c.do(StageHello, func(cn *conn) error {
		ok = cn.smtp.SupportsAuth(mech)
		return nil
	})
	return ok
}

// MaxMessageSize returns the largest message that the server takes, in
// octets; see [smtp.Client.MaxMessageSize].
func (c *Client) MaxMessageSize() (size int, ok bool) {
	_ = c.do(StageHello, func(cn *conn) error {
		size, ok = cn.smtp.MaxMessageSize()
		return nil
	})
	return size, ok
}

// TLSConnectionState returns the state of TLS on the held connection; see
// [smtp.Client.TLSConnectionState].
func (c *Client) TLSConnectionState() (state tls.ConnectionState, ok bool) {
	_ = c.do(StageTLS, func(cn *conn) error {
		if cn.wire == nil {
			state, ok = cn.smtp.TLSConnectionState()
		} else if cn.wire.tls != nil {
			state, ok = cn.wire.tls.ConnectionState(), true
		}
		return nil
	})
	return state, ok
}

// Quit says goodbye on all idle connections and closes the Client; messages
// under way end as with Close.
func (c *Client) Quit() error {
	err := c.quitRaw()
	return errors.Join(err, c.shut(func(cn *conn) error { c.prepare(cn); return cn.quit() }))
}

func (c *Client) quitRaw() error {
	c.raw.mu.Lock()
	defer c.raw.mu.Unlock()
	cn := c.raw.conn.Load()
	if cn == nil {
		return nil
	}
	err := error(errUnfinished)
	if c.raw.body.whole() {
		err = cn.smtp.Quit()
	}
	c.drop()
	return err
}

// Close closes the Client and its idle connections, without a goodbye. A
// command that runs on the held connection is broken off. Messages that wait
// end with [ErrClosed], as do new ones; a transaction that is under way is
// finished. It is safe for concurrent use, and may be called more than once.
func (c *Client) Close() error {
	c.end(ErrClosed)
	if cn := c.raw.conn.Load(); cn != nil {
		cn.interrupt()
	}
	err := c.shut(func(cn *conn) error { cn.abort(); return nil })
	c.raw.mu.Lock()
	defer c.raw.mu.Unlock()
	if c.raw.conn.Load() != nil {
		c.drop()
	}
	return err
}

func (c *Client) shut(end func(*conn) error) error {
	c.end(ErrClosed)
	var errs []error
	for _, idle := range c.pool.close() {
		errs = append(errs, idle.end(func(kept io.Closer) error { return end(kept.(*conn)) }))
	}
	c.pool.host.farewell()
	return errors.Join(errs...)
}
