//go:build dialer

package main

import (
	"crypto/tls"

	"github.com/smtpretry/smtpretry"
)

// The programs with clients that connect by themselves.

type client = smtpretry.Client

func dial(addr string) (*client, error) {
	return smtpretry.New(config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSNone}))
}

func dialTLS(addr string, cfg *tls.Config) (*client, error) {
	return smtpretry.New(config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSImplicit, TLSConfig: cfg}))
}

func dialStartTLS(addr string, cfg *tls.Config) (*client, error) {
	return smtpretry.New(config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSStartTLS, TLSConfig: cfg}))
}

func dialLMTP(addr string) (*client, error) {
	return smtpretry.New(config(smtpretry.Dialer{Addr: addr, TLS: smtpretry.TLSNone, LMTP: true}))
}
