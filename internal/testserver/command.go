package testserver

import (
	"fmt"
	"strconv"
	"strings"
)

// obey carries out a command.
func (s *session) obey(verb, arg string) {
	switch verb {
	case "EHLO", "HELO", "LHLO":
		s.hello(verb, arg)
	case "STARTTLS":
		s.startTLS(arg)
	case "AUTH":
		s.auth(arg)
	case "MAIL":
		s.mail(arg)
	case "RCPT":
		s.rcpt(arg)
	case "DATA":
		s.data(arg)
	case "BDAT":
		s.bdat(arg)
	case "RSET":
		s.step(s.at(Other), 2, func() *Action { return s.ok("250 2.0.0 Ok") }, s.forget)
	case "NOOP":
		s.other("250 2.0.0 Ok")
	case "HELP":
		s.other("214 2.0.0 This is a test server; see RFC 5321")
	case "VRFY":
		if arg == "" {
			s.bad("501 5.5.4 Syntax: VRFY address")
			return
		}
		s.other("252 2.0.0 Cannot verify, but send some mail and see")
	case "QUIT":
		s.step(s.at(Quit), 2, func() *Action { return s.ok("221 2.0.0 Bye").ThenClose() }, func() {})
	case "EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML":
		s.bad("502 5.5.1 Error: command not implemented")
	default:
		s.bad("500 5.5.2 Error: command not recognized")
	}
}

func (s *session) other(reply string) {
	s.step(s.at(Other), 2, func() *Action { return s.ok(reply) }, func() {})
}

func (s *session) hello(verb, name string) {
	cfg := &s.srv.cfg
	if cfg.LMTP != (verb == "LHLO") || !cfg.offers(verb) {
		s.bad("502 5.5.1 Error: " + verb + " is not offered")
		return
	}
	if name == "" {
		s.bad("501 5.5.4 Syntax: " + verb + " hostname")
		return
	}
	s.step(s.at(Hello), 2, func() *Action {
		if verb == "HELO" {
			return Reply("250 " + cfg.Name)
		}
		return Reply(s.greetingList())
	}, func() {
		s.forget()
		s.helo = name
	})
}

// greetingList is the reply to EHLO.
func (s *session) greetingList() string {
	cfg := &s.srv.cfg
	lines := []string{cfg.Name}
	add := func(keyword, args string) {
		if cfg.offers(keyword) {
			lines = append(lines, keyword+args)
		}
	}
	add("PIPELINING", "")
	add("SIZE", " "+strconv.FormatInt(cfg.MaxSize, 10))
	add("8BITMIME", "")
	add("ENHANCEDSTATUSCODES", "")
	add("SMTPUTF8", "")
	add("DSN", "")
	add("CHUNKING", "")
	if s.tlsOffered() {
		add("STARTTLS", "")
	}
	if s.authOffered() {
		add("AUTH", " "+strings.Join(cfg.Mechanisms, " "))
	}
	limits := s.srv.limitsNow()
	if words := limits.announced(); words != "" {
		add("LIMITS", words)
	}
	lines = append(lines, cfg.Extra...)
	for i, line := range lines[:len(lines)-1] {
		lines[i] = "250-" + line
	}
	lines[len(lines)-1] = "250 " + lines[len(lines)-1]
	return strings.Join(lines, "\n")
}

// announced gives the words of the LIMITS keyword (RFC 9422), each after a space.
func (l *Limits) announced() string {
	if !l.Announce {
		return ""
	}
	var b strings.Builder
	for _, limit := range []struct {
		word string
		n    int
	}{{"MAILMAX", l.PerConn}, {"RCPTMAX", l.PerMessage}, {"RCPTDOMAINMAX", l.Domains}} {
		if limit.n > 0 {
			fmt.Fprintf(&b, " %s=%d", limit.word, limit.n)
		}
	}
	return b.String()
}

func (s *session) tlsOffered() bool {
	return s.srv.cfg.TLS == StartTLS && !s.tls && s.srv.cfg.offers("STARTTLS")
}

func (s *session) startTLS(arg string) {
	switch {
	case arg != "":
		s.bad("501 5.5.4 Syntax: STARTTLS has no parameters")
		return
	case s.tls:
		s.bad("503 5.5.1 Error: TLS is already on")
		return
	case !s.tlsOffered():
		s.bad("502 5.5.1 Error: STARTTLS is not offered")
		return
	case s.r.Buffered() > 0:
		// What was sent ahead could have been put there by somebody else: it
		// must not be taken for the client's words under TLS.
		s.note(ByInjection)
		s.play(s.ok("554 5.5.1 Error: data sent behind STARTTLS").ThenClose())
		return
	}
	if s.step(s.at(TLS), 2, func() *Action { return s.ok("220 2.0.0 Ready to start TLS") }, func() {}) {
		s.handshake()
	}
}

func (s *session) mail(arg string) {
	cfg := &s.srv.cfg
	switch {
	case s.helo == "":
		s.bad("503 5.5.1 Error: say hello first")
		return
	case s.needsTLS():
		s.bad("530 5.7.0 Must issue a STARTTLS command first")
		return
	case cfg.RequireAuth && s.user == "":
		s.bad("530 5.7.0 Authentication required")
		return
	case s.open:
		s.bad("503 5.5.1 Error: nested MAIL command")
		return
	}
	from, params, wrong := parseMail(cfg, arg)
	if wrong != "" {
		s.bad(wrong)
		return
	}
	s.mails++
	s.srv.mu.Lock()
	s.srv.stats.Mails++
	s.total = s.srv.stats.Mails
	s.srv.mu.Unlock()
	s.from = from

	at := s.at(Mail)
	fine := s.step(at, 2, func() *Action {
		if size, _ := strconv.ParseInt(params["SIZE"], 10, 64); size > cfg.MaxSize {
			s.note(BySize)
			return s.ok("552 5.3.4 Message size exceeds fixed limit")
		}
		if r := s.srv.admitMail(at.Time, s.admitted); r != nil {
			return s.refuse(r, "")
		}
		return s.ok("250 2.1.0 Ok")
	}, func() {
		s.open, s.params = true, params
		_, s.utf8 = params["SMTPUTF8"]
		s.admitted++
	})
	if !fine {
		s.forget()
	}
}

func (s *session) needsTLS() bool { return s.srv.cfg.RequireTLS && !s.tls }

func (s *session) rcpt(arg string) {
	if !s.open || s.chunks != nil {
		s.play(s.ok("503 5.5.1 Error: need MAIL command"))
		return
	}
	to, params, wrong := parseRcpt(&s.srv.cfg, arg, s.utf8)
	if wrong != "" {
		s.bad(wrong)
		return
	}
	at := s.at(Rcpt)
	at.Rcpt = to
	s.step(at, 2, func() *Action {
		if r := s.srv.admitRcpt(at.Time, s.to, s.domains, triplet{s.ip(), s.from, to}); r != nil {
			return s.refuse(r, to)
		}
		return s.ok("250 2.1.5 Ok")
	}, func() {
		s.to = append(s.to, Recipient{to, params})
		s.domains[domainOf(to)] = true
	})
}

func (s *session) data(arg string) {
	switch {
	case arg != "":
		s.bad("501 5.5.4 Syntax: DATA has no parameters")
		return
	case !s.open, s.chunks != nil:
		s.play(s.ok("503 5.5.1 Error: need RCPT command"))
		return
	case len(s.to) == 0:
		s.play(s.ok("554 5.5.1 Error: no valid recipients"))
		return
	case s.r.Buffered() > 0:
		// DATA ends a pipelined group (RFC 2920 section 3.1). What follows
		// could be body or commands; guessing would be smuggling.
		s.note(ByPipelining)
		s.play(s.ok("503 5.5.0 Error: data sent ahead of the reply to DATA").ThenClose())
		return
	}
	if s.step(s.at(Data), 3, func() *Action { return Reply("354 End data with <CR><LF>.<CR><LF>") }, func() {}) {
		s.readBody()
	}
}
