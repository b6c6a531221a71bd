package main

import (
	"context"
	"crypto/tls"
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

var schemes = map[string]struct {
	mode smtpretry.TLSMode
	port string
}{
	"smtp":          {smtpretry.TLSAuto, "587"},
	"smtp+starttls": {smtpretry.TLSStartTLS, "587"},
	"smtps":         {smtpretry.TLSImplicit, "465"},
	"smtp+plain":    {smtpretry.TLSNone, "25"},
}

// configOf reads the server's URL. Its errors never quote it, for it may hold
// a password.
func configOf(server, password, login, ca string) (cfg smtpretry.Config, err error) {
	if server == "" {
		return cfg, errors.New("no server: give -server or set SMTP_URL")
	}
	if !strings.Contains(server, "://") {
		server = "smtp://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return cfg, errors.New("the server's URL cannot be read; special characters in user names and passwords must be percent-encoded")
	}
	scheme, ok := schemes[u.Scheme]
	switch {
	case !ok:
		return cfg, fmt.Errorf("the server's URL begins with %s://, want smtp, smtp+starttls, smtps or smtp+plain", u.Scheme)
	case u.Hostname() == "":
		return cfg, errors.New("the server's URL names no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return cfg, errors.New("the server's URL has something behind the host and port")
	}
	port := u.Port()
	if port == "" {
		port = scheme.port
	}
	cfg.Dialer = &smtpretry.Dialer{Addr: net.JoinHostPort(u.Hostname(), port), TLS: scheme.mode}
	if ca != "" {
		if cfg.Dialer.TLSConfig, err = trusting(ca); err != nil {
			return cfg, err
		}
	}
	if u.User == nil {
		return cfg, nil
	}
	if p, ok := u.User.Password(); ok {
		password = p
	}
	cfg.Auth, err = credentials(login, u.User.Username(), password)
	return cfg, err
}

func credentials(login, user, password string) (func(context.Context) (sasl.Client, error), error) {
	if password == "" {
		return nil, fmt.Errorf("no password for %s: set SMTP_PASSWORD", user)
	}
	switch login {
	case "plain":
		return func(context.Context) (sasl.Client, error) { return sasl.NewPlainClient("", user, password), nil }, nil
	case "login":
		return func(context.Context) (sasl.Client, error) { return sasl.NewLoginClient(user, password), nil }, nil
	}
	return nil, fmt.Errorf("-auth is %q, want plain or login", login)
}

// trusting adds the certificates of a file to the system's.
func trusting(file string) (*tls.Config, error) {
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
	return &tls.Config{RootCAs: pool}, nil
}
