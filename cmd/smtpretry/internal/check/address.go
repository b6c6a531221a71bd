package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// senderAddress looks at the address that mail leaves from.
func (c *checker) senderAddress(ctx context.Context) []Step {
	ip, given := c.address() // waits for a connection, which is not this step's time
	seq := sequence{}
	if ip.IsValid() {
		seq.about = ip.String()
	}
	seq.do(StepAddress, func(s *Step) {
		switch why := notPublic(ip); {
		case !ip.IsValid():
			s.skip("", "there is no connection that it could be taken from; --ip names it")
		case why != "" && given:
			s.note("not-public", "%s: nobody out there sees it", why)
		case why != "":
			s.note("not-public", "this machine's end of the connection is %s: others see another address, which --ip names", why)
		case given:
			s.ok("as given")
		case c.submits():
			s.ok("this machine's end of the connection; the server sends on from its own address, which --ip names")
		default:
			s.ok("this machine's end of the connection")
		}
	})
	if !ip.IsValid() || notPublic(ip) != "" {
		seq.blocked = "the address that mail leaves from is not known; --ip names it"
		if given {
			seq.blocked = "only public addresses can be looked up"
		}
	} else if c.dns.dead {
		seq.blocked = because(StepResolver)
	}
	direct := given || seq.blocked == "" && !c.submits()

	var p parts
	p.step(seq.blocked, StepReverse, seq.about, func(s *Step) { c.reverse(ctx, s, ip, direct) })
	if !c.NoList {
		for _, zone := range c.DNSBL {
			p.step(seq.blocked, StepBlockList, zone, func(s *Step) { c.blockList(ctx, s, ip, zone, direct) })
		}
	}
	return append(seq.steps, p.wait()...)
}

// notPublic says why an address means nothing to others; empty if it does.
func notPublic(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "none"
	case ip.IsLoopback():
		return "a loopback address"
	case ip.IsPrivate(), netip.MustParsePrefix("100.64.0.0/10").Contains(ip): // RFC 6598
		return "a private address"
	case ip.IsLinkLocalUnicast():
		return "a link-local address"
	case ip.IsUnspecified(), ip.IsMulticast():
		return "no host's address"
	}
	return ""
}

// reverse looks whether the address has a name that leads back to it. A server
// that takes mail from strangers wants that; one that is logged in to does not.
func (c *checker) reverse(ctx context.Context, s *Step, ip netip.Addr, direct bool) {
	bad := s.note
	if direct {
		bad = s.fault
	}
	names, err := c.dns.LookupAddr(ctx, ip.String())
	switch {
	case notFound(err) || err == nil && len(names) == 0:
		bad("no-ptr", "the address has no name (PTR record)").
			advise("Have whoever gave you the address, the provider or data centre, set its reverse DNS to the name of the sending machine, and that name's A or AAAA record to the address. Large providers refuse mail without it.")
		return
	case err != nil:
		s.failedLookup(err)
		return
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".")
	}
	slices.Sort(names)
	const most = 10
	for _, name := range names[:min(len(names), most)] {
		family := "ip4"
		if ip.Is6() {
			family = "ip6"
		}
		list, err := c.dns.addrs(ctx, family, name)
		if slices.Contains(list, ip) {
			s.ok("%s, which leads back to the address", name)
			if !strings.EqualFold(name, c.LocalName) && direct {
				s.detail("EHLO says %s; best is the same name (--helo)", c.LocalName)
			}
			return
		}
		if err != nil && !notFound(err) {
			s.failedLookup(err)
			return
		}
	}
	bad("not-confirmed", "%s, which does not lead back to the address", oneOf(names)).
		advise("Give %s an %s record with %s, or have the PTR record changed to a name that has one.", names[0], record(ip), ip)
}

func record(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

// reversed is an address as its reverse name has it: octets, or nibbles of
// IPv6 (RFC 5782 section 2.4).
func reversed(ip netip.Addr) string {
	var labels []string
	for _, b := range slices.Backward(ip.AsSlice()) {
		if ip.Is4() {
			labels = append(labels, strconv.Itoa(int(b)))
		} else {
			labels = append(labels, fmt.Sprintf("%x.%x", b&0xf, b>>4))
		}
	}
	return strings.Join(labels, ".")
}
