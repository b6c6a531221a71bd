package check

import (
	"context"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// checkDMARC looks at the policy of the From domain, and whether SPF and DKIM
// pass for a domain that counts as the same.
func (c *checker) checkDMARC(ctx context.Context, s *Step, domain string) {
	organization := organizational(domain)
	records, err := c.txtWith(ctx, "_dmarc."+domain, "v=DMARC1")
	where := domain
	if err == nil && len(records) == 0 && organization != domain {
		where = organization
		records, err = c.txtWith(ctx, "_dmarc."+organization, "v=DMARC1")
	}
	switch {
	case err != nil:
		s.failedLookup(err)
		return
	case len(records) == 0:
		s.warn("missing", "the domain has no DMARC record").
			advise("Publish a TXT record at _dmarc.%s; \"v=DMARC1; p=none; rua=mailto:YOU@%s\" is a beginning that changes nothing. Large providers want one of everybody who sends much.", organization, organization)
		return
	case len(records) > 1:
		s.fault("several-records", "there are %d DMARC records, which count as none (RFC 7489 section 6.6.3)", len(records)).advise("Leave one.")
		return
	}
	record, err := dmarc.Parse(records[0])
	if err != nil {
		s.detail("%s", records[0])
		s.fault("broken", "the record cannot be read: %s", strings.TrimPrefix(err.Error(), "dmarc: ")).
			advise("Correct it: \"v=DMARC1; p=none\" at least. A record with an error counts for nothing.")
		return
	}
	s.detail("%s", records[0])
	policy := record.Policy
	if where != domain && record.SubdomainPolicy != "" {
		policy = record.SubdomainPolicy
	}
	text := "policy " + string(policy)
	if where != domain {
		text += " (of " + where + ")"
	}
	c.align(s, text, domain, policy, record)
}

// align says whether a message of the domain passes. SPF and DKIM that fail are
// faults of their own and not named again.
func (c *checker) align(s *Step, text, domain string, policy dmarc.Policy, record *dmarc.Record) {
	spf, signed := c.spf.wait(), c.signed.wait()
	passing, others := "", []string{}
	look := func(method string, list []string, mode dmarc.AlignmentMode) {
		for _, d := range list {
			if aligned(d, domain, mode) {
				passing = method + " for " + d
			} else {
				others = append(others, method+" for "+d)
			}
		}
	}
	look("SPF", spf.domains, record.SPFAlignment)
	look("DKIM", signed.domains, record.DKIMAlignment)
	switch {
	case passing != "":
		s.ok("%s; mail passes by %s", text, passing)
	case len(others) > 0 && (c.Message == nil || !signed.known):
		s.note("not-aligned", "%s; %s passes, which does not count for %s: only a DKIM signature with d=%s makes mail pass", text, oneOf(others), domain, domain)
	case len(others) > 0:
		bad := s.fault
		if policy == dmarc.PolicyNone {
			bad = s.warn
		}
		bad("not-aligned", "%s; %s passes, which does not count for %s", text, oneOf(others), domain).
			advise("Sign with d=%s, or use an address of %s in MAIL FROM: the domain that passes must be that of the From header%s.", domain, domain, strictness(record))
	case spf.known || signed.known:
		s.ok("%s", text)
	default:
		s.ok("%s; whether mail passes was not seen", text)
	}
}

func strictness(r *dmarc.Record) string {
	if r.SPFAlignment == dmarc.AlignmentStrict || r.DKIMAlignment == dmarc.AlignmentStrict {
		return " (exactly, where adkim=s or aspf=s says so)"
	}
	return ", or belong to the same organization"
}

// aligned says whether a domain counts as the From domain (RFC 7489 section 3.1).
func aligned(d, from string, mode dmarc.AlignmentMode) bool {
	if mode == dmarc.AlignmentStrict {
		return strings.EqualFold(d, from)
	}
	return organizational(d) == organizational(from)
}

// organizational is the part of a domain that somebody has registered.
func organizational(domain string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(domain)); err == nil {
		return d
	}
	return strings.ToLower(domain)
}
