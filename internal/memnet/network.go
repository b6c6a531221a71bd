// Package memnet is a network in memory: listeners, dialling and buffered
// connections that behave as TCP does on a loopback interface, without
// sockets. Every point at which a call can block is a channel, a sync.Cond or
// a timer, so that inside a testing/synctest bubble a blocked call lets the
// bubble's clock move on. It starts no goroutine of its own.
package memnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// DefaultBuffer is how many bytes one direction of a connection holds before
// its writer has to wait for the reader.
const DefaultBuffer = 64 << 10

// A Network is a set of listeners that can be dialled. Safe for concurrent
// use. A Network used inside a synctest bubble belongs to that bubble.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // by IP:port
	names     map[string]net.IP    // host names that were listened on
	lastPort  int
	lastHost  byte
	delay     time.Duration
	buffer    int
}

// New returns an empty network without latency.
func New() *Network {
	return &Network{
		listeners: make(map[string]*listener),
		names:     map[string]net.IP{"localhost": net.IPv4(127, 0, 0, 1)},
		lastPort:  40000,
		buffer:    DefaultBuffer,
	}
}

// SetDelay sets the one-way latency of connections dialled from now on; 0,
// the default, is none. Written bytes can be read one delay later, as can a
// close or a reset; dialling takes two.
func (n *Network) SetDelay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = max(d, 0)
}

// SetBuffer sets how many bytes each direction of connections dialled from
// now on holds; values below 1 mean [DefaultBuffer].
func (n *Network) SetBuffer(bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if bytes < 1 {
		bytes = DefaultBuffer
	}
	n.buffer = bytes
}

// Listen announces on addr, "host:port". The host is an IP address or any
// name; a name gets an address in 192.0.2.0/24 (RFC 5737) and can be dialled
// by either. An empty host is 127.0.0.1. Port 0 picks a free port. An address
// in use is a *net.OpError with EADDRINUSE.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	host, port, err := splitAddr(addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	at := &net.TCPAddr{IP: n.lookup(host), Port: port}
	if at.IP == nil {
		n.lastHost++
		at.IP = net.IPv4(192, 0, 2, n.lastHost)
		n.names[host] = at.IP
	}
	if port == 0 {
		n.lastPort++
		at.Port = n.lastPort
	}
	if n.listeners[at.String()] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: at, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{network: n, addr: at}
	l.arrived.L = &l.mu
	n.listeners[at.String()] = l
	return l, nil
}

// DialContext connects to addr. Errors are *net.OpError as [net.Dialer]
// gives them: ECONNREFUSED when nothing listens there, a *net.DNSError for a
// name that was never listened on, the context's error when it ends first.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	fail := func(to net.Addr, err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: err}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return fail(nil, net.UnknownNetworkError(network))
	}
	host, port, err := splitAddr(addr)
	if err != nil {
		return fail(nil, err)
	}
	n.mu.Lock()
	ip, delay, buffer := n.lookup(host), n.delay, n.buffer
	n.lastPort++
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.lastPort}
	n.mu.Unlock()
	if ip == nil {
		return fail(nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true})
	}
	to := &net.TCPAddr{IP: ip, Port: port}
	if !ip.IsLoopback() {
		from.IP = net.IPv4(192, 0, 2, 250)
	}
	if err := pause(ctx, delay); err != nil { // the request travels
		return fail(to, err)
	}
	n.mu.Lock()
	l := n.listeners[to.String()]
	n.mu.Unlock()
	client, server := pipe(from, to, buffer, delay)
	taken := l != nil && l.offer(server)
	if err := pause(ctx, delay); err != nil { // the answer travels
		client.Reset()
		return fail(to, err)
	}
	if !taken {
		return fail(to, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	return client, nil
}

// lookup returns the address of host, nil if it has none. n.mu is held.
func (n *Network) lookup(host string) net.IP {
	if host == "" {
		host = "localhost"
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip
	}
	return n.names[host]
}

// splitAddr takes "host:port" apart; the port is a number.
func splitAddr(addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, &net.AddrError{Err: "invalid port", Addr: addr}
	}
	return host, port, nil
}

// pause waits for d or for the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A listener queues connections until they are accepted.
type listener struct {
	network *Network
	addr    *net.TCPAddr

	mu      sync.Mutex
	arrived sync.Cond
	queue   []*Conn
	closed  bool
}

// offer queues c for Accept. It returns false when the listener is closed.
func (l *listener) offer(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.queue = append(l.queue, c)
	l.arrived.Signal()
	return true
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.arrived.Wait()
	}
	if l.closed {
		return nil, l.errClosed("accept")
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

// Close implements net.Listener. Connections that nobody has accepted are reset.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return l.errClosed("close")
	}
	l.closed = true
	queue := l.queue
	l.queue = nil
	l.arrived.Broadcast()
	l.mu.Unlock()

	l.network.mu.Lock()
	delete(l.network.listeners, l.addr.String())
	l.network.mu.Unlock()
	for _, c := range queue {
		c.Reset()
	}
	return nil
}

// Addr implements net.Listener; it is a *net.TCPAddr.
func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) errClosed(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
}

// String describes the listener in test output.
func (l *listener) String() string { return fmt.Sprintf("memnet %v", l.addr) }
