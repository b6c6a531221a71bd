package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
)

// greeting waits for the server's first reply. While there is none it looks
// at whether something else than a mail server is behind the port.
func (v *visit) greeting(ctx context.Context, s *Step) {
	type outcome struct {
		text string
		err  error
	}
	said := make(chan outcome, 1)
	go func() {
		text, err := v.talk.reply(ctx, greetingTimeout, "220")
		said <- outcome{text, err}
	}()
	wait := patience
	if v.c.port() == "25" {
		wait = patience25
	}
	var o outcome
	silent := time.NewTimer(wait)
	defer silent.Stop()
	select {
	case o = <-said:
	case <-silent.C:
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		other := make(chan service, 1)
		go func() { other <- v.identify(ctx) }()
		select {
		case o = <-said:
		case found := <-other:
			if found.name != "" && found != (service{name: "SMTP"}) {
				v.talk.broken = true
				v.talk.conn.Close()
				<-said // it reads no more
				v.wrongService(ctx, s, found)
				return
			}
			o = <-said
		}
	}
	switch {
	case o.err == nil:
		s.ok("220 %s", o.text)
	case isReply(o.err):
		s.refused("refused", o.err, smtpretry.StageGreeting)
	case isTimeout(o.err):
		s.fault("no-greeting", "connected, but the server says nothing").passing().
			advise("Something else than a mail server may listen there, or a firewall between swallows what it says. Look at the port, or try again later.")
	case errors.Is(o.err, io.EOF), isReset(o.err):
		s.fault("closed", "the server closed the connection without a word").passing().
			advise("It may refuse this address, be overloaded, or expect TLS at once (port 465). Try again later, then ask its operator.")
	default:
		v.talk.broken = true
		if name := recognise([]byte(v.talk.lastSaid())); name != "" && name != "SMTP" {
			v.wrongService(ctx, s, service{name: name, tls: v.talk.state != nil})
			return
		}
		s.fault("not-smtp", "what answers is no mail server: %s", reason(o.err)).
			advise("Look at the port: 587 is for STARTTLS, 465 for TLS, 25 for mail servers among themselves.")
	}
}

func (s *session) lastSaid() string {
	if n := len(s.Lines); n > 0 {
		return s.Lines[n-1].Text
	}
	return ""
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// wrongService says what is behind the port in the place of what was expected.
func (v *visit) wrongService(ctx context.Context, s *Step, found service) {
	port := v.c.port()
	if found.name == "SMTP" {
		use := "smtp://" + net.JoinHostPort(v.host, port)
		if found.tls {
			s.fault("wrong-tls-mode", "port %s speaks TLS from the first octet, and STARTTLS was expected", port)
			use = "smtps://" + net.JoinHostPort(v.host, port)
		} else {
			s.fault("wrong-tls-mode", "port %s begins without TLS, and TLS from the first octet was expected", port)
		}
		s.advise("Use %s. By custom port 465 is TLS from the first octet, 587 and 25 are STARTTLS.", use)
		return
	}
	s.fault("not-smtp", "%s answers on port %s", found, port)
	if other := v.otherPort(ctx); other != "" {
		s.advise("Use port %s, where something listens: %s.", other, v.urlFor(other))
		return
	}
	s.advise("Look at the port: 587 is for STARTTLS, 465 for TLS, 25 for mail servers among themselves.")
}

// hello says EHLO and tells what the server offers.
func (v *visit) hello(ctx context.Context, s *Step) {
	text, err := v.talk.ask(ctx, "250", "EHLO "+v.c.LocalName)
	if isReply(err) && !v.talk.broken {
		// RFC 5321 section 3.2: a server without extensions.
		if _, err := v.talk.ask(ctx, "250", "HELO "+v.c.LocalName); err == nil {
			s.note("no-esmtp", "the server knows HELO only, and no extensions")
			return
		}
	}
	if err != nil {
		s.refused("refused", err, smtpretry.StageHello)
		return
	}
	v.talk.offer(text)
	s.ok("offers %s", v.talk.offered())
	v.announced(s)
}

// offered lists what the server offers, in the order of the alphabet.
func (s *session) offered() string {
	var words []string
	for keyword, params := range s.offers {
		words = append(words, strings.TrimSpace(keyword+" "+params))
	}
	if len(words) == 0 {
		return "no extensions"
	}
	slices.Sort(words)
	return oneOf(words)
}

// announced tells the limits in the reply to EHLO (RFC 1870, RFC 9422).
func (v *visit) announced(s *Step) {
	if n, err := strconv.ParseInt(v.talk.offers["SIZE"], 10, 64); err == nil && n > 0 {
		s.detail("a message may have %s (SIZE)", octets(n))
	}
	for _, word := range strings.Fields(v.talk.offers["LIMITS"]) {
		name, value, _ := strings.Cut(word, "=")
		what := map[string]string{"MAILMAX": "messages on one connection", "RCPTMAX": "recipients of one message",
			"RCPTDOMAINMAX": "domains among the recipients of one message"}[strings.ToUpper(name)]
		if what != "" {
			s.detail("at most %s %s (LIMITS)", value, what)
		}
	}
}

func octets(n int64) string {
	switch {
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', -1, 32) + " MiB"
	case n >= 1<<10:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', -1, 32) + " KiB"
	}
	return fmt.Sprintf("%d octets", n)
}

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

func (v *visit) implicitTLS(ctx context.Context, s *Step) { v.handshake(ctx, s) }

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
