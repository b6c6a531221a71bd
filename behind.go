package smtpretry

import (
	"context"
	"io"
	"runtime"
	"time"
)

// While the reply to a message's final dot is to come, the connection has
// nothing to carry. So the next message's commands go out with the dot, in one
// write: RFC 2920 section 3.1 lets the end of a body begin a group, and a server that
// finds more to do answers all at once, where Nagle's algorithm would hold what it
// says after its reply to the dot until that is acknowledged. Neither message can
// come to harm by it. Whatever ends the connection before the reply to the dot,
// would have ended it anyway; the message behind has then not been offered, and
// goes another way without a try being counted. What is left is a server that
// closes without reading on, whose reply to the dot is lost on the way: it is
// not sent again then (RFC 1122 section 4.2.2.13). So a message goes behind
// another one only where the server has gone on after a dot before, and is not
// known to end the connection here; and not where the system throws away what
// has come when a connection is reset.
const (
	// behindFor is how long a message waits for the one before it: it is not
	// bound to a server that takes as long as it may (SubmissionTimeout).
	behindFor = 30 * time.Second

	// rideFor is how long the dot waits for them. They are there in microseconds
	// but for a body that takes its time to open.
	rideFor = 500 * time.Microsecond
)

// pass gives the connection of a message whose final dot is about to go out to
// the one that is next in line, for when g is released. It has carried
// used messages and may carry most; 0: any number.
func (g *permit) pass(conn io.Closer, used, most int) {
	p, h := g.link.pool, g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(p.waiters) == 0 || !p.waiters[0].behind || p.closed || h.shared() || h.state.pause.row > 0 || h.crowded() > 0 {
		return
	}
	if per := h.limit.PerConn; per > 0 && used >= per || most > 0 && used >= most {
		return
	}
	older := func(l line[*pool]) bool { return len(l) > 0 && l[0] != p && l[0].before(p) }
	now := h.limiter.now()
	if at, _ := h.state.ready(&h.bounds, p.waiters[0].rcpts, now); at > now || older(h.warm) || older(h.cold) {
		return
	}
	w := h.next(p)
	h.state.hold(w.rcpts)
	n := p.newPermit()
	n.link, n.conn, n.rcpts, n.turn, n.behind = g.link, conn, w.rcpts, w.done, true
	n.there = make(chan struct{}, 1)
	g.next, w.permit = n, n
	w.done <- struct{}{}
	h.dispatch(now)
}

// invite lets the commands of the message that is next in line go with e's dot.
// A long body may still be on its way, and they would wait for it.
func (cn *conn) invite(e *envelope, t talk) {
	x, ok := t.(*exchange)
	if ok && x.grouped && !x.long && cn.delivered > 0 && cn.groups.may(behind) && e.client.canDial() && runtime.GOOS != "windows" {
		e.permit.pass(cn, cn.used, cn.announced.mails)
	}
}

// ride gives the commands of the message behind g to the write of the dot; false
// if that would not wait any longer. They count as sent from then on.
func (g *permit) ride(group []byte) bool {
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.late || g.turn == nil {
		return false
	}
	g.group = group
	h.start(g)
	g.there <- struct{}{}
	return true
}

// walk says that nothing of g's goes with the dot.
func (g *permit) walk() {
	select {
	case g.there <- struct{}{}:
	default:
	}
}

// riders adds what goes out with the dot of g's message, if it is there in time.
func (g *permit) riders(to []byte) []byte {
	n := g.next
	if n == nil {
		return to
	}
	select {
	case <-n.there:
	default:
		timer := time.NewTimer(rideFor)
		select {
		case <-n.there:
		case <-timer.C:
		}
		timer.Stop()
	}
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	to = append(to, n.group...)
	n.late, n.group = true, nil
	return to
}

// giveTurn lets the permit behind g have the connection; false if there is
// none. Without conn, it is lost. The host's mutex is held.
func (g *permit) giveTurn(conn io.Closer) bool {
	n := g.next
	if n == nil || n.left {
		return false
	}
	n.gone = conn == nil
	n.turn <- struct{}{}
	return true
}

// await waits for g's turn; false if it has left its place before.
func (g *permit) await(ctx context.Context) bool {
	timer := time.NewTimer(behindFor)
	defer timer.Stop()
	select {
	case <-g.turn:
		g.turn = nil
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return !g.leave()
}

// leave gives up g's place behind another message; false if it is at none, or
// its turn has come. What it has written then ends the connection.
func (g *permit) leave() bool {
	if g.turn == nil {
		return false
	}
	h := g.link.pool.host
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-g.turn:
	default:
		// What has not been taken along yet stays.
		g.left, g.wrote = true, g.stage != permitHeld && g.group == nil
		g.group = nil
	}
	g.turn = nil
	g.walk()
	return g.left
}

// behind waits until the message before e is through with the connection. Where
// they can, e's commands go out with its dot. The error says that e must go
// another way; then the connection is not e's to touch.
func (cn *conn) behind(ctx context.Context, e *envelope) error {
	g := e.permit
	if g.turn == nil {
		return nil
	}
	x := cn.ahead(e)
	if x == nil {
		g.walk()
	} else if !g.ride(x.group) {
		x.done()
		x = nil
	} else {
		x.sent = len(x.group)
	}
	mine := g.await(ctx)
	if mine && !cn.dead {
		e.sent = x
		return nil
	}
	if x != nil {
		x.done()
	}
	if mine {
		return spent("it ended with the message before this one")
	}
	return spent("it still waits for the reply to the message before this one")
}

// ahead encodes e's commands, if they may go behind the dot of another message:
// not when go-smtp has to be asked for them, or the server would take them in
// parts.
func (cn *conn) ahead(e *envelope) *exchange {
	o, a := e.options, cn.announced
	plain := e.rcptOpts == nil && isPlain(o)
	if !plain || a.domains > 0 || a.rcpts > 0 && len(e.rcpts) > a.rcpts || cn.unfit(e) != nil {
		return nil
	}
	x := cn.talk(e, len(e.rcpts)).(*exchange) // as its predecessor's
	x.behind = true
	if err := x.begin(); err != nil || !x.grouped || len(x.group) > groupAtOnce {
		x.done()
		return nil
	}
	return x
}

// place returns where its group stood.
func (x *exchange) place() groupPlace {
	if x.behind {
		return behind
	}
	return within
}

// cutOff closes a connection on which a message has begun that nobody goes on
// with.
func cutOff(c io.Closer) error {
	if cn, ok := c.(*conn); ok {
		cn.abort()
	}
	return c.Close()
}
