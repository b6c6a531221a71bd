package check

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
)

// maxSPFLookups is how many terms of a record may ask the DNS (RFC 7208
// section 4.6.4).
const maxSPFLookups = 10

// An authentic is what DMARC asks of SPF and DKIM.
type authentic struct {
	known   bool     // it was looked at, and not put off by a failing lookup
	domains []string // for which it passes
}

// checkSPF evaluates the record of the envelope sender's domain for the
// address that mail leaves from.
func (c *checker) checkSPF(ctx context.Context, s *Step, domain string) {
	records, err := c.spfRecords(ctx, domain)
	if err != nil {
		s.failedLookup(err)
		return
	}
	switch len(records) {
	case 0:
		s.fault("missing", "the domain has no SPF record").
			advise("Publish a TXT record at %s that names all that send its mail, such as \"v=spf1 mx include:_spf.YOUR-PROVIDER -all\". Large providers refuse or file away mail without.", domain)
		c.spf.keep(authentic{known: true})
		return
	case 1:
		s.detail("%s", records[0])
	default:
		s.fault("several-records", "the domain has %d SPF records, which count as none (RFC 7208 section 4.5)", len(records)).
			advise("Put them together into one.")
		c.spf.keep(authentic{known: true})
		return
	}

	ip, given := c.address()
	through := "" // the server's address stands for one that is not known
	if !given && c.submits() {
		ip, through = c.server.wait(), "the server's own address "
	}
	lookups := c.countLookups(ctx, records[0], domain)
	if ip.IsValid() {
		s.detail("%d of %d lookups", lookups, maxSPFLookups)
	}
	if notPublic(ip) != "" {
		if lookups > maxSPFLookups {
			tooMany(s, lookups)
			return
		}
		s.note("not-evaluated", "there is a record; the address that mail leaves from is not known, --ip names it")
		return
	}
	sender := "postmaster@" + domain
	if local, _, ok := strings.Cut(c.Mail, "@"); ok {
		sender = local + "@" + domain
	}
	result, err := spf.CheckHostWithSender(net.IP(ip.AsSlice()), c.LocalName, sender, spf.WithContext(ctx), spf.WithResolver(c.dns))
	if result == spf.TempError || isLookup(err) {
		s.failedLookup(err)
		return
	}
	found := authentic{known: true}
	if result == spf.Pass {
		found.domains = []string{domain}
	}
	if through == "" {
		c.spf.keep(found)
	}
	judgeSPF(s, result, err, verdictSPF{ip: ip, through: through, lookups: lookups,
		term: c.matchedTerm(ctx, records[0], ip, sender), domain: domain})
}

type verdictSPF struct {
	ip            netip.Addr
	through, term string
	domain        string
	lookups       int
}

func judgeSPF(s *Step, result spf.Result, err error, v verdictSPF) {
	by := ""
	if v.term != "" {
		by = " by " + v.term
	}
	allow := "ip4:" + v.ip.String()
	if v.ip.Is6() {
		allow = "ip6:" + v.ip.String()
	}
	switch {
	case result == spf.PermError && errors.Is(err, spf.ErrLookupLimitReached):
		tooMany(s, v.lookups)
	case result == spf.PermError:
		s.fault("broken", "the record cannot be evaluated: %s%s", reason(err), by).
			advise("Correct the record at %s: a record with an error counts for nothing.", v.domain)
	case result == spf.Pass && v.lookups > maxSPFLookups:
		s.warn("too-many-lookups", "pass for %s%s%s, but the whole record takes %d lookups, and receivers stop at %d", v.through, v.ip, by, v.lookups, maxSPFLookups).
			advise("Other addresses of yours may fail. Replace includes by the addresses they stand for, and drop what is no longer used.")
	case result == spf.Pass:
		s.ok("pass for %s%s%s", v.through, v.ip, by)
	case v.through != "":
		s.note("not-covered", "%s for %s%s%s; it may send on from another, which --ip names", result, v.through, v.ip, by)
	case result == spf.Fail:
		s.fault("fail", "fail for %s%s", v.ip, by).
			advise("The record forbids this address. Add %s to it, or the include: of the provider that you send through.", allow)
	case result == spf.SoftFail:
		s.warn("softfail", "softfail for %s%s", v.ip, by).
			advise("The record does not name this address, and mail from it looks suspicious. Add %s to it, or the include: of the provider that you send through.", allow)
	default:
		s.warn("neutral", "%s for %s%s", result, v.ip, by).
			advise("The record says nothing of this address. Add %s to it, and end it with -all or ~all.", allow)
	}
}

func tooMany(s *Step, lookups int) {
	s.fault("too-many-lookups", "the record takes %d lookups, and receivers stop at %d (RFC 7208 section 4.6.4)", lookups, maxSPFLookups).
		advise("Replace includes by the addresses they stand for, and drop what is no longer used.")
}

// spfRecords returns the SPF records of a domain.
func (c *checker) spfRecords(ctx context.Context, domain string) ([]string, error) {
	return c.txtWith(ctx, domain, "v=spf1")
}

// txtWith returns those TXT records of a name that are of a version, as in
// "v=spf1 …" or "v=DMARC1; …". There being none is no error.
func (c *checker) txtWith(ctx context.Context, name, version string) ([]string, error) {
	all, err := c.dns.LookupTXT(ctx, name)
	if err != nil && !notFound(err) {
		return nil, err
	}
	var records []string
	for _, txt := range all {
		if len(txt) >= len(version) && strings.EqualFold(txt[:len(version)], version) &&
			(len(txt) == len(version) || strings.ContainsRune(" ;\t", rune(txt[len(version)]))) {
			records = append(records, txt)
		}
	}
	return records, nil
}

// countLookups counts the terms that ask the DNS in a record and all that it
// includes, whatever the address. Includes whose name depends on the message
// count, but are not looked into. chain are the domains on the way there; far
// beyond the limit it stops.
func (c *checker) countLookups(ctx context.Context, record string, chain ...string) int {
	n := 0
	for _, term := range strings.Fields(strings.ToLower(record)) {
		term = strings.TrimLeft(term, "+-~?")
		name, value, _ := strings.Cut(term, ":")
		name, _, _ = strings.Cut(name, "/")
		if rest, ok := strings.CutPrefix(term, "redirect="); ok {
			name, value = "redirect", rest
		}
		switch name {
		case "a", "mx", "ptr", "exists":
			n++
		case "include", "redirect":
			n++
			if strings.Contains(value, "%") || slices.Contains(chain, value) || n+len(chain) > 2*maxSPFLookups {
				continue
			}
			if records, err := c.spfRecords(ctx, value); err == nil && len(records) == 1 {
				n += c.countLookups(ctx, records[0], append(slices.Clone(chain), value)...)
			}
		}
	}
	return n
}

// matchedTerm finds the term that decided: the first that decides alone. A redirect
// comes last, wherever it stands (RFC 7208 section 6.1).
func (c *checker) matchedTerm(ctx context.Context, record string, ip netip.Addr, sender string) string {
	_, domain, _ := strings.Cut(sender, "@")
	for _, last := range []bool{false, true} {
		for _, term := range strings.Fields(record)[1:] {
			redirect := strings.HasPrefix(strings.ToLower(term), "redirect=")
			if redirect == last && c.decides(ctx, term, domain, ip, sender) {
				return term
			}
		}
	}
	return ""
}

func (c *checker) decides(ctx context.Context, term, domain string, ip netip.Addr, sender string) bool {
	one := oneTerm{c.dns, domain, "v=spf1 " + term}
	result, err := spf.CheckHostWithSender(net.IP(ip.AsSlice()), c.LocalName, sender, spf.WithContext(ctx), spf.WithResolver(one))
	return result != spf.Neutral || err != nil && errors.Is(err, spf.ErrMatchedAll)
}

// oneTerm answers for one domain with one term of its record, and else as the
// DNS does.
type oneTerm struct {
	*resolver
	domain, record string
}

// LookupTXT implements spf.DNSResolver.
func (o oneTerm) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if strings.EqualFold(strings.TrimSuffix(name, "."), o.domain) {
		return []string{o.record}, nil
	}
	return o.resolver.LookupTXT(ctx, name)
}
