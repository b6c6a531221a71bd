package check

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/smtpretry/smtpretry"
)

// tlsConfig accepts anything, so that it can be said what is wrong: old
// versions, weak ciphers, and certificates, which are verified afterwards.
func (v *visit) tlsConfig() *tls.Config {
	cfg := &tls.Config{ServerName: v.host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10} //nolint:gosec // see above
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, c := range list {
			cfg.CipherSuites = append(cfg.CipherSuites, c.ID)
		}
	}
	return cfg
}

// startTLS asks for encryption, as far as it is wanted.
func (v *visit) startTLS(ctx context.Context, s *Step) {
	if v.c.TLS == smtpretry.TLSNone {
		s.skip("", "it is not wanted")
		return
	}
	if _, ok := v.talk.offers["STARTTLS"]; !ok {
		v.noStartTLS(s)
		return
	}
	if _, err := v.talk.ask(ctx, "220", "STARTTLS"); err != nil {
		s.refused("refused", err, smtpretry.StageTLS)
		return
	}
	if v.talk.in.Buffered() > 0 {
		// What came with the reply came without protection.
		v.talk.broken = true
		s.fault("injected", "the server sent more behind its reply to STARTTLS").
			advise("Somebody in between may have put it there. Do not use this connection; tell the server's operator.")
		return
	}
	if !v.handshake(ctx, s) {
		return
	}
	// RFC 3207 section 4.2: what was known before is forgotten.
	text, err := v.talk.ask(ctx, "250", "EHLO "+v.c.LocalName)
	if err != nil {
		s.refused("refused", err, smtpretry.StageHello)
		return
	}
	v.talk.offer(text)
}

func (v *visit) noStartTLS(s *Step) {
	const text = "the server does not offer STARTTLS"
	switch {
	case v.c.TLS == smtpretry.TLSAuto && isLoopback(v.host):
		s.note("starttls-missing", text+", which need not be on this machine")
	case !v.mustEncrypt():
		s.warn("starttls-missing", text+": mail goes there in clear text")
	default:
		s.fault("starttls-missing", text+": neither a password nor mail should go there in clear text").
			advise("Use TLS from the first octet if the server has it (smtps://, port 465), or turn STARTTLS on there. Something in between may also take it out of the reply.")
	}
}

// mustEncrypt says whether mail is not to go without TLS. Among mail servers
// it is encrypted where both sides can.
func (v *visit) mustEncrypt() bool {
	return v.c.TLS != smtpretry.TLSAuto || v.c.submits()
}

// handshake turns TLS on.
func (v *visit) handshake(ctx context.Context, s *Step) bool {
	end := v.talk.within(ctx, replyTimeout)
	t := tls.Client(v.talk.conn, v.tlsConfig())
	err := t.HandshakeContext(ctx)
	end()
	if err != nil {
		v.talk.broken = true
		v.failedHandshake(ctx, s, err)
		return false
	}
	state := t.ConnectionState()
	v.talk.state = &state
	v.talk.use(t)
	text := tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	switch {
	case state.Version < tls.VersionTLS12:
		s.fault("old-tls", "%s: programs of today want TLS 1.2 or later", text).
			advise("Have the server's TLS brought up to date; Go programs do not connect to it otherwise.")
		return false
	case slices.ContainsFunc(tls.InsecureCipherSuites(), func(c *tls.CipherSuite) bool { return c.ID == state.CipherSuite }):
		s.fault("weak-cipher", "%s: the server agreed to no cipher that is thought safe", text).
			advise("Have the server's TLS brought up to date (ECDHE with AES-GCM or ChaCha20); Go programs do not connect to it otherwise.")
		return false
	}
	s.ok("%s", text)
	return true
}

func (v *visit) failedHandshake(ctx context.Context, s *Step, err error) {
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && v.c.implicit() {
		if name := recognise(plain.RecordHeader[:]); name != "" {
			v.wrongService(ctx, s, service{name: name})
			return
		}
	}
	if v.c.implicit() && (isTimeout(err) || errors.Is(err, io.EOF)) {
		if found := v.identify(ctx); found.name != "" && !found.tls {
			v.wrongService(ctx, s, found)
			return
		}
	}
	s.fault("handshake", "the TLS handshake failed: %s", reason(err)).
		advise("Look whether the port is for TLS, and at the server's TLS versions and certificate; something in between may also break into the connection.")
	if isTimeout(err) {
		s.passing()
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
