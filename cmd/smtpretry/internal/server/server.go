// Package server reads where mail is sent, and with which login.
package server

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

// schemes are what a server's URL may begin with.
var schemes = map[string]struct {
	mode smtpretry.TLSMode
	port string
	lmtp bool
}{
	"smtp":          {smtpretry.TLSAuto, "587", false},
	"smtp+starttls": {smtpretry.TLSStartTLS, "587", false},
	"smtps":         {smtpretry.TLSImplicit, "465", false},
	"smtp+plain":    {smtpretry.TLSNone, "25", false},
	"lmtp":          {smtpretry.TLSAuto, "24", true},
}

// A Server is where mail goes.
type Server struct {
	Dialer   *smtpretry.Dialer
	User     string // to log in as; empty: no login
	Password string // of the URL
}

// ErrPassword reports a password in a place that others can see.
var ErrPassword = errors.New("a password on the command line is seen by everybody on this machine; set SMTPRETRY_PASSWORD, or give --password-file")

// Parse reads a server's URL, or a plain host or host:port, which stands for
// smtp://. Its errors never quote it, for it may hold a password.
func Parse(server string) (*Server, error) {
	if !strings.Contains(server, "://") {
		server = "smtp://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, errors.New("the server's URL cannot be read; special characters in the user name must be percent-encoded")
	}
	scheme, ok := schemes[u.Scheme]
	switch {
	case !ok:
		return nil, fmt.Errorf("the server's URL begins with %s://, want smtp, smtps, smtp+starttls, smtp+plain or lmtp", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("the server's URL names no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the server's URL has something behind the host and port")
	}
	s := &Server{Dialer: &smtpretry.Dialer{Addr: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), scheme.port)), TLS: scheme.mode, LMTP: scheme.lmtp}}
	if u.User != nil {
		s.User = u.User.Username()
		s.Password, _ = u.User.Password()
	}
	return s, nil
}

// Host is the server's name.
func (s *Server) Host() string {
	host, _, _ := net.SplitHostPort(s.Dialer.Addr)
	return host
}

// Roots are the certificates of a file in PEM form besides those of the system.
func Roots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// Mechanisms are the ways to log in. The first two take a password as it is.
var Mechanisms = []string{"plain", "login", "oauthbearer"}

// Login makes one login by a mechanism; nil if that is none of [Mechanisms].
func Login(mechanism, user, password, host string) sasl.Client {
	switch mechanism {
	case "plain":
		return sasl.NewPlainClient("", user, password)
	case "login":
		return sasl.NewLoginClient(user, password)
	case "oauthbearer":
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: user, Token: password, Host: host})
	}
	return nil
}
