package check

import (
	"bytes"
	"context"
	"net/mail"
	"strings"
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
	var p parts
	start := func(name, about string, f func(*Step)) {
		p.start(func() []Step {
			if c.dns.dead {
				return []Step{skipped(name, about, because(StepResolver))}
			}
			return []Step{timed(name, about, f)}
		})
	}
	p.start(func() []Step {
		defer c.spf.keep(authentic{})
		if c.dns.dead {
			return []Step{skipped(StepSPF, envelope, because(StepResolver))}
		}
		return []Step{timed(StepSPF, envelope, func(s *Step) { c.checkSPF(ctx, s, envelope) })}
	})
	p.start(func() []Step {
		defer c.signed.keep(authentic{})
		return c.dkim(ctx, from)
	})
	start(StepDMARC, from, func(s *Step) { c.checkDMARC(ctx, s, from) })
	start(StepMTASTS, from, func(s *Step) { c.checkMTASTS(ctx, s, from) })
	start(StepTLSRPT, from, func(s *Step) { c.checkTLSRPT(ctx, s, from) })
	return p.wait()
}

// domainOf returns the domain of an address, or of what is a domain already.
func domainOf(address string) string {
	return strings.ToLower(strings.TrimSuffix(address[strings.LastIndexByte(address, '@')+1:], "."))
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
