package delay_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/bench/internal/delay"
)

const roundTrip = 60 * time.Millisecond

// pair returns both ends of a connection through a proxy.
func pair(t *testing.T, roundTrip time.Duration) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := delay.Listen(l.Addr().String(), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, c := range []net.Conn{c, s} {
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// TestDelay: each way takes half the round trip, no less ever, and no more than
// that at best: the machine may be busy.
func TestDelay(t *testing.T) {
	client, server := pair(t, roundTrip)
	best := time.Hour
	for range 5 {
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			start := time.Now()
			way[0].Write([]byte("x"))
			if _, err := io.ReadFull(way[1], make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			if took < roundTrip/2 {
				t.Errorf("one way took %v, want at least %v", took, roundTrip/2)
			}
			best = min(best, took)
		}
	}
	if best >= roundTrip {
		t.Errorf("one way took %v at best, want little more than %v", best, roundTrip/2)
	}
}

// TestAhead: what is sent without waiting for an answer is delayed once, not
// once each.
func TestAhead(t *testing.T) {
	client, server := pair(t, roundTrip)
	start := time.Now()
	for range 20 {
		client.Write([]byte("x"))
		time.Sleep(time.Millisecond)
	}
	if _, err := io.ReadFull(server, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*roundTrip {
		t.Errorf("20 octets took %v, want about %v", took, roundTrip/2)
	}
}

// TestAllArrives: much, in pieces of any size, both ways at once.
func TestAllArrives(t *testing.T) {
	client, server := pair(t, 10*time.Millisecond)
	const size = 32 << 20
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(data)
	want := sha256.Sum256(data)
	seed := rand.Uint64()
	t.Log("seed", seed)
	send := func(c *net.TCPConn, r *rand.Rand) {
		for rest := data; len(rest) > 0; {
			n := min(1+r.IntN(1<<r.IntN(20)), len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
		c.CloseWrite()
	}
	go send(client, rand.New(rand.NewPCG(seed, 1)))
	go send(server, rand.New(rand.NewPCG(seed, 2)))
	sums := make(chan [32]byte, 2)
	for _, c := range []net.Conn{client, server} {
		go func() {
			h := sha256.New()
			n, err := io.Copy(h, c)
			if n != size || err != nil {
				t.Errorf("%d octets have arrived (%v), want %d", n, err, size)
			}
			sums <- [32]byte(h.Sum(nil))
		}()
	}
	for range 2 {
		if got := <-sums; got != want {
			t.Error("other octets have arrived than were sent")
		}
	}
}

// TestHalfClose: an end that has said all still hears the other.
func TestHalfClose(t *testing.T) {
	client, server := pair(t, 10*time.Millisecond)
	client.Write([]byte("all"))
	client.CloseWrite()
	if got, err := io.ReadAll(server); string(got) != "all" || err != nil {
		t.Errorf("the server has %q (%v), want all", got, err)
	}
	server.Write([]byte("heard"))
	server.Close()
	if got, err := io.ReadAll(client); string(got) != "heard" || err != nil {
		t.Errorf("the client has %q (%v), want heard", got, err)
	}
}

// TestReset: an end that breaks takes the other with it.
func TestReset(t *testing.T) {
	client, server := pair(t, 10*time.Millisecond)
	server.SetLinger(0)
	server.Close()
	_, err := client.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client's error is %v, want one", err)
	}
}

// TestBounded: a sender whose peer does not read is stopped.
func TestBounded(t *testing.T) {
	client, server := pair(t, 10*time.Millisecond)
	client.SetWriteDeadline(time.Now().Add(2 * time.Second))
	sent := 0
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for sent < 1<<30 {
		n, err := client.Write(piece)
		sent += n
		if err != nil {
			break
		}
	}
	if sent >= 200<<20 {
		t.Errorf("%d octets were taken for a peer that does not read", sent)
	}
	// And goes on when it does.
	client.CloseWrite()
	if n, err := io.Copy(io.Discard, server); n != int64(sent) || err != nil {
		t.Errorf("%d octets have arrived (%v), want %d", n, err, sent)
	}
}
