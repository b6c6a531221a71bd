//go:build !wrap && !dialer

package main

import (
	"crypto/tls"
	"net"

	"github.com/emersion/go-smtp"
)

// The programs as they are written for go-smtp.

type client = smtp.Client

func dial(addr string) (*client, error) { return smtp.Dial(addr) }

func dialTLS(addr string, cfg *tls.Config) (*client, error) { return smtp.DialTLS(addr, cfg) }

func dialStartTLS(addr string, cfg *tls.Config) (*client, error) { return smtp.DialStartTLS(addr, cfg) }

func dialLMTP(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return smtp.NewClientLMTP(conn), nil
}

var sendMail, sendMailTLS = smtp.SendMail, smtp.SendMailTLS
