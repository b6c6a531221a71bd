package testserver

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"time"
)

// play does what an action says.
func (s *session) play(a *Action) {
	if a.delay > 0 && (!s.flush() || !s.sleep(a.delay)) {
		s.over = true
		return
	}
	s.say(a)
	if a.then == hangUp || a.then == resetConn {
		s.leave() // before the reply's last byte is flushed
	}
	switch a.then {
	case hangUp:
		s.flush()
		if t, ok := s.conn.(*tls.Conn); ok && a.text != "" {
			t.SetWriteDeadline(time.Now().Add(time.Second))
			t.CloseWrite()
		}
		s.raw.Close()
		s.over = true
	case resetConn:
		s.flush()
		reset(s.raw)
		s.over = true
	case fallSilent:
		s.flush()
		s.conn.SetReadDeadline(time.Time{})
		io.Copy(io.Discard, s.conn)
		s.over = true
	}
}

// say writes the reply of an action.
func (s *session) say(a *Action) {
	if a.code() >= 400 {
		s.refused++
	}
	switch {
	case a.text == "":
	case a.endless:
		s.emit(Replied, a.text+" (endlessly)")
		for !s.over && s.sleep(a.drip) {
			s.w.WriteString(a.text + "\r\n")
			s.flush()
		}
	default:
		s.emit(Replied, a.text)
		out := a.text
		if !a.raw {
			out = strings.ReplaceAll(out, "\n", "\r\n") + "\r\n"
		}
		if a.drip <= 0 {
			s.w.WriteString(out)
			return
		}
		for i := 0; i < len(out) && !s.over && s.sleep(a.drip); i++ {
			s.w.WriteByte(out[i])
			if i < len(out)-1 {
				s.flush()
			}
		}
	}
}

// sleep waits for d; false when the server is closed before.
func (s *session) sleep(d time.Duration) bool {
	select {
	case <-s.srv.done:
		return false
	default:
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.srv.done:
		return false
	}
}

// reset closes a connection with a RST.
func reset(c net.Conn) {
	switch c := c.(type) {
	case interface{ Reset() error }:
		c.Reset()
	case *net.TCPConn:
		c.SetLinger(0)
		c.Close()
	default:
		c.Close()
	}
}
