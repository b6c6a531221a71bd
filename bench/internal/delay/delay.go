// Package delay stands between clients and a server and makes the way longer:
// all octets arrive, in order, half a round trip later than they were sent, at
// any speed.
package delay

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// window is how many octets may be under way in one direction of a
	// connection; a sender that is faster is stopped, as by a full network. It
	// is above what fits into 50 ms at 1 GB/s.
	window = 64 << 20

	// chunk is what is read at once.
	chunk = 64 << 10
)

// A Proxy takes connections and hands them on to one server. Safe for
// concurrent use.
type Proxy struct {
	listener net.Listener
	to       string
	oneWay   time.Duration
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

// Listen starts a proxy on a free port of 127.0.0.1 to the server at to, host:port,
// a round trip of so long away.
func Listen(to string, roundTrip time.Duration) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, to: to, oneWay: roundTrip / 2, conns: map[net.Conn]bool{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns where clients connect, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends the proxy and all its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	err := p.listener.Close()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve hands one connection on.
func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	// The handshake: client and system are on one machine, so it has cost
	// nothing. A server knows of a connection after three ways.
	time.Sleep(3 * p.oneWay)
	server, err := net.Dial("tcp", p.to)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client) })
	both.Go(func() { p.carry(client, server) })
	both.Wait()
}

// keep remembers a connection for Close; false if that has been.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

// carry takes octets from one end to the other until there are no more, and
// then tells the other end so. An end that has broken takes the other with it.
func (p *Proxy) carry(to, from net.Conn) {
	q := newQueue()
	var reading sync.WaitGroup
	reading.Go(func() { q.fill(from, p.oneWay) })
	if err := q.drain(to); err != nil {
		reset(from)
		reset(to)
	} else if t, ok := to.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	reading.Wait()
}

// reset closes a connection so that its peer sees that something has broken.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// A queue holds what is under way in one direction.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	parcels []parcel
	size    int // octets in parcels
	end     error
	given   bool // nobody takes any more
}

// A parcel is what came at one moment, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

func newQueue() *queue {
	q := &queue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// fill reads until the end.
func (q *queue) fill(from io.Reader, oneWay time.Duration) {
	var room []byte
	for {
		if len(room) < chunk/4 {
			room = make([]byte, chunk)
		}
		n, err := from.Read(room)
		due := time.Now().Add(oneWay)
		q.mu.Lock()
		if n > 0 {
			q.parcels = append(q.parcels, parcel{room[:n:n], due})
			q.size += n
			room = room[n:]
		}
		if err != nil { // it travels, too
			q.parcels, q.end = append(q.parcels, parcel{due: due}), err
		}
		q.changed.Broadcast()
		for q.size >= window && !q.given {
			q.changed.Wait()
		}
		given := q.given
		q.mu.Unlock()
		if err != nil || given {
			return
		}
	}
}

// drain writes until the end, all that is due at once. It returns an error
// when the way has broken.
func (q *queue) drain(to io.Writer) error {
	defer q.giveUp()
	for {
		load, last := q.take()
		if _, err := load.WriteTo(to); err != nil {
			return err
		}
		if last {
			if errors.Is(q.end, io.EOF) {
				return nil
			}
			return q.end
		}
	}
}

// take waits until something is due and returns all that is.
func (q *queue) take() (load net.Buffers, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.parcels) == 0 {
		q.changed.Wait()
	}
	if early := time.Until(q.parcels[0].due); early > 0 {
		q.mu.Unlock()
		sleep(early)
		q.mu.Lock()
	}
	now := time.Now()
	n := 0
	for ; n < len(q.parcels) && !q.parcels[n].due.After(now); n++ {
		if q.parcels[n].data == nil {
			last = true
			break
		}
		load = append(load, q.parcels[n].data)
		q.size -= len(q.parcels[n].data)
	}
	if q.parcels = q.parcels[n:]; len(q.parcels) == 0 {
		q.parcels = nil // with all that was before
	}
	q.changed.Broadcast()
	return load, last
}

func (q *queue) giveUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.given = true
	q.changed.Broadcast()
}
