package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A Conn is one end of a connection in memory. It is a full [net.Conn]: safe
// for concurrent use, deadlines wake calls that are already blocked, and
// errors have the shape that a *net.TCPConn gives them.
type Conn struct {
	local, remote net.Addr
	in, out       *stream
}

// Pipe returns the two ends of a connection with [DefaultBuffer] and no latency.
func Pipe() (net.Conn, net.Conn) {
	loop := net.IPv4(127, 0, 0, 1)
	a, b := pipe(&net.TCPAddr{IP: loop, Port: 40000}, &net.TCPAddr{IP: loop, Port: 25}, DefaultBuffer, 0)
	return a, b
}

func pipe(from, to net.Addr, buffer int, delay time.Duration) (client, server *Conn) {
	up, down := newStream(buffer, delay), newStream(buffer, delay)
	return &Conn{local: from, remote: to, in: down, out: up}, &Conn{local: to, remote: from, in: up, out: down}
}

// Read implements net.Conn. What the peer wrote before it closed is read
// first, then io.EOF; likewise, then ECONNRESET, after its Reset.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = c.opError("read", err)
	}
	return n, err
}

// Write implements net.Conn. It blocks while the peer's buffer is full; when
// it fails, the count says how much went into the buffer. After the peer has
// closed, one more Write succeeds and is lost, as with TCP, where the answer
// to it brings the news; from then on, and when it was blocked, it fails with
// EPIPE.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

// Close implements net.Conn: the peer reads what was written, then io.EOF.
// Unlike with TCP, that holds even if bytes from the peer were left unread.
func (c *Conn) Close() error {
	if !c.in.leave(false) {
		return c.opError("close", net.ErrClosed)
	}
	c.out.finish()
	return nil
}

// CloseWrite ends this direction only: the peer reads io.EOF after the rest,
// and can still be read from. Later writes fail with EPIPE.
func (c *Conn) CloseWrite() error {
	if !c.out.shut() {
		return c.opError("close", net.ErrClosed)
	}
	return nil
}

// Reset closes the connection as a TCP RST does: the peer can read what has
// arrived before, as on Linux and the BSDs; otherwise its calls fail with
// ECONNRESET.
func (c *Conn) Reset() error {
	if !c.in.leave(true) {
		return c.opError("close", net.ErrClosed)
	}
	c.out.abort()
	return nil
}

// LocalAddr implements net.Conn; it is a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn; it is a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.in.setReadDeadline(t) {
		return c.opError("set", net.ErrClosed)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if !c.out.setWriteDeadline(t) {
		return c.opError("set", net.ErrClosed)
	}
	return nil
}

func (c *Conn) opError(op string, err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
