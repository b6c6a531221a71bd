package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
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
			if found.name != "" && found != (service{name: "SMTP", tls: v.talk.state != nil}) {
				v.talk.conn.Close()
				<-said // it reads no more
				v.talk.broken = true
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

func isUnknownCommand(err error) bool {
	var reply *textproto.Error
	return errors.As(err, &reply) && (reply.Code == 500 || reply.Code == 502)
}

// hello says EHLO and tells what the server offers.
func (v *visit) hello(ctx context.Context, s *Step) {
	text, err := v.talk.ask(ctx, "250", "EHLO "+v.c.LocalName)
	if isReply(err) && !v.talk.broken {
		// RFC 5321 section 3.2: a server without extensions.
		_, helo := v.talk.ask(ctx, "250", "HELO "+v.c.LocalName)
		if helo == nil {
			s.note("no-esmtp", "the server knows HELO only, and no extensions")
			return
		}
		// RFC 2033 section 4.1: a server for LMTP knows neither.
		if isUnknownCommand(err) && isUnknownCommand(helo) {
			if _, err := v.talk.ask(ctx, "250", "LHLO "+v.c.LocalName); err == nil {
				s.fault("not-smtp", "an LMTP server answers on port %s", v.c.port()).
					advise("It puts mail into mailboxes, for the mail server before it: send through that one.")
				return
			}
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
