package testserver

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"
)

// A Message is one that the server accepted. Its fields are not changed later.
type Message struct {
	Queued string    // the id given in the reply
	Time   time.Time // when the body was complete
	Conn   int       // number of the connection
	Number int       // number of the MAIL on that connection
	Helo   string
	TLS    bool
	User   string            // authenticated user, empty if none
	From   string            // reverse-path
	Params map[string]string // MAIL parameters, keywords in upper case, values as sent; nil if none
	UTF8   bool              // SMTPUTF8 was asked for
	To     []Recipient       // accepted recipients, in order
	Body   []byte            // without dot-stuffing; nil unless Config.Bodies is KeepBody
	Size   int64             // bytes of the body
	Sum    [32]byte          // SHA-256 of the body; zero with KeepSize
	Bare   bool              // a CR or LF stood alone in the body
}

// A Recipient is one forward-path with its RCPT parameters.
type Recipient struct {
	Addr   string
	Params map[string]string // as in Message
}

// Addrs returns the recipients' addresses.
func (m *Message) Addrs() []string {
	addrs := make([]string, len(m.To))
	for i, r := range m.To {
		addrs[i] = r.Addr
	}
	return addrs
}

// Kind is what an Event tells of.
type Kind string

// The kinds of events.
const (
	Opened   Kind = "open"    // a connection was accepted; Text is the client's address
	Command  Kind = "command" // a line from the client
	Replied  Kind = "reply"   // a reply, lines separated by "\n"
	Accepted Kind = "message" // a message was accepted
	Refused  Kind = "refused" // a limit refused something; Text is its name
	Closed   Kind = "close"   // the connection has ended
)

// An Event is one thing that happened in a session.
type Event struct {
	Time    time.Time
	Conn    int
	Kind    Kind
	Text    string
	Message *Message // for Accepted
}

// Messages returns the accepted messages in the order of acceptance. The
// messages are shared and must not be changed.
func (s *Server) Messages() []*Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Transcript returns what was said, connection by connection, with "S: " and
// "C: " before each line. AUTH exchanges are hidden unless Config.ShowSecrets
// is set, bodies are given as their length.
func (s *Server) Transcript() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for i, t := range s.transcripts {
		fmt.Fprintf(&b, "# connection %d\n%s", i+1, t.String())
	}
	if s.transcriptLeft <= 0 && s.cfg.TranscriptSize > 0 {
		b.WriteString("# no more is kept\n")
	}
	return b.String()
}

// emit tells the observer and the transcript.
func (s *Server) emit(e Event) {
	e.Time = time.Now()
	prefix := ""
	switch e.Kind {
	case Command:
		prefix = "C: "
	case Replied:
		prefix = "S: "
	}
	if prefix != "" {
		s.mu.Lock()
		if s.transcriptLeft > 0 {
			for line := range strings.SplitSeq(e.Text, "\n") {
				s.transcriptLeft -= len(prefix) + len(line) + 1
				s.transcripts[e.Conn-1].WriteString(prefix + printable(line) + "\n")
			}
		}
		s.mu.Unlock()
	}
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(e)
	}
}

// printable makes control characters visible.
func printable(line string) string {
	if !strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return line
	}
	q := fmt.Sprintf("%q", line)
	return q[1 : len(q)-1]
}

// intake collects a body as it comes.
type intake struct {
	limit int64
	keep  Bodies
	body  []byte
	size  int64
	sum   hash.Hash
	bare  bool
}

func newIntake(limit int64, keep Bodies) *intake {
	in := &intake{limit: limit, keep: keep}
	if keep != KeepSize {
		in.sum = sha256.New()
	}
	return in
}

// add takes bytes; beyond the limit they are only counted.
func (in *intake) add(p []byte) {
	in.size += int64(len(p))
	if in.tooBig() {
		in.body = nil
		return
	}
	if in.sum != nil {
		in.sum.Write(p)
	}
	if in.keep == KeepBody {
		in.body = append(in.body, p...)
	}
}

func (in *intake) tooBig() bool { return in.size > in.limit }

// store puts what was collected into m.
func (in *intake) store(m *Message) {
	m.Body, m.Size, m.Bare = in.body, in.size, in.bare
	if in.sum != nil {
		in.sum.Sum(m.Sum[:0])
	}
	if in.keep == KeepBody && m.Body == nil {
		m.Body = []byte{}
	}
}
