package testserver

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"strings"
	"sync"

	"github.com/smtpretry/smtpretry/internal/memnet"
)

// A Server is a fake SMTP server. Safe for concurrent use.
type Server struct {
	cfg      Config
	director *director
	identity *identity // nil without TLS
	done     chan struct{}
	running  sync.WaitGroup // sessions, and Serve where the server started it
	network  *memnet.Network
	addr     string

	mu             sync.Mutex
	closed         bool
	listeners      map[net.Listener]bool
	conns          map[net.Conn]bool
	users          map[string]string
	limits         Limits
	meter          meter
	stats          Stats
	messages       []*Message
	transcripts    []*strings.Builder
	transcriptLeft int
}

// Stats are a server's counters.
type Stats struct {
	Conns      int           // connections accepted by the listener, refused ones included
	Open       int           // connections that were let in and are not over
	MostOpen   int           // the most of these at once
	Mails      int           // MAIL commands in order, refused ones included
	Accepted   int           // messages accepted
	Delivered  int           // recipients of these
	Broken     int           // bodies that ended before the dot
	Refused    map[Limit]int // refusals by limit
	Violations int           // refusals that a client knowing the limits never meets: rate, recipients, new-conns, max-conns, per-conn, quota
	Boxes      int           // how often the client was boxed
}

// New returns a server that listens nowhere yet. It panics when no
// certificate can be made.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:            cfg,
		director:       newDirector(cfg.Hook, cfg.Script),
		done:           make(chan struct{}),
		listeners:      make(map[net.Listener]bool),
		conns:          make(map[net.Conn]bool),
		users:          maps.Clone(cfg.Users),
		limits:         cfg.Limits,
		transcriptLeft: cfg.TranscriptSize,
	}
	s.stats.Refused = make(map[Limit]int)
	if cfg.TLS != NoTLS {
		s.identity = newIdentity(cfg.Name, cfg.Cert)
	}
	return s
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start serves cfg over a network in memory and closes the server when the
// test ends. Inside a synctest bubble it must be given the bubble's T.
func Start(t TB, cfg Config) *Server {
	t.Helper()
	s := New(cfg)
	s.network = s.cfg.Network
	if s.network == nil {
		s.network = memnet.New()
	}
	l, err := s.network.Listen(s.cfg.Addr)
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	s.start(l)
	t.Cleanup(func() { s.Close() })
	return s
}

// Listen serves cfg over TCP at addr, such as "127.0.0.1:0".
func Listen(cfg Config, addr string) (*Server, error) {
	s := New(cfg)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s.cfg.Addr = addr
	s.start(l)
	return s, nil
}

// start serves l in the background.
func (s *Server) start(l net.Listener) {
	s.addr = s.cfg.Addr
	if strings.HasSuffix(s.addr, ":0") || strings.HasPrefix(s.addr, ":") {
		s.addr = l.Addr().String()
	}
	s.register(l)
	s.running.Go(func() { s.accept(l) })
}

// Serve accepts connections from l until the server is closed, when it
// returns nil, or until l fails. It closes l.
func (s *Server) Serve(l net.Listener) error {
	s.register(l)
	return s.accept(l)
}

// register remembers l for Close; a closed server closes it at once.
func (s *Server) register(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.Close()
		return
	}
	s.listeners[l] = true
}

func (s *Server) accept(l net.Listener) error {
	defer l.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.isClosed() || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return nil
		}
		s.conns[conn] = true
		s.stats.Conns++
		s.transcripts = append(s.transcripts, new(strings.Builder))
		ses := newSession(s, conn, s.stats.Conns)
		s.running.Go(ses.run)
		s.mu.Unlock()
	}
}

// Close stops listening, breaks off all sessions and waits for their end.
// It may be called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		for l := range s.listeners {
			l.Close()
		}
		for c := range s.conns {
			c.Close()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Addr returns where a server made by Start or Listen can be reached,
// "host:port"; the host as it was given.
func (s *Server) Addr() string { return s.addr }

// Network returns the network in memory of a server made by Start, else nil.
func (s *Server) Network() *memnet.Network { return s.network }

// Dial connects to the server, whatever address it is given; it fits where a client
// wants a function to dial with. For addresses to matter, as with several
// servers on one network, use Network().DialContext.
func (s *Server) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	if s.network != nil {
		return s.network.DialContext(ctx, network, s.addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, s.addr)
}

// SetUsers replaces the names and passwords that AUTH accepts.
func (s *Server) SetUsers(users map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = maps.Clone(users)
}

// Stats returns the counters as they stand.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Refused = maps.Clone(st.Refused)
	return st
}

// TLSConfig returns a client configuration that trusts the server's
// certificate (except [UntrustedCert]) and expects Config.Name; nil without TLS.
func (s *Server) TLSConfig() *tls.Config {
	if s.identity == nil {
		return nil
	}
	return s.identity.client.Clone()
}

// CertPEM returns the server's certificate, for other programs to trust; nil
// without TLS.
func (s *Server) CertPEM() []byte {
	if s.identity == nil {
		return nil
	}
	return s.identity.pem
}

// enter counts a connection that is let in. s.mu is held.
func (s *Server) enter() {
	s.stats.Open++
	s.stats.MostOpen = max(s.stats.MostOpen, s.stats.Open)
}

// leave counts it out.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Open--
}
