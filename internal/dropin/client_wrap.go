//go:build wrap

package main

import (
	"crypto/tls"
	"net"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// The programs with their clients wrapped, as the README has it.

type client = smtpretry.Client

func dial(addr string) (*client, error) {
	c, err := smtp.Dial(addr)
	if err != nil {
		return nil, err
	}
	return smtpretry.Wrap(c, config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSNone}))
}

func dialTLS(addr string, cfg *tls.Config) (*client, error) {
	c, err := smtp.DialTLS(addr, cfg)
	if err != nil {
		return nil, err
	}
	return smtpretry.Wrap(c, config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSImplicit, TLSConfig: cfg}))
}

func dialStartTLS(addr string, cfg *tls.Config) (*client, error) {
	c, err := smtp.DialStartTLS(addr, cfg)
	if err != nil {
		return nil, err
	}
	return smtpretry.Wrap(c, config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSStartTLS, TLSConfig: cfg}))
}

func dialLMTP(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return smtpretry.Wrap(smtp.NewClientLMTP(conn), config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSNone, LMTP: true}))
}
