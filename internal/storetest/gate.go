package storetest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A Gate is a way to a store that can be shut.
type Gate struct {
	URL string // of the store, by this way

	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

// NewGate makes a way to the store at a URL. It ends with the test.
func NewGate(t testing.TB, where string) *Gate {
	t.Helper()
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := u.Host
	u.Host = l.Addr().String()
	g := &Gate{URL: u.String(), conns: make(map[net.Conn]bool)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { g.serve(c, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.Shut()
		serving.Wait()
	})
	return g
}

func (g *Gate) serve(c net.Conn, to string) {
	defer c.Close()
	store, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer store.Close()
	if !g.enter(c, store) {
		return
	}
	defer g.leave(c, store)
	go func() {
		_, _ = io.Copy(store, c)
		store.Close()
	}()
	_, _ = io.Copy(c, store)
}

func (g *Gate) enter(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	for _, c := range conns {
		g.conns[c] = true
	}
	return true
}

func (g *Gate) leave(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		delete(g.conns, c)
	}
}

// Shut ends all connections, and lets no other through.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for c := range g.conns {
		c.Close()
	}
}

// Open lets connections through again.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}
