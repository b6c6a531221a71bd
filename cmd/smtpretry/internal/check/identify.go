package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// patience is how long a server may be silent before it is looked at whether
// it waits for TLS, or for another protocol's client to begin. On port 25 it is
// longer: Postfix's postscreen greets after 6 seconds, and holds it against a
// client to speak first.
var (
	patience   = 3 * time.Second
	patience25 = 7 * time.Second
)

// A service is what answers on a port.
type service struct {
	name string // "SMTP", "HTTP", …; empty: not known
	tls  bool   // within TLS
}

func (s service) String() string {
	switch {
	case s.tls && s.name == "HTTP":
		return "an HTTPS server"
	case s.tls:
		return "a server for " + s.name + " within TLS"
	case s.name == "HTTP", s.name == "IMAP", s.name == "SMTP", s.name == "SSH":
		return "an " + s.name + " server"
	}
	return "a " + s.name + " server"
}

// recognise tells a protocol by a server's first octets.
func recognise(first []byte) string {
	for _, p := range []struct{ prefix, name string }{
		{"HTTP/", "HTTP"}, {"220", "SMTP"}, {"421", "SMTP"}, {"554", "SMTP"}, {"+OK", "POP3"}, {"* OK", "IMAP"}, {"SSH-", "SSH"},
	} {
		if bytes.HasPrefix(first, []byte(p.prefix)) {
			return p.name
		}
	}
	return ""
}

// identify connects again and finds out what is behind the port: TLS, or a
// server that answers strange words in its own. Done on a connection of its
// own, since a mail server that is only slow would take it amiss.
func (v *visit) identify(ctx context.Context) service {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var (
		wg    sync.WaitGroup
		plain string
		found service
	)
	wg.Go(func() {
		if conn := v.again(ctx); conn != nil {
			defer conn.Close()
			if plain = firstWords(conn); plain != "" {
				cancel()
			}
		}
	})
	wg.Go(func() {
		if conn := v.again(ctx); conn != nil {
			defer conn.Close()
			if found = withinTLS(ctx, conn, v.tlsConfig()); found.name != "" {
				cancel()
			}
		}
	})
	wg.Wait()
	if plain != "" {
		return service{name: plain}
	}
	return found
}

// again opens another connection that ends with ctx; nil if it cannot.
func (v *visit) again(ctx context.Context) net.Conn {
	conn, err := v.c.Dial(ctx, "tcp", v.talk.Server)
	if err != nil {
		return nil
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return conn
}

func withinTLS(ctx context.Context, conn net.Conn, cfg *tls.Config) service {
	t := tls.Client(conn, cfg)
	err := t.HandshakeContext(ctx)
	if err == nil {
		return service{name: firstWords(t), tls: true}
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) {
		return service{name: recognise(plain.RecordHeader[:])}
	}
	return service{}
}

// firstWords recognises a server by its greeting, or by how it takes a line
// that no request of its protocol begins with.
func firstWords(conn net.Conn) string {
	buf := make([]byte, 64)
	_ = conn.SetReadDeadline(time.Now().Add(patience / 3))
	n, err := conn.Read(buf)
	if n == 0 && isTimeout(err) {
		if _, err := conn.Write([]byte("QUIT\r\n")); err != nil {
			return ""
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		n, _ = conn.Read(buf)
	}
	return recognise(buf[:n])
}

// wrongService says what is behind the port in the place of what was expected.
func (v *visit) wrongService(ctx context.Context, s *Step, found service) {
	port := v.c.port()
	if found.name == "SMTP" {
		use := v.url("smtp", port)
		if found.tls {
			s.fault("wrong-tls-mode", "port %s speaks TLS from the first octet, and STARTTLS was expected", port)
			use = v.url("smtps", port)
		} else {
			s.fault("wrong-tls-mode", "port %s begins without TLS, and TLS from the first octet was expected", port)
		}
		s.advise("Use %s. By convention port 465 is TLS from the first octet, 587 and 25 are STARTTLS.", use)
		return
	}
	s.fault("not-smtp", "%s answers on port %s", found, port)
	if other := v.otherPort(ctx); other != "" {
		s.advise("Use port %s, where something listens: %s.", other, v.urlFor(other))
		return
	}
	s.advise("Look at the port: 587 is for STARTTLS, 465 for TLS, 25 for mail servers among themselves.")
}
