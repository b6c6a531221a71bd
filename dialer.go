package smtpretry

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"strings"
	"time"
)

// dialTimeout bounds the opening of the socket, as go-smtp does.
const dialTimeout = 30 * time.Second

// A TLSMode says how a [Dialer] encrypts.
type TLSMode uint8

// The modes.
const (
	TLSAuto     TLSMode = iota // implicit on port 465, none on loopback, else STARTTLS
	TLSNone                    // never
	TLSStartTLS                // STARTTLS, required: a server that does not offer it is refused (RFC 3207)
	TLSImplicit                // TLS from the first octet (RFC 8314)
)

var tlsModeWords = [...]string{"auto", "none", "starttls", "implicit"}

// String returns the mode as one lower-case word.
func (m TLSMode) String() string { return word(tlsModeWords[:], m) }

// A Dialer says how to connect to a server. Encryption is never given up
// when it was asked for. It must not be changed while in use.
type Dialer struct {
	Addr      string      // host:port
	TLS       TLSMode     // zero: TLSAuto
	TLSConfig *tls.Config // nil: the zero one; ServerName defaults to the host of Addr
	LocalName string      // name to say in EHLO; empty: the machine's, else "localhost"
	LMTP      bool        // speak LMTP (RFC 2033), whose recipients each get a reply after the dot

	// NoPipelining sends one command at a time also to servers that offer
	// PIPELINING (RFC 2920). Otherwise MAIL, all RCPTs and DATA go out at once
	// there, and behind the final dot of the message before if they wait for
	// its connection, until a server is found to lose some; such a one gets
	// them one at a time for an hour, and the message goes again at once.
	NoPipelining bool

	// NetDial opens the socket; nil: a net.Dialer with a timeout of 30 s.
	// What it returns counts as clear text, whatever is below it, and for
	// AUTH as local only if Addr is loopback too.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (d *Dialer) mode() TLSMode {
	if d.TLS != TLSAuto {
		return d.TLS
	}
	host, port, _ := net.SplitHostPort(d.Addr)
	switch {
	case port == "465" || port == "smtps" || port == "submissions":
		return TLSImplicit
	case isLoopback(host):
		return TLSNone
	}
	return TLSStartTLS
}

func (d *Dialer) localName() string {
	if d.LocalName != "" {
		return d.LocalName
	}
	// Some servers refuse mail after "localhost", so it comes last.
	if name, err := os.Hostname(); err == nil && name != "" && !strings.ContainsAny(name, " <>\r\n") {
		return name
	}
	return "localhost"
}

func (d *Dialer) validate() error {
	host, port, err := net.SplitHostPort(d.Addr)
	switch {
	case err != nil:
		return &FieldError{Field: "Config.Dialer.Addr", Value: d.Addr, Reason: "is not host:port", Err: err}
	case host == "" || port == "":
		return &FieldError{Field: "Config.Dialer.Addr", Value: d.Addr, Reason: "is not host:port"}
	case d.TLS > TLSImplicit:
		return &FieldError{Field: "Config.Dialer.TLS", Value: d.TLS.String(), Reason: "is no mode"}
	case d.TLS == TLSNone && d.TLSConfig != nil:
		return &FieldError{Field: "Config.Dialer.TLSConfig", Reason: "is set, but TLS is TLSNone"}
	case strings.ContainsAny(d.LocalName, " <>\r\n"):
		return &FieldError{Field: "Config.Dialer.LocalName", Value: d.LocalName, Reason: "is not a domain or an address literal"}
	}
	return nil
}

// isLoopback says whether host is this machine by its name or address; no
// name is looked up.
func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// isLoopbackAddr is isLoopback for host:port.
func isLoopbackAddr(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && isLoopback(host)
}
