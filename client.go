package smtpretry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The defaults of go-smtp, which are those of RFC 5321 section 4.5.3.2.
const (
	defaultCommandTimeout    = 5 * time.Minute
	defaultSubmissionTimeout = 12 * time.Minute
)

// Config says how a [Client] connects and behaves. With [New] one of Dialer
// and Dial is needed, with [Wrap] a Host or a Dialer; everything else may be
// left zero.
type Config struct {
	// Host is the limiter's key: clients of the same host and limiter share
	// its limits. Default: the host of Dialer.Addr. Needed with Wrap or Dial.
	Host string

	// Dialer connects. It is the way to prefer: only of a connection that
	// smtpretry made can it tell whether the final dot has left, and see a
	// refusal that comes in the middle of the body.
	Dialer *Dialer

	// Dial connects instead of Dialer: it returns a client of the user's
	// own making, TLS done and Auth too unless Config.Auth is set. It is
	// called once for each connection.
	Dial func(ctx context.Context) (*smtp.Client, error)

	// Auth returns fresh credentials; it is called once for each new
	// connection. nil: no AUTH. On connections of the Dialer's that are
	// neither encrypted nor within this machine, mechanisms that show the
	// secret (PLAIN, LOGIN, bearer tokens) are refused, and those not known
	// here. What the server repeats of the exchange is taken out of its
	// words. When it refuses the account (535), every message of this client
	// fails with [ErrRefused], without asking the server again, until Auth
	// returns other credentials or 10 minutes have passed.
	Auth func(ctx context.Context) (sasl.Client, error)

	Policy   Policy       // when to try again; zero: the defaults of its fields
	Limiter  *Limiter     // may be shared between clients; nil: one of its own, with the published limits
	MaxConns int          // connections at once; 0: 1. The Limiter's Limit.MaxConns holds besides
	MaxSpool int64        // octets of a body that SendMail keeps for another try; 0: 64 MiB; negative: none but its first 32 KiB
	Logger   *slog.Logger // nil: silent. Never given bodies or secrets, but the server's words, which may quote a message
	Trace    *Trace       // nil: nothing is told
}

// A Client sends mail to one host. It has all methods and fields of
// [smtp.Client], with the same signatures, and three more: [Client.Send],
// [Client.Try] and, behind the same signature, a SendMail that retries.
//
// It is safe for concurrent use. Send, Try and SendMail share up to
// Config.MaxConns connections, which are kept for 15 seconds after use. The
// other methods, from Mail to Quit, act on one connection which they hold
// until Quit, Close or the next Send; they are for one goroutine.
type Client struct {
	// CommandTimeout is the time to wait for the reply to a command;
	// default 5 minutes. SubmissionTimeout is the time to wait for the
	// reply to the final dot; default 12 minutes. DebugWriter is given all
	// that is sent and received, bodies and secrets too. They must not be
	// changed while a method runs.
	CommandTimeout    time.Duration
	SubmissionTimeout time.Duration
	DebugWriter       io.Writer

	cfg     Config
	host    string
	limiter *Limiter
	pool    *pool
	debug   sync.Mutex // between the connections that write to DebugWriter

	once Policy          // that of cfg, but for Try
	life context.Context // ends with Close, because of ErrClosed
	end  context.CancelCauseFunc

	hold   accountHold
	groups groups
	raw    rawSession
}

// New returns a Client that connects by itself, through cfg.Dialer or
// cfg.Dial. Nothing is dialled yet. The error is a *[FieldError], or the
// *[InvalidLimitError] of cfg.Limiter's default.
func New(cfg Config) (*Client, error) {
	if cfg.Dialer == nil && cfg.Dial == nil {
		return nil, &FieldError{Field: "Config.Dialer", Reason: "is nil, and so is Dial: there is no way to connect"}
	}
	return newClient(cfg)
}

// Wrap returns a Client around one that exists, connected and authenticated
// or not. From then on c belongs to the Client and must not be used beside
// it. With cfg.Dialer or cfg.Dial further connections are made when c's is
// lost; without, there is never another, and messages end with
// [ErrNoReconnect]. cfg.Auth is used for further connections only. The errors
// are those of New.
func Wrap(c *smtp.Client, cfg Config) (*Client, error) {
	if c == nil {
		return nil, &FieldError{Field: "client", Reason: "is nil"}
	}
	w, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	w.CommandTimeout, w.SubmissionTimeout, w.DebugWriter = c.CommandTimeout, c.SubmissionTimeout, c.DebugWriter
	w.pool.adopt(&conn{smtp: c}, !w.canDial())
	return w, nil
}

func newClient(cfg Config) (*Client, error) {
	c := &Client{CommandTimeout: defaultCommandTimeout, SubmissionTimeout: defaultSubmissionTimeout,
		cfg: cfg, host: cfg.Host, limiter: cfg.Limiter}
	switch {
	case cfg.Dialer != nil && cfg.Dial != nil:
		return nil, &FieldError{Field: "Config.Dial", Reason: "is set, and so is Dialer: only one can connect"}
	case cfg.MaxConns < 0:
		return nil, &FieldError{Field: "Config.MaxConns", Reason: "is negative; 0 means 1"}
	case cfg.MaxConns > 1 && !c.canDial():
		return nil, &FieldError{Field: "Config.MaxConns", Reason: "is more than 1, but there is no Dialer and no Dial"}
	case cfg.Auth != nil && !c.canDial():
		return nil, &FieldError{Field: "Config.Auth", Reason: "is for new connections, but there is no Dialer and no Dial"}
	}
	if d := cfg.Dialer; d != nil {
		if err := d.validate(); err != nil {
			return nil, err
		}
		if c.host == "" {
			c.host, _, _ = net.SplitHostPort(d.Addr)
		}
	}
	if c.host == "" {
		return nil, &FieldError{Field: "Config.Host", Reason: "is empty: without a Dialer it must name the server, for its limits"}
	}
	if oneLine(c.host) != c.host {
		return nil, &FieldError{Field: "Config.Host", Value: c.host, Reason: "is not a host's name"}
	}
	if err := cfg.Policy.validate(); err != nil {
		return nil, err
	}
	if c.limiter == nil {
		c.limiter = NewLimiter(Limit{})
	}
	if c.limiter.fault != nil {
		return nil, c.limiter.fault
	}
	c.once = cfg.Policy
	c.once.MaxAttempts = 1
	c.life, c.end = context.WithCancelCause(context.Background())
	c.pool = c.limiter.join(c.host, max(cfg.MaxConns, 1))
	c.host = c.pool.host.key
	return c, nil
}

func (c *Client) classify(err error, at Stage) Verdict {
	return classify(c.cfg.Policy.Rules, err, at)
}

func (c *Client) canDial() bool { return c.cfg.Dialer != nil || c.cfg.Dial != nil }

// Send delivers m and returns when every recipient is accepted, when those
// that are not cannot be helped by another try, or when the time for tries is
// over: see [Policy]. Recipients are accounted for one by one: those that the
// server takes are delivered at once, only the deferred ones are tried again.
//
// The error is nil when all were accepted. Otherwise it is a *[FieldError]
// when m is faulty, with nothing sent and a nil Result, or a *[SendError];
// the Result beside it says what became of each recipient.
//
// When ctx ends, Send ends too, and what is under way is broken off; a wait
// that would pass ctx's deadline is not begun. The error is then a
// [context.DeadlineExceeded] already before the deadline, while ctx.Err is still
// nil: a loop must end at such an error, or wait until [LimitError.Until],
// rather than go on until ctx ends, as the next call would fail as fast.
func (c *Client) Send(ctx context.Context, m *Message) (*Result, error) {
	return c.send(ctx, m, &c.cfg.Policy, 0)
}

// Try is Send without waiting, for callers with a queue of their own: each
// recipient is offered once, and if a limit says "not yet" nothing is sent:
// the error then holds a *[LimitError] that says when.
func (c *Client) Try(ctx context.Context, m *Message) (*Result, error) {
	return c.send(ctx, m, &c.once, 0)
}

// send is Send and Try. known is the size of the body where m.Size does not
// say it, because it is not to be announced; 0 if unknown.
func (c *Client) send(ctx context.Context, m *Message, p *Policy, known int64) (*Result, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	c.yield()
	d := newDelivery(c, m, p, known)
	return d.run(d.began(ctx))
}

// dial makes a connection on which mail can be sent. The name is said in EHLO;
// "" leaves it to the Dialer. The stage is that of the error.
func (c *Client) dial(ctx context.Context, name string) (*conn, Stage, error) {
	if !c.canDial() {
		return nil, StageDial, ErrNoReconnect
	}
	if err := c.held(ctx); err != nil {
		return nil, StageAuth, err
	}
	auth, err := c.credentials(ctx)
	if err != nil {
		return nil, StageAuth, err
	}
	cn, stage, err := c.open(ctx)
	if err != nil {
		return nil, stage, err
	}
	defer cn.unguard(cn.guard(ctx))
	c.prepare(cn)
	if name == "" && c.cfg.Dialer != nil {
		name = c.cfg.Dialer.localName()
	}
	if err := cn.greet(name); err != nil {
		cn.abort()
		return nil, StageHello, err
	}
	if auth == nil {
		return cn, StageMail, nil
	}
	if cn.print, err = cn.auth(auth); err != nil {
		cn.abort()
		c.hold.note(cn.print, c.classify(err, StageAuth), err, time.Now())
		return nil, StageAuth, err
	}
	c.hold.lift()
	return cn, StageMail, nil
}

func (c *Client) open(ctx context.Context) (*conn, Stage, error) {
	if c.cfg.Dial != nil {
		cl, err := c.cfg.Dial(ctx)
		if err == nil && cl == nil {
			err = errors.New("smtpretry: Config.Dial returned no client")
		}
		if err != nil {
			return nil, StageDial, err
		}
		return &conn{smtp: cl}, StageDial, nil
	}
	d := c.cfg.Dialer
	w, stage, err := d.connect(ctx, c.CommandTimeout)
	if err != nil {
		return nil, stage, err
	}
	cl := smtp.NewClient(w)
	if d.LMTP {
		cl = smtp.NewClientLMTP(w)
	}
	cn := &conn{smtp: cl, wire: w, addr: w.addr}
	if !d.NoPipelining {
		cn.groups = &c.groups
	}
	return cn, stage, nil
}

// prepare gives a connection the settings that are in force now.
func (c *Client) prepare(cn *conn) {
	cn.smtp.CommandTimeout = c.CommandTimeout
	cn.smtp.SubmissionTimeout = c.SubmissionTimeout
	cn.smtp.DebugWriter = nil
	if c.DebugWriter != nil {
		cn.smtp.DebugWriter = lockedWriter{&c.debug, c.DebugWriter}
	}
	if cn.wire == nil {
		cn.tap = &tap{debug: cn.smtp.DebugWriter, left: maxReply}
		cn.smtp.DebugWriter = cn.tap
	}
}

// A lockedWriter lets several connections write to one DebugWriter.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
