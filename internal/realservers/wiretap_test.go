//go:build linux

package realservers_test

import (
	"bytes"
	"context"
	"net"
	"sync"
)

// A wiretap keeps what is written to sockets.
type wiretap struct {
	mu     sync.Mutex
	buf    []byte
	behind int // groups of commands that went out with a dot
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// over listens in on all connections that dial makes.
func (w *wiretap) over(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &tapped{Conn: conn, w: w}, nil
	}
}

func (w *wiretap) said(s string) bool { return bytes.Contains(w.bytes(), []byte(s)) }

func (w *wiretap) bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.buf)
}

type tapped struct {
	net.Conn
	w *wiretap
}

func (c *tapped) Write(p []byte) (int, error) {
	c.w.mu.Lock()
	c.w.buf = append(c.w.buf, p...)
	if bytes.Contains(p, []byte("\r\n.\r\nMAIL FROM")) {
		c.w.behind++
	}
	c.w.mu.Unlock()
	return c.Conn.Write(p)
}
