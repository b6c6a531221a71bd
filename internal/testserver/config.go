package testserver

import (
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/internal/memnet"
)

// Config says what kind of server it is. The zero value is an ESMTP server
// without TLS and AUTH that offers PIPELINING, SIZE, 8BITMIME,
// ENHANCEDSTATUSCODES, SMTPUTF8, DSN and CHUNKING, and accepts everything.
type Config struct {
	Name string // in greetings and certificates; default "mx.example.test"
	LMTP bool   // speak LMTP (RFC 2033): LHLO, one reply per recipient after the dot

	// Without lists EHLO keywords that are not offered and not accepted. Without
	// ENHANCEDSTATUSCODES the server's own replies have none; without
	// PIPELINING a command sent ahead of a reply is refused; "EHLO" leaves HELO
	// only.
	Without []string
	Extra   []string // further lines of the EHLO reply, as they are

	Ahead Ahead // what becomes of commands that are sent ahead of a reply

	MaxSize   int64 // largest body in bytes, offered as SIZE; default 32 MiB
	EarlySize bool  // a body that grows too large gets its 552 at once, then the connection is closed

	TLS        TLSMode // default NoTLS
	Cert       Cert    // what is wrong with the certificate; default nothing
	RequireTLS bool    // 530 to MAIL and AUTH before STARTTLS

	// Users maps names to passwords (or bearer tokens); nil: AUTH is not
	// offered. With STARTTLS it is offered once TLS is up. SetUsers changes it.
	Users       map[string]string
	Mechanisms  []string // of PLAIN, LOGIN, XOAUTH2, OAUTHBEARER; default PLAIN and LOGIN
	RequireAuth bool     // 530 to MAIL before AUTH

	Limits Limits // default none; SetLimits changes them

	IdleTimeout time.Duration // silence after which the server says 421 and closes; default 5 min
	MaxErrors   int           // bad commands on a connection before 421; default 20, negative: no limit

	Script Script // asked at each stage
	Hook   Hook   // asked before Script; nil: none

	Bodies         Bodies      // what is kept of accepted bodies; default everything
	MaxMessages    int         // accepted messages kept, the newest; default 100,000
	TranscriptSize int         // bytes of dialogue kept in all; default 1 MiB, negative: none
	ShowSecrets    bool        // show AUTH exchanges in transcript and events
	OnEvent        func(Event) // told what happens, from the sessions' goroutines; must not block

	// OnInput is given all octets that come over connection conn, those that
	// came encrypted as they are without, from the sessions' goroutines. It must not keep p.
	OnInput func(conn int, p []byte)

	// Network and Addr are where Start listens; default a network of its own,
	// "127.0.0.1:0". A name as host can be dialled by that name.
	Network *memnet.Network
	Addr    string
}

// Ahead says what a server does with commands that are sent ahead of the reply
// to the one before, which it allows by offering PIPELINING.
type Ahead uint8

// What it does with them. Only the first is right (RFC 2920 section 3.2).
const (
	ObeyAhead    Ahead = iota // carries them out in their turn
	DropAhead                 // throws away what has come with a command
	DropRefused               // throws away what has come with a command that it refuses
	RefuseAhead               // refuses each that has another behind it
	HangUpOnNext              // answers the first, and closes the connection at the second
	DropBehind                // throws away what has come behind a final dot
)

// Bodies says what is kept of accepted messages.
type Bodies uint8

// What is kept.
const (
	KeepBody Bodies = iota // the bytes, their number and hash
	KeepHash               // number and hash
	KeepSize               // the number only: the cheapest
)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "mx.example.test"
	}
	if c.MaxSize <= 0 {
		c.MaxSize = 32 << 20
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 5 * time.Minute
	}
	if c.MaxErrors == 0 {
		c.MaxErrors = 20
	}
	if c.MaxMessages <= 0 {
		c.MaxMessages = 100_000
	}
	if c.TranscriptSize == 0 {
		c.TranscriptSize = 1 << 20
	}
	if len(c.Mechanisms) == 0 {
		c.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	return c
}

// offers tells whether an EHLO keyword is not in Without.
func (c *Config) offers(keyword string) bool {
	return !slices.ContainsFunc(c.Without, func(w string) bool { return strings.EqualFold(w, keyword) })
}
