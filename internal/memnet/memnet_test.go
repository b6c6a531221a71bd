package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/internal/memnet"
)

// connect returns both ends of a connection over n.
func connect(t *testing.T, n *memnet.Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = n.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// wantErr checks that err is a *net.OpError of op that wraps want.
func wantErr(t *testing.T, err error, op string, want error) {
	t.Helper()
	var oe *net.OpError
	if !errors.As(err, &oe) || oe.Op != op || !errors.Is(err, want) {
		t.Errorf("error %v (%T), want a *net.OpError of %s with %v", err, err, op, want)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
}

func TestCloseDeliversTheRest(t *testing.T) {
	a, b := memnet.Pipe()
	write(t, a, "last words")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(b)
	if string(got) != "last words" || err != nil {
		t.Errorf("ReadAll = %q, %v", got, err)
	}
	write(t, b, "lost: the answer to it tells that nobody is there")
	_, err = b.Write([]byte("x"))
	wantErr(t, err, "write", syscall.EPIPE)
	_, err = a.Write([]byte("x"))
	wantErr(t, err, "write", net.ErrClosed)
	_, err = a.Read(make([]byte, 1))
	wantErr(t, err, "read", net.ErrClosed)
	wantErr(t, a.Close(), "close", net.ErrClosed)
	wantErr(t, a.SetDeadline(time.Time{}), "set", net.ErrClosed)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWriteLeavesTheOtherDirection(t *testing.T) {
	a, b := memnet.Pipe()
	write(t, a, "question")
	if err := a.(*memnet.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); string(got) != "question" || err != nil {
		t.Errorf("ReadAll = %q, %v", got, err)
	}
	write(t, b, "answer")
	got := make([]byte, 6)
	if _, err := io.ReadFull(a, got); string(got) != "answer" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	_, err := a.Write([]byte("x"))
	wantErr(t, err, "write", syscall.EPIPE)
}

func TestReset(t *testing.T) {
	a, b := memnet.Pipe()
	write(t, a, "last words")
	if err := a.(*memnet.Conn).Reset(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 20)
	n, err := b.Read(got)
	if string(got[:n]) != "last words" || err != nil {
		t.Errorf("read %q, %v", got[:n], err)
	}
	_, err = b.Read(got)
	wantErr(t, err, "read", syscall.ECONNRESET)
	_, err = b.Write([]byte("x"))
	wantErr(t, err, "write", syscall.ECONNRESET)
	_, err = a.Read(make([]byte, 4))
	wantErr(t, err, "read", net.ErrClosed)
}

// TestBlockedCallsAreWoken holds a reader and a full writer and wakes them by
// each thing that must wake them.
func TestBlockedCallsAreWoken(t *testing.T) {
	past := time.Unix(1, 0)
	for _, tt := range []struct {
		name        string
		do          func(own, peer *memnet.Conn)
		read, write error
	}{
		{"deadline", func(own, _ *memnet.Conn) { own.SetDeadline(past) }, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		{"later deadline", func(own, _ *memnet.Conn) { own.SetDeadline(time.Now().Add(time.Hour)) }, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		{"own close", func(own, _ *memnet.Conn) { own.Close() }, net.ErrClosed, net.ErrClosed},
		{"peer's close", func(_, peer *memnet.Conn) { peer.Close() }, io.EOF, syscall.EPIPE},
		{"peer's reset", func(_, peer *memnet.Conn) { peer.Reset() }, syscall.ECONNRESET, syscall.ECONNRESET},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own, peer := memnet.Pipe()
				defer own.Close()
				defer peer.Close()
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := own.Read(make([]byte, 1)); !errors.Is(err, tt.read) {
						t.Errorf("Read: %v, want %v", err, tt.read)
					}
				})
				wg.Go(func() {
					n, err := own.Write(make([]byte, memnet.DefaultBuffer+10))
					if n != memnet.DefaultBuffer || !errors.Is(err, tt.write) {
						t.Errorf("Write = %d, %v, want %d, %v", n, err, memnet.DefaultBuffer, tt.write)
					}
				})
				synctest.Wait()
				tt.do(own.(*memnet.Conn), peer.(*memnet.Conn))
				wg.Wait()
			})
		})
	}
}

func TestDeadlineIsATimeoutAndCanBeLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		start := time.Now()
		a.SetReadDeadline(start.Add(3 * time.Second))
		_, err := a.Read(make([]byte, 1))
		wantErr(t, err, "read", os.ErrDeadlineExceeded)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("waited %v", d)
		}
		a.SetReadDeadline(time.Time{})
		write(t, b, "x")
		if _, err := a.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the deadline was lifted: %v", err)
		}
	})
}

// TestDeadlineMovedWhileWaiting moves a deadline to and fro under a reader.
func TestDeadlineMovedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := memnet.Pipe()
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Second))
		done := make(chan time.Duration)
		go func() {
			a.Read(make([]byte, 1))
			done <- time.Since(start)
		}()
		synctest.Wait()
		a.SetReadDeadline(start.Add(time.Hour))
		time.Sleep(2 * time.Second)
		a.SetReadDeadline(start.Add(5 * time.Second))
		if d := <-done; d != 5*time.Second {
			t.Errorf("the read ended after %v, want 5s", d)
		}
	})
}

func TestLatency(t *testing.T) {
	const d = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(d)
		start := time.Now()
		client, server := connect(t, n)
		if got := time.Since(start); got != 2*d {
			t.Errorf("dialling took %v, want %v", got, 2*d)
		}

		// Two writes in a row arrive one delay after each: no round trip between them.
		start = time.Now()
		write(t, client, "one")
		time.Sleep(time.Millisecond)
		write(t, client, "two")
		buf := make([]byte, 16)
		if k, _ := server.Read(buf); string(buf[:k]) != "one" || time.Since(start) != d {
			t.Errorf("read %q after %v", buf[:k], time.Since(start))
		}
		if k, _ := server.Read(buf); string(buf[:k]) != "two" || time.Since(start) != d+time.Millisecond {
			t.Errorf("read %q after %v", buf[:k], time.Since(start))
		}

		// A deadline before the arrival wins, and the bytes are still there later.
		write(t, server, "late")
		client.SetReadDeadline(time.Now().Add(d / 2))
		_, err := client.Read(buf)
		wantErr(t, err, "read", os.ErrDeadlineExceeded)
		client.SetReadDeadline(time.Time{})
		start = time.Now()
		server.Close()
		if k, _ := client.Read(buf); string(buf[:k]) != "late" || time.Since(start) != d/2 {
			t.Errorf("read %q after %v", buf[:k], time.Since(start))
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Errorf("the close was noticed before it could be known: %v", err)
		}
		if _, err := client.Read(buf); err != io.EOF || time.Since(start) != d {
			t.Errorf("end after %v: %v", time.Since(start), err)
		}
		write(t, client, "lost")
		time.Sleep(2*d - 1)
		write(t, client, "lost too, the news is still on its way")
		time.Sleep(time.Nanosecond)
		_, err = client.Write([]byte("x"))
		wantErr(t, err, "write", syscall.EPIPE)
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		_, err := n.DialContext(t.Context(), "tcp", "127.0.0.1:25")
		wantErr(t, err, "dial", syscall.ECONNREFUSED)
		var dns *net.DNSError
		if _, err := n.DialContext(t.Context(), "tcp", "mx.example.test:25"); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("unknown name: %v", err)
		}
		if _, err := n.DialContext(t.Context(), "udp", "127.0.0.1:25"); !errors.As(err, new(net.UnknownNetworkError)) {
			t.Errorf("udp: %v", err)
		}
		for _, bad := range []string{"", "x", "x:smtp", "x:-1", "x:70000"} {
			if _, err := n.Listen(bad); err == nil {
				t.Errorf("Listen(%q) succeeded", bad)
			}
		}

		l, err := n.Listen("mx.example.test:25")
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.Listen("mx.example.test:25")
		wantErr(t, err, "listen", syscall.EADDRINUSE)
		for _, addr := range []string{"mx.example.test:25", l.Addr().String()} {
			c, err := n.DialContext(t.Context(), "tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if c.RemoteAddr().String() != l.Addr().String() {
				t.Errorf("connected to %v, want %v", c.RemoteAddr(), l.Addr())
			}
			s, err := l.Accept()
			if err != nil || s.RemoteAddr().String() != c.LocalAddr().String() {
				t.Errorf("accepted %v, %v", s, err)
			}
			s.Close()
		}

		// Closing the listener resets who was not accepted, wakes Accept, frees the address.
		c, err := n.DialContext(t.Context(), "tcp", "mx.example.test:25")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		_, err = c.Read(make([]byte, 1))
		wantErr(t, err, "read", syscall.ECONNRESET)
		_, err = l.Accept()
		wantErr(t, err, "accept", net.ErrClosed)
		_, err = n.DialContext(t.Context(), "tcp", "mx.example.test:25")
		wantErr(t, err, "dial", syscall.ECONNREFUSED)
		again, err := n.Listen("mx.example.test:25")
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error)
		go func() { _, err := again.Accept(); waiting <- err }()
		synctest.Wait()
		again.Close()
		wantErr(t, <-waiting, "accept", net.ErrClosed)
	})
}

func TestDialHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(time.Second)
		l, err := n.Listen("127.0.0.1:25")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, after := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			start := time.Now()
			_, err := n.DialContext(ctx, "tcp", "127.0.0.1:25")
			wantErr(t, err, "dial", context.DeadlineExceeded)
			if d := time.Since(start); d != after {
				t.Errorf("dial ended after %v, want %v", d, after)
			}
			cancel()
		}
	})
}

// TestAnyPatternOfReadsAndWrites sends random bytes in random pieces through
// small buffers, in both directions at once, with and without latency.
func TestAnyPatternOfReadsAndWrites(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, delay := range []time.Duration{0, 3 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			n.SetDelay(delay)
			n.SetBuffer(1 + int(seed%5000))
			a, b := connect(t, n)
			var wg sync.WaitGroup
			send := func(c net.Conn, data []byte, r *rand.Rand) {
				for len(data) > 0 {
					k, err := c.Write(data[:min(len(data), 1+r.IntN(9000))])
					if err != nil {
						t.Error(err)
						return
					}
					data = data[k:]
				}
				c.(*memnet.Conn).CloseWrite()
			}
			receive := func(c net.Conn, want []byte, r *rand.Rand) {
				var got []byte
				for {
					buf := make([]byte, 1+r.IntN(9000))
					k, err := c.Read(buf)
					got = append(got, buf[:k]...)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
				if !bytes.Equal(got, want) {
					t.Errorf("seed %d: %d bytes arrived, not as sent (%d)", seed, len(got), len(want))
				}
			}
			for i, dir := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				data := make([]byte, 100_000)
				for j := range data {
					data[j] = byte(r.Uint32())
				}
				wg.Go(func() { send(dir.from, data, rand.New(rand.NewPCG(seed, uint64(10+i)))) })
				wg.Go(func() { receive(dir.to, data, rand.New(rand.NewPCG(seed, uint64(20+i)))) })
			}
			wg.Wait()
		})
	}
}

// TestUseFromManyGoroutines gives the race detector something to look at,
// outside a bubble.
func TestUseFromManyGoroutines(t *testing.T) {
	n := memnet.New()
	a, b := connect(t, n)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				a.Write([]byte("some bytes"))
				a.SetDeadline(time.Now().Add(time.Minute))
			}
		})
		wg.Go(func() {
			for range 500 {
				if k, err := b.Read(make([]byte, 4)); k == 0 || err != nil {
					t.Errorf("Read = %d, %v", k, err)
					return
				}
				b.SetWriteDeadline(time.Now())
			}
		})
	}
	wg.Wait()
}

func BenchmarkThroughput(b *testing.B) {
	x, y := memnet.Pipe()
	go io.Copy(io.Discard, y)
	defer y.Close()
	defer x.Close()
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := x.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	x, y := memnet.Pipe()
	go io.Copy(y, y)
	defer y.Close()
	defer x.Close()
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		x.SetDeadline(time.Now().Add(time.Minute))
		if _, err := x.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(x, buf); err != nil {
			b.Fatal(err)
		}
	}
}
