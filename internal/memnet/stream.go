package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A stream is one direction of a connection: a bounded ring of bytes between
// the end that writes and the end that reads.
type stream struct {
	delay time.Duration
	limit int // most bytes held

	mu       sync.Mutex
	ring     []byte
	start, n int       // the bytes held: ring[start:start+n], wrapping round
	marks    []mark    // when the held bytes arrive; used with a delay only
	arrived  int       // bytes at the front whose mark has passed
	writer   end       // the end that writes
	reader   end       // the end that reads
	eof      happening // the writer will write no more
	gone     happening // the reader will read no more
	told     happening // the writer has heard that from the answer to a write
	reset    happening // the writer has reset the connection
	cut      happening // the reader has reset the connection
}

// A mark says when the next n bytes arrive.
type mark struct {
	n  int
	at time.Time
}

// An end is where calls block: one for readers, one for writers.
type end struct {
	wake     sync.Cond
	deadline time.Time
	closed   bool // closed by its own side
	shut     bool // writer only: CloseWrite was called
	waiting  int
	timer    *time.Timer
}

// A happening is something that one end did and that the other end notices
// when the news has travelled.
type happening struct {
	set bool
	at  time.Time // zero: at once
}

func (h happening) due() bool { return h.set && (h.at.IsZero() || !time.Now().Before(h.at)) }

func newStream(limit int, delay time.Duration) *stream {
	s := &stream{limit: limit, delay: delay}
	s.reader.wake.L = &s.mu
	s.writer.wake.L = &s.mu
	return s
}

// read takes what has arrived, or waits for it.
func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.reader.closed:
			return 0, net.ErrClosed
		case past(s.reader.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		if n := s.take(p); n > 0 {
			s.writer.wake.Broadcast()
			return n, nil
		}
		switch {
		case s.reset.due():
			return 0, syscall.ECONNRESET
		case s.n == 0 && s.eof.due():
			return 0, io.EOF
		}
		wakeAt := s.reader.deadline
		if len(s.marks) > 0 {
			wakeAt = earlier(wakeAt, s.marks[0].at)
		}
		wakeAt = earlier(wakeAt, s.eof.at)
		s.reader.wait(earlier(wakeAt, s.reset.at))
	}
}

// write puts all of p into the ring, or says how much of it went in.
func (s *stream) write(p []byte) (done int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost(p) {
		return len(p), nil
	}
	for {
		switch {
		case s.writer.closed:
			return done, net.ErrClosed
		case s.cut.due():
			return done, syscall.ECONNRESET
		case s.writer.shut, s.gone.due():
			return done, syscall.EPIPE
		case past(s.writer.deadline):
			return done, os.ErrDeadlineExceeded
		case done == len(p):
			return done, nil
		}
		if n := s.put(p[done:]); n > 0 {
			done += n
			s.reader.wake.Broadcast()
			continue
		}
		s.writer.wait(earlier(earlier(s.writer.deadline, s.gone.at), s.cut.at))
	}
}

// lost tells whether a write goes to a peer that has closed, without the
// writer being able to know: only the RST that answers the first such write
// tells it. What it had received before stays readable.
func (s *stream) lost(p []byte) bool {
	if len(p) == 0 || s.writer.closed || s.writer.shut || past(s.writer.deadline) || s.cut.due() || !s.gone.due() || s.told.due() {
		return false
	}
	if !s.told.set {
		s.told.set = true
		if s.delay > 0 {
			s.told.at = time.Now().Add(2 * s.delay)
		}
	}
	return true
}

// take moves arrived bytes into p.
func (s *stream) take(p []byte) int {
	ready := s.n
	if s.delay > 0 {
		for len(s.marks) > 0 && past(s.marks[0].at) {
			s.arrived += s.marks[0].n
			s.marks = s.marks[1:]
		}
		ready = s.arrived
	}
	total := 0
	for total < len(p) && ready > 0 {
		run := min(ready, len(s.ring)-s.start)
		n := copy(p[total:], s.ring[s.start:s.start+run])
		s.start = (s.start + n) % len(s.ring)
		s.n -= n
		ready -= n
		total += n
	}
	if s.delay > 0 {
		s.arrived = ready
	}
	if s.n == 0 {
		s.start = 0
	}
	return total
}

// put moves as much of p into the ring as fits.
func (s *stream) put(p []byte) int {
	p = p[:min(len(p), s.limit-s.n)]
	if len(p) == 0 {
		return 0
	}
	s.grow(s.n + len(p))
	at := (s.start + s.n) % len(s.ring)
	n := copy(s.ring[at:], p)
	copy(s.ring, p[n:])
	s.n += len(p)
	if s.delay > 0 {
		s.marks = append(s.marks, mark{len(p), time.Now().Add(s.delay)})
	}
	return len(p)
}

// grow makes the ring hold at least n bytes: idle connections stay small.
func (s *stream) grow(n int) {
	if n <= len(s.ring) {
		return
	}
	ring := make([]byte, min(max(n, 2*len(s.ring), 2048), s.limit))
	run := copy(ring, s.ring[s.start:min(s.start+s.n, len(s.ring))])
	copy(ring[run:], s.ring[:s.n-run])
	s.ring, s.start = ring, 0
}

// drop forgets what is held.
func (s *stream) drop() {
	s.n, s.start, s.arrived, s.marks, s.ring = 0, 0, 0, nil, nil
}

// shut ends the writing; false when the end is closed.
func (s *stream) shut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer.closed {
		return false
	}
	s.writer.shut = true
	s.happen(&s.eof)
	return true
}

// finish is shut by Close: the writing end is gone.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer.closed = true
	s.happen(&s.eof)
}

// abort is finish by Reset.
func (s *stream) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer.closed = true
	s.happen(&s.reset)
}

// leave ends the reading, by a close or a reset; false when it had ended.
func (s *stream) leave(reset bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader.closed {
		return false
	}
	s.reader.closed = true
	if reset {
		s.happen(&s.cut)
	}
	s.happen(&s.gone)
	s.drop()
	return true
}

// happen notes h and wakes both ends to look at it.
func (s *stream) happen(h *happening) {
	if !h.set {
		h.set = true
		if s.delay > 0 {
			h.at = time.Now().Add(s.delay)
		}
	}
	s.reader.wake.Broadcast()
	s.writer.wake.Broadcast()
}

func (s *stream) setReadDeadline(t time.Time) bool  { return s.setDeadline(&s.reader, t) }
func (s *stream) setWriteDeadline(t time.Time) bool { return s.setDeadline(&s.writer, t) }

func (s *stream) setDeadline(e *end, t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.closed {
		return false
	}
	e.deadline = t
	if e.waiting > 0 {
		e.wake.Broadcast() // those who wait plan anew
	}
	return true
}

// wait blocks until something changes, or until the time comes that was
// asked for; zero is never. The stream is locked.
func (e *end) wait(until time.Time) {
	e.waiting++
	if !until.IsZero() {
		d := max(time.Until(until), 0)
		if e.timer == nil {
			e.timer = time.AfterFunc(d, func() {
				e.wake.L.Lock()
				defer e.wake.L.Unlock()
				e.wake.Broadcast()
			})
		} else {
			e.timer.Reset(d)
		}
	}
	e.wake.Wait()
	e.waiting--
	if e.waiting == 0 && e.timer != nil {
		e.timer.Stop()
	}
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// earlier returns the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
