package testserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

const (
	maxCommandLine = 2048     // longer than any command with its extensions' parameters
	maxAuthLine    = 12288    // RFC 4954 section 4
	maxLongLine    = 1 << 20  // a line longer than this ends the session
	readBuffer     = 16 << 10 // a body comes through it
	slotGrace      = 10 * time.Millisecond
)

// A session is one connection. One goroutine runs it.
type session struct {
	srv  *Server
	n    int      // number of the connection
	raw  net.Conn // as accepted
	conn net.Conn // raw, or TLS over it
	r    *bufio.Reader
	w    *bufio.Writer

	patience time.Duration // how long a read may take
	over     bool          // the session has ended
	inside   bool          // counted in Stats.Open
	turned   bool          // turned away by the greeting

	commands, errors int
	refused          int    // commands, for whatever reason
	mails            int    // MAILs in order, refused ones included
	admitted         int    // MAILs that the limits let in
	total            int    // number of the last MAIL among all connections
	line             string // the current command
	helo             string
	tls              bool
	user             string
	domains          map[string]bool // of the recipients that were accepted

	transaction
}

// A transaction is what RSET forgets.
type transaction struct {
	open   bool // MAIL was accepted
	from   string
	params map[string]string
	utf8   bool
	to     []Recipient
	chunks *intake // BDAT has begun
}

func newSession(srv *Server, conn net.Conn, n int) *session {
	s := &session{srv: srv, n: n, raw: conn, conn: conn, patience: srv.cfg.IdleTimeout, domains: make(map[string]bool)}
	s.r = bufio.NewReaderSize(s, readBuffer)
	s.w = bufio.NewWriter(conn)
	return s
}

// run is the life of a session.
func (s *session) run() {
	defer s.finish()
	s.emit(Opened, s.raw.RemoteAddr().String())
	if s.srv.cfg.TLS == ImplicitTLS && !s.implicitTLS() {
		return
	}
	s.greet()
	for !s.over {
		s.next()
	}
	s.flush()
}

// finish takes the session out of the server's books.
func (s *session) finish() {
	s.leave()
	s.raw.Close()
	s.srv.mu.Lock()
	delete(s.srv.conns, s.raw)
	s.srv.mu.Unlock()
	s.emit(Closed, "")
}

// leave counts the connection out. It is called before the client can see the
// end, so that a client that comes back at once finds its slot free.
func (s *session) leave() {
	if s.inside {
		s.inside = false
		s.srv.leave()
	}
}

// Read is what the buffered reader reads from: replies go out before the
// session waits for more, so those to a pipelined group leave together.
func (s *session) Read(p []byte) (int, error) {
	if !s.flush() {
		return 0, io.ErrClosedPipe
	}
	s.conn.SetReadDeadline(time.Now().Add(s.patience))
	n, err := s.conn.Read(p)
	if n > 0 && s.srv.cfg.OnInput != nil {
		s.srv.cfg.OnInput(s.n, p[:n])
	}
	return n, err
}

func (s *session) flush() bool {
	if s.w.Buffered() == 0 {
		return true
	}
	s.conn.SetWriteDeadline(time.Now().Add(s.srv.cfg.IdleTimeout))
	if s.w.Flush() != nil {
		s.over = true
		return false
	}
	return true
}

// greet lets the connection in, or not, and says so.
func (s *session) greet() {
	welcome := s.step(s.at(Greeting), 2, func() *Action {
		if r := s.enter(); r != nil {
			return s.refuse(r, "")
		}
		if s.srv.cfg.LMTP {
			return Reply("220 " + s.srv.cfg.Name + " LMTP")
		}
		return Reply("220 " + s.srv.cfg.Name + " ESMTP")
	}, func() {
		if !s.inside { // a scripted welcome asked no limit
			s.srv.mu.Lock()
			s.srv.enter()
			s.srv.mu.Unlock()
			s.inside = true
		}
	})
	s.turned = !welcome
}

// enter asks the limits on connections. When all slots are taken, it gives
// clients that have just hung up a moment to be noticed.
func (s *session) enter() *refusal {
	start := time.Now()
	for {
		now := time.Now()
		r := s.srv.admitConn(now)
		if r == nil {
			s.inside = true
			return nil
		}
		if r.by != ByMaxConns || now.Sub(start) >= slotGrace || !s.sleep(slotGrace/5) {
			return r
		}
	}
}

// next waits for one command and obeys it.
func (s *session) next() {
	var idle *Action
	giveBack := func() {}
	if s.r.Buffered() == 0 {
		if a, back := s.srv.director.ask(s.at(Idle)); a != nil && !a.pass {
			idle, giveBack, s.patience = a.After(0), back, a.delay
		}
	}
	line, err := s.readLine(maxAuthLine)
	s.patience = s.srv.cfg.IdleTimeout
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && idle != nil:
		s.play(idle)
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.play(s.timeout())
		return
	}
	giveBack()
	verb, arg, _ := strings.Cut(line, " ")
	verb, arg = strings.ToUpper(verb), strings.TrimSpace(arg)
	switch {
	case errors.Is(err, errLongLine), err == nil && verb != "AUTH" && len(line) > maxCommandLine:
		s.commands++
		s.emit(Command, verb+" ... (line too long)")
		s.bad("500 5.5.2 Error: line too long")
		return
	case err != nil:
		s.over = true
		return
	}
	s.commands++
	s.line = line
	shown := line
	if verb == "AUTH" && !s.srv.cfg.ShowSecrets {
		mech, _, _ := strings.Cut(arg, " ")
		shown = "AUTH " + mech + " ***"
	}
	s.emit(Command, shown)
	if s.r.Buffered() > 0 && verb != "BDAT" && (!s.srv.cfg.offers("PIPELINING") || s.srv.cfg.Ahead == RefuseAhead) {
		s.note(ByPipelining)
		s.bad("503 5.5.0 Error: commands sent ahead, which is not allowed here")
		return
	}
	if s.turned && verb != "QUIT" { // RFC 5321 section 3.1
		s.bad("503 5.5.1 Error: the greeting was no welcome")
		return
	}
	ahead := s.r.Buffered() > 0 && verb != "BDAT"
	refused := s.refused
	s.obey(verb, arg)
	switch {
	case s.over:
	case ahead:
		s.mistreat(s.refused > refused)
	case verb == "DATA" && s.srv.cfg.Ahead == DropBehind:
		patience := s.patience
		s.patience = time.Millisecond
		_, _ = s.r.Peek(1)
		_, _ = s.r.Discard(s.r.Buffered())
		s.patience = patience
	}
}

// mistreat does to the commands behind the one that was answered what the
// configuration says.
func (s *session) mistreat(refused bool) {
	switch how := s.srv.cfg.Ahead; {
	case how == DropAhead, how == DropRefused && refused:
		_, _ = s.r.Discard(s.r.Buffered())
	case how == HangUpOnNext:
		s.play(Close())
	}
}

func (s *session) timeout() *Action {
	return Reply(s.plain("421 4.4.2 " + s.srv.cfg.Name + " Error: timeout exceeded")).ThenClose()
}

// errLongLine is a line beyond the limit; it was read to its end.
var errLongLine = errors.New("line too long")

// readLine reads a line of at most limit bytes, without its end. LF alone ends
// a command too, as most servers have it; in a body it does not.
func (s *session) readLine(limit int) (string, error) {
	var line []byte
	total := 0
	for {
		p, err := s.r.ReadSlice('\n')
		if total += len(p); total <= limit {
			line = append(line, p...)
		}
		switch {
		case err == nil && total > limit:
			return "", errLongLine
		case err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
		case err != bufio.ErrBufferFull || total > maxLongLine:
			return "", err
		}
	}
}

// at is where the session stands.
func (s *session) at(stage Stage) At {
	return At{
		Stage: stage, Time: time.Now(), Remote: s.raw.RemoteAddr(),
		Conn: s.n, Command: s.commands, Line: s.line, Helo: s.helo,
		TLS: s.tls, User: s.user,
		Message: s.mails, Total: s.total, From: s.from, Rcpts: len(s.to),
	}
}

// step passes a stage: the script's action if there is one, else the normal
// one. done runs when the reply's first digit is ok, before the client can
// see it. step tells whether it was ok and the session goes on.
func (s *session) step(at At, ok int, normal func() *Action, done func()) bool {
	a := s.decide(at, normal)
	fine := a.positive(ok)
	if fine {
		done()
	}
	s.play(a)
	return fine && !s.over
}

// decide asks the script.
func (s *session) decide(at At, normal func() *Action) *Action {
	a, _ := s.srv.director.ask(at)
	switch {
	case a == nil:
		return normal()
	case a.pass:
		return normal().dress(a)
	}
	return a
}

// bad answers a command that is wrong, and ends a session of too many.
func (s *session) bad(reply string) {
	s.errors++
	if most := s.srv.cfg.MaxErrors; most > 0 && s.errors > most {
		s.play(Reply(s.plain("421 4.7.0 " + s.srv.cfg.Name + " Error: too many errors")).ThenClose())
		return
	}
	s.play(Reply(s.plain(reply)))
}

// ok is a reply of the server's own.
func (s *session) ok(reply string) *Action { return Reply(s.plain(reply)) }

// plain takes the enhanced code off a one-line reply when they are not offered.
func (s *session) plain(reply string) string {
	if s.srv.cfg.offers("ENHANCEDSTATUSCODES") || len(reply) < 4 {
		return reply
	}
	code, rest, found := strings.Cut(reply[4:], " ")
	if found && strings.Count(code, ".") == 2 && strings.Trim(code, "0123456789.") == "" {
		return reply[:4] + rest
	}
	return reply
}

// forget ends the transaction.
func (s *session) forget() { s.transaction = transaction{} }

// ip is the client's address without the port.
func (s *session) ip() string {
	host, _, err := net.SplitHostPort(s.raw.RemoteAddr().String())
	if err != nil {
		return s.raw.RemoteAddr().String()
	}
	return host
}

func (s *session) emit(kind Kind, text string) {
	s.srv.emit(Event{Conn: s.n, Kind: kind, Text: text})
}
