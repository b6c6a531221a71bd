package check

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// How long a server may take for one reply. For the first it is longer: some
// make clients wait on purpose.
var (
	replyTimeout    = 20 * time.Second
	greetingTimeout = 30 * time.Second
)

const (
	// quitTimeout is for the reply to QUIT, which nobody needs.
	quitTimeout = 2 * time.Second

	// maxReplies is what a server may say in all.
	maxReplies = 256 << 10

	// minSecret is how short a secret is still looked for in replies.
	minSecret = 4
)

// hidden stands for a secret.
const hidden = "***"

// A Dialogue is what was said with one server, without secrets.
type Dialogue struct {
	Host   string // the server's name
	Server string // its address and port
	Client string // ours
	Lines  []Line
}

// A Line is one line of a dialogue.
type Line struct {
	At     time.Time
	Client bool   // said by us
	Text   string // without its end; secrets are ***
}

// A session is an SMTP connection.
type session struct {
	Dialogue
	conn    net.Conn
	in      *bufio.Reader
	offers  map[string]string // what EHLO offered: keyword in capitals, parameters
	state   *tls.ConnectionState
	trusted bool     // the certificate was verified
	secrets []string // that were said
	broken  bool     // nothing more can be said
}

func newSession(conn net.Conn, host string) *session {
	s := &session{Dialogue: Dialogue{Host: host, Server: conn.RemoteAddr().String(), Client: conn.LocalAddr().String()}}
	s.use(conn)
	return s
}

func (s *session) use(conn net.Conn) {
	s.conn, s.in = conn, bufio.NewReader(io.LimitReader(conn, maxReplies))
}

// within bounds what is done next.
func (s *session) within(ctx context.Context, d time.Duration) (end func() bool) {
	at := time.Now().Add(d)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(at) {
		at = deadline
	}
	_ = s.conn.SetDeadline(at)
	conn := s.conn
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// reply reads one reply. One that does not begin with the digits of want is a
// *textproto.Error.
func (s *session) reply(ctx context.Context, d time.Duration, want string) (text string, err error) {
	defer s.within(ctx, d)()
	var lines []string
	for {
		line, err := s.line()
		if err != nil {
			s.broken = true
			return "", err
		}
		if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			s.broken = true
			return "", textproto.ProtocolError("no reply: " + ui.Line(line))
		}
		lines = append(lines, strings.TrimSpace(line[min(len(line), 4):]))
		if len(line) == 3 || line[3] == ' ' {
			text = strings.Join(lines, "\n")
			if strings.HasPrefix(line, want) {
				return text, nil
			}
			code, _ := strconv.Atoi(line[:3])
			return text, &textproto.Error{Code: code, Msg: text}
		}
	}
}

func (s *session) line() (string, error) {
	b, err := s.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return "", textproto.ProtocolError("no reply: a line without an end")
	}
	if err == io.EOF && len(b) == 0 {
		return "", io.EOF
	}
	if err != nil && err != io.EOF {
		return "", err
	}
	line := s.redact(strings.TrimRight(string(b), "\r\n"))
	s.Lines = append(s.Lines, Line{At: time.Now(), Text: ui.Line(line)})
	return line, nil
}

// say sends a line. shown is what the dialogue has in its place, if it is not
// empty.
func (s *session) say(ctx context.Context, line, shown string) error {
	defer s.within(ctx, replyTimeout)()
	if strings.ContainsAny(line, "\r\n") {
		return errors.New("a line within a line")
	}
	if shown == "" {
		shown = line
	}
	s.Lines = append(s.Lines, Line{At: time.Now(), Client: true, Text: ui.Line(shown)})
	_, err := io.WriteString(s.conn, line+"\r\n")
	s.broken = s.broken || err != nil
	return err
}

// ask sends a command and reads its reply.
func (s *session) ask(ctx context.Context, want, command string) (string, error) {
	if err := s.say(ctx, command, ""); err != nil {
		return "", err
	}
	return s.reply(ctx, replyTimeout, want)
}

func (s *session) quit(ctx context.Context) {
	if !s.broken {
		if err := s.say(ctx, "QUIT", ""); err == nil {
			_, _ = s.reply(ctx, quitTimeout, "2")
		}
	}
	s.conn.Close()
}

// keepSecret has a secret taken out of what the server says from now on, also
// in base64.
func (s *session) keepSecret(secret string) {
	coded := base64.StdEncoding.EncodeToString([]byte(secret))
	for _, w := range []string{secret, coded, strings.TrimRight(coded, "=")} {
		if len(w) >= minSecret {
			s.secrets = append(s.secrets, w, hidden)
		}
	}
}

func (s *session) redact(line string) string {
	if len(s.secrets) == 0 {
		return line
	}
	return strings.NewReplacer(s.secrets...).Replace(line)
}

// offer reads the reply to EHLO.
func (s *session) offer(text string) {
	s.offers = map[string]string{}
	for _, line := range strings.Split(text, "\n")[1:] { // behind the greeting
		keyword, params, _ := strings.Cut(line, " ")
		if old, ok := strings.CutPrefix(keyword, "AUTH="); ok { // an old spelling
			keyword, params = "AUTH", old+" "+params
			if s.offers["AUTH"] != "" {
				continue
			}
		}
		s.offers[strings.ToUpper(keyword)] = strings.TrimSpace(params)
	}
}
