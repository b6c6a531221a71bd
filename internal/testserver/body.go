package testserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// readBody reads what follows a 354, up to the dot. Only CRLF.CRLF ends it:
// anything else would let one message smuggle in another.
func (s *session) readBody() {
	at := s.at(Body)
	early, giveBack := s.srv.director.ask(at)
	in := newIntake(s.srv.cfg.MaxSize, s.srv.cfg.Bodies)
	answered := false // there was a reply already: the dot gets none
	lineStart, afterCR := true, false
	for {
		if early != nil && in.size >= early.atByte {
			if early.then != stayOpen {
				s.broken(in)
			}
			s.playEarly(early)
			if s.over {
				return
			}
			answered = early.text != ""
			early = nil
		}
		if s.srv.cfg.EarlySize && in.tooBig() && !answered {
			s.broken(in)
			s.play(s.tooBig().ThenClose())
			return
		}
		p, err := s.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			s.broken(in)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.play(s.timeout())
			}
			s.over = true
			return
		}
		if lineStart {
			if string(p) == ".\r\n" {
				break
			}
			if p[0] == '.' {
				p = p[1:]
			}
		}
		text, ended := bytes.CutSuffix(p, []byte("\n"))
		text, cr := bytes.CutSuffix(text, []byte("\r"))
		restOfCRLF := afterCR && ended && !cr && len(text) == 0 // the buffer's end fell between CR and LF
		crlf := ended && (cr || restOfCRLF)
		if ended && !crlf || afterCR && !restOfCRLF || bytes.IndexByte(text, '\r') >= 0 {
			in.bare = true
		}
		in.add(p)
		lineStart, afterCR = crlf, !ended && cr
	}
	if early != nil {
		giveBack()
	}
	s.emit(Command, fmt.Sprintf("[body of %d bytes] .", in.size))
	if answered {
		s.forget()
		return
	}
	s.dot(in)
}

// playEarly plays an action while the body is coming. Falling silent here
// means not reading either.
func (s *session) playEarly(a *Action) {
	if a.then == fallSilent {
		s.play(a.thenEnd(stayOpen))
		s.flush()
		s.sleep(s.srv.cfg.IdleTimeout)
		s.over = true
		return
	}
	s.play(a)
	s.flush()
}

// broken notes a body that will not come to its dot, before the client can
// see the end.
func (s *session) broken(in *intake) {
	s.emit(Command, fmt.Sprintf("[body broken off after %d bytes]", in.size))
	s.srv.mu.Lock()
	s.srv.stats.Broken++
	s.srv.mu.Unlock()
}

func (s *session) tooBig() *Action {
	s.note(BySize)
	return s.ok("552 5.3.4 Error: message file too big")
}

// dot decides about a complete body: once, or with LMTP for each recipient
// (RFC 2033 section 4.2).
func (s *session) dot(in *intake) {
	id := fmt.Sprintf("%08X", s.total)
	var actions []*Action
	var accepted []Recipient
	at := s.at(Dot)
	at.Size = in.size
	if s.srv.cfg.LMTP {
		for _, to := range s.to {
			at.Rcpt = to.Addr
			a := s.decide(at, func() *Action {
				if in.tooBig() {
					return s.tooBig()
				}
				return s.ok("250 2.1.5 <" + to.Addr + "> Ok: queued as " + id)
			})
			actions = append(actions, a)
			if a.positive(2) || a.keep {
				accepted = append(accepted, to)
			}
		}
	} else {
		a := s.decide(at, func() *Action {
			if in.tooBig() {
				return s.tooBig()
			}
			return s.ok("250 2.0.0 Ok: queued as " + id)
		})
		actions = append(actions, a)
		if a.positive(2) || a.keep {
			accepted = s.to
		}
	}
	if len(accepted) > 0 {
		m := &Message{
			Queued: id, Time: at.Time, Conn: s.n, Number: s.mails,
			Helo: s.helo, TLS: s.tls, User: s.user,
			From: s.from, Params: s.params, UTF8: s.utf8, To: accepted,
		}
		in.store(m)
		s.srv.record(m)
	}
	s.forget()
	for _, a := range actions {
		if !s.over {
			s.play(a)
		}
	}
}

// record files an accepted message.
func (s *Server) record(m *Message) {
	s.mu.Lock()
	if len(s.messages) >= s.cfg.MaxMessages {
		s.messages = slices.Delete(s.messages, 0, 1+len(s.messages)/10)
	}
	s.messages = append(s.messages, m)
	s.stats.Accepted++
	s.stats.Delivered += len(m.To)
	s.mu.Unlock()
	s.emit(Event{Conn: m.Conn, Kind: Accepted, Text: m.Queued, Message: m})
}

// bdat takes one chunk (RFC 3030 section 2). The chunk is read whatever the
// reply will be, as the client sends it without waiting.
func (s *session) bdat(arg string) {
	size, last, _ := strings.Cut(arg, " ")
	n, err := strconv.ParseUint(size, 10, 62)
	if err != nil || last != "" && !strings.EqualFold(last, "LAST") || !s.srv.cfg.offers("CHUNKING") {
		// Where the chunk ends is not known.
		s.play(s.ok("501 5.5.4 Syntax: BDAT size [LAST]").ThenClose())
		return
	}
	in := s.chunks
	if in == nil {
		in = newIntake(s.srv.cfg.MaxSize, s.srv.cfg.Bodies)
	}
	inOrder := s.open && len(s.to) > 0
	var sink io.Writer = in
	if !inOrder {
		sink = io.Discard
	}
	if _, err := io.CopyN(sink, s.r, int64(n)); err != nil {
		if inOrder {
			s.broken(in)
		}
		s.over = true
		return
	}
	switch {
	case !s.open:
		s.play(s.ok("503 5.5.1 Error: need MAIL command"))
	case len(s.to) == 0:
		s.play(s.ok("554 5.5.1 Error: no valid recipients"))
	case last != "":
		s.dot(in)
	default:
		s.chunks = in
		if !s.step(s.at(Data), 2, func() *Action { return s.ok(fmt.Sprintf("250 2.0.0 %d octets received", n)) }, func() {}) {
			s.forget()
		}
	}
}

// Write takes a chunk's bytes.
func (in *intake) Write(p []byte) (int, error) {
	in.add(p)
	return len(p), nil
}
