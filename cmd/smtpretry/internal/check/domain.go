package check

import (
	"bytes"
	"context"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// senderDomain looks at the records of the sender's domain.
func (c *checker) senderDomain(ctx context.Context) []Step {
	from := domainOf(c.From)
	if from == "" {
		from = fromHeader(c.Message)
	}
	envelope := domainOf(c.Mail)
	if envelope == "" {
		envelope = from
	}
	first := sequence{about: from}
	switch {
	case from == "":
		first.blocked = "the message has no From field, and no --from was given"
	case c.dns.dead:
		first.blocked = because(StepResolver)
	}
	defer c.spf.keep(authentic{})
	defer c.signed.keep(authentic{})
	first.do(StepDomain, func(s *Step) { c.exists(ctx, s, from) })

	if f := first.steps[0].Finding; f == "no-mx" || f == "null-mx" {
		first.blocked = "" // its records are there all the same
	}

	var p parts
	p.step(first.blocked, StepSPF, envelope, func(s *Step) {
		defer c.spf.keep(authentic{})
		c.checkSPF(ctx, s, envelope)
	}, func() { c.address() })
	p.start(func() []Step {
		defer c.signed.keep(authentic{})
		return c.dkim(ctx, from, first.blocked)
	})
	p.step(first.blocked, StepDMARC, from, func(s *Step) { c.checkDMARC(ctx, s, from) }, func() { c.spf.wait() }, func() { c.signed.wait() })
	p.step(first.blocked, StepMTASTS, from, func(s *Step) { c.checkMTASTS(ctx, s, from) })
	p.step(first.blocked, StepTLSRPT, from, func(s *Step) { c.checkTLSRPT(ctx, s, from) })
	return append(first.steps, p.wait()...)
}

// exists looks whether the domain is there, and takes mail: receivers refuse
// senders to whom nothing can be returned.
func (c *checker) exists(ctx context.Context, s *Step, domain string) {
	list, err := c.dns.LookupMX(ctx, domain)
	switch {
	case len(list) == 1 && list[0].Host == ".":
		s.fault("null-mx", "the domain says that it takes no mail (null MX, RFC 7505), and so can send none").
			advise("Give it an MX record that leads to a server, or send from a domain that has one.")
		return
	case len(list) > 0:
		s.ok("exists, and takes mail at %s", strings.TrimSuffix(list[0].Host, "."))
		return
	case err != nil && !notFound(err):
		s.failedLookup(err)
		return
	}
	addrs, err := c.dns.LookupIPAddr(ctx, domain)
	switch {
	case len(addrs) > 0:
		s.ok("exists, and takes mail at its own address, without an MX record")
		return
	case err != nil && !notFound(err):
		s.failedLookup(err)
		return
	}
	if _, err := c.dns.net.LookupNS(ctx, absolute(organizational(domain))); notFound(err) {
		s.fault("no-such-domain", "the domain does not exist").advise("Look whether it is spelt rightly, and still registered.")
		return
	}
	s.fault("no-mx", "the domain exists, but has neither an MX record nor an address").
		advise("Give it an MX record: many receivers refuse senders to whom nothing can be returned.")
}

// domainOf returns the domain of an address, or of what is a domain already, as
// the DNS has it.
func domainOf(address string) string {
	return inDNS(address[strings.LastIndexByte(address, '@')+1:])
}

// inDNS writes an international name in its ASCII form; one that has none stays
// as it is.
func inDNS(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if a, err := idna.Lookup.ToASCII(name); err == nil {
		return a
	}
	return name
}

// fromHeader returns the domain in the From header of a message.
func fromHeader(message []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return ""
	}
	list, err := m.Header.AddressList("From")
	if err != nil || len(list) == 0 {
		return ""
	}
	return domainOf(list[0].Address)
}
