package smtpretry

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// dataTimeout is how long one write of the body may make no progress
	// (RFC 5321 section 4.5.3.2.5); go-smtp sets no deadline there.
	dataTimeout = 3 * time.Minute

	// salvageTimeout is how long to look for a reply on a connection that
	// can no longer be written to.
	salvageTimeout = time.Second

	// restedAfter is how long a connection must have been idle to be looked
	// at before it is used again, which takes listenTime.
	restedAfter = time.Second
	listenTime  = time.Millisecond

	// quitTimeout bounds the goodbye.
	quitTimeout = 2 * time.Second
)

var (
	errReplyTooLong = &fault{rule: "reply-too-long", class: Unknown, cause: CauseProtocol, scope: ScopeConnection,
		msg: "the server's reply does not end"}
	errNoStartTLS = &fault{rule: "no-starttls", class: Permanent, cause: CauseTLS, scope: ScopeHost,
		msg: "the server does not offer STARTTLS, which Dialer.TLS asks for"}
	errInjected = &fault{rule: "starttls-injection", class: Permanent, cause: CauseTLS, scope: ScopeHost,
		msg: "the server, or somebody before it, sent plain text behind its reply to STARTTLS"}
	errCleartextAuth = &fault{rule: "cleartext-auth", class: Permanent, cause: CauseTLS, scope: ScopeAccount,
		msg: "AUTH would send the secret in clear text; use TLSStartTLS or TLSImplicit"}
	errAuthEndless = &fault{rule: "auth-endless", class: Unknown, cause: CauseProtocol, scope: ScopeConnection,
		msg: "the server's questions to AUTH do not end"}
)

// A wire is the net.Conn between go-smtp's client and the socket, above TLS.
// It bounds what go-smtp leaves unbounded, the upload of a body and the
// length of a reply, and knows whether all that was written has left.
//
// Only interrupt may be called from another goroutine.
type wire struct {
	net.Conn          // the socket, or TLS on it
	raw      net.Conn // the socket
	tls      *tls.Conn
	addr     string
	local    bool // does not leave this machine

	in       *bufio.Reader // of Conn: the only one that reads ahead
	text     []byte        // of the reply that was read last
	pending  []byte        // replies for go-smtp to read before it reads the socket's
	collect  *[]byte       // where go-smtp's commands are gathered, to be sent later; nil: they are sent
	lmtp     bool          // after the dot, there is a reply for each recipient
	rcpts    int           // how many of them
	unread   int           // what may still come of the current reply
	first    [3]byte
	check    replyCheck
	mixed    bool // what follows cannot be told apart
	firstLen int  // octets of first that are set: the code of the current reply
	deadline bool // go-smtp has set one
	authing  bool // within AUTH
	failed   bool // a write did not go out whole
	cut      atomic.Bool
}

// connect opens a connection up to where SMTP commands may be sent: greeting
// read, TLS established. The stage is that of the error.
func (d *Dialer) connect(ctx context.Context, timeout time.Duration) (*wire, Stage, error) {
	dial := d.NetDial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	raw, err := dial(ctx, "tcp", d.Addr)
	if err != nil {
		return nil, StageDial, err
	}
	w := &wire{Conn: raw, raw: raw, in: bufio.NewReader(raw), lmtp: d.LMTP}
	if a := raw.RemoteAddr(); a != nil {
		w.addr = a.String()
		// What NetDial connects to may be a proxy on this machine.
		w.local = isLoopbackAddr(w.addr) && (d.NetDial == nil || isLoopbackAddr(d.Addr))
	}
	stop := context.AfterFunc(ctx, w.interrupt)
	defer stop()

	stage, err := w.open(ctx, d, timeout)
	if err != nil {
		w.raw.Close()
		return nil, stage, err
	}
	return w, stage, nil
}

func (w *wire) open(ctx context.Context, d *Dialer, timeout time.Duration) (Stage, error) {
	mode := d.mode()
	if mode == TLSImplicit {
		if err := w.startTLS(ctx, d, timeout); err != nil {
			return StageTLS, err
		}
	}
	if err := w.SetDeadline(time.Now().Add(timeout)); err != nil {
		return StageGreeting, err
	}
	words, err := w.reply(220, nil)
	if err != nil {
		return StageGreeting, err
	}
	greeting, _, _ := strings.Cut(string(words), "\n")
	if mode == TLSStartTLS {
		if stage, err := w.askTLS(ctx, d, timeout); err != nil {
			return stage, err
		}
	}
	// go-smtp wants to read the greeting itself, and before TLS at that. It
	// has no use for its words, but a limit for the length of a line.
	w.pending = []byte("220 " + greeting[:min(len(greeting), 512)] + "\r\n")
	return StageGreeting, w.SetDeadline(time.Time{})
}

// askTLS is STARTTLS (RFC 3207). go-smtp could do it, but would then stand
// between the wire and TLS.
func (w *wire) askTLS(ctx context.Context, d *Dialer, timeout time.Duration) (Stage, error) {
	hello := "EHLO "
	if d.LMTP {
		hello = "LHLO "
	}
	if _, err := io.WriteString(w, hello+d.localName()+"\r\n"); err != nil {
		return StageHello, err
	}
	ext, err := w.reply(250, nil)
	if err != nil {
		return StageHello, err
	}
	if !offers(string(ext), "STARTTLS") {
		return StageTLS, errNoStartTLS
	}
	if _, err := io.WriteString(w, "STARTTLS\r\n"); err != nil {
		return StageTLS, err
	}
	if _, err := w.reply(220, nil); err != nil {
		return StageTLS, err
	}
	if w.in.Buffered() > 0 {
		return StageTLS, errInjected
	}
	return StageTLS, w.startTLS(ctx, d, timeout)
}

func (w *wire) startTLS(ctx context.Context, d *Dialer, timeout time.Duration) error {
	cfg := d.TLSConfig.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(d.Addr)
	}
	// A deadline rather than a context's: it fails as a timeout of the link.
	if err := w.raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	w.tls = tls.Client(w.raw, cfg)
	if err := w.tls.HandshakeContext(ctx); err != nil {
		return err
	}
	w.Conn = w.tls
	w.in.Reset(w.tls)
	return nil
}

// offers says whether the reply to EHLO lists an extension.
func offers(ehlo, ext string) bool {
	for _, line := range strings.Split(ehlo, "\n")[1:] {
		if word, _, _ := strings.Cut(line, " "); strings.EqualFold(word, ext) {
			return true
		}
	}
	return false
}

// SetDeadline notes whether go-smtp has set one; without it, Write sets its
// own.
func (w *wire) SetDeadline(t time.Time) error {
	w.deadline = !t.IsZero()
	return w.Conn.SetDeadline(t)
}

// Read gives go-smtp no more than a line at a time, so that what comes behind
// a reply stays here.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.pending) > 0 {
		n := copy(p, w.pending)
		w.pending = w.pending[n:]
		return n, nil
	}
	part, err := w.part(len(p))
	return copy(p, part), err
}

func (w *wire) Write(p []byte) (int, error) {
	if w.collect != nil {
		*w.collect = append(*w.collect, p...)
		w.pending = append(w.pending, "250 later\r\n"...)
		return len(p), nil
	}
	if w.authing && string(p) == "*\r\n" && string(w.first[:w.firstLen]) != "334" {
		// go-smtp cancels an exchange that the server has already ended,
		// and would wait for the reply to that. It gets one of ours.
		w.pending = append(w.pending, "501 5.7.0 cancelled\r\n"...)
		return len(p), nil
	}
	switch {
	case !w.deadline: // a part of the body
		if err := w.SetWriteDeadline(time.Now().Add(dataTimeout)); err != nil {
			return 0, err
		}
	case bytes.HasPrefix(p, []byte("MAIL ")):
		w.rcpts = 0
	case w.lmtp && bytes.HasPrefix(p, []byte("RCPT ")):
		w.rcpts++
	}
	w.unread = maxReply + w.rcpts*maxReplyRcpt
	w.firstLen = 0
	n, err := w.Conn.Write(p)
	if err != nil {
		w.failed = true
	}
	return n, err
}

// interrupt breaks off whatever is under way, from any goroutine.
func (w *wire) interrupt() {
	w.cut.Store(true)
	w.raw.Close() // not TLS's Close, which may wait for its goodbye to be written
}

// salvage looks for a reply on a connection that could not be written to: a
// server that has had enough says why before it closes.
func (w *wire) salvage() error {
	if w.cut.Load() || w.SetReadDeadline(time.Now().Add(salvageTimeout)) != nil {
		return nil
	}
	_, err := w.reply(0, nil)
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		return reply
	}
	return nil
}

// unasked returns the error that says what has come over a connection since
// its last reply, nil if nothing has: that it has ended, or words that would be
// taken for the reply to the next command, and each reply from then on for that
// to the one after.
func (w *wire) unasked() error {
	if err := w.SetReadDeadline(time.Now().Add(listenTime)); err != nil {
		return err
	}
	_, err := w.in.Peek(1)
	switch {
	case err == nil:
		said, _ := w.in.Peek(w.in.Buffered())
		line, _, _ := strings.Cut(string(said), "\n")
		return spent("it said unasked: " + oneLine(strings.TrimSpace(line)))
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	return w.SetReadDeadline(time.Time{})
}

// quit says goodbye and waits for the server to close, so that it no longer
// counts this connection when the next one comes. What is said goes to debug,
// too, if it is not nil.
func (w *wire) quit(debug io.Writer) {
	if debug == nil {
		debug = io.Discard
	}
	if !w.failed && !w.cut.Load() && w.Conn.SetDeadline(time.Now().Add(quitTimeout)) == nil {
		if _, err := io.WriteString(io.MultiWriter(w.Conn, debug), "QUIT\r\n"); err == nil {
			_, _ = io.Copy(debug, io.LimitReader(w.in, maxReply))
		}
	}
	w.raw.Close()
}
