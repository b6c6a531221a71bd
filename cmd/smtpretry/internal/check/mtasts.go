package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

const (
	policyTimeout = 15 * time.Second
	maxPolicy     = 64 << 10 // octets, as RFC 8461 section 3.2 has it
)

// checkMTASTS looks whether the domain asks for TLS on the way to it, and
// whether its own mail servers keep to that (RFC 8461). It is about mail to the
// domain: replies and bounces.
func (c *checker) checkMTASTS(ctx context.Context, s *Step, domain string) {
	records, err := c.txtWith(ctx, "_mta-sts."+domain, "v=STSv1")
	switch {
	case err != nil:
		s.failedLookup(err)
		return
	case len(records) == 0:
		s.note("not-used", "not used; it would keep mail to the domain from being sent without TLS")
		return
	case len(records) > 1:
		s.warn("several-records", "there are %d records, which count as none", len(records)).advise("Leave one.")
		return
	}
	if tags, err := tagList(records[0]); err != nil || tags["id"] == "" {
		s.detail("%s", records[0])
		s.warn("broken", "the record has no id=").advise("Publish \"v=STSv1; id=20260101;\", with a new id whenever the policy changes.")
		return
	}
	policy, err := c.fetchPolicy(ctx, domain)
	if err != nil {
		s.warn("no-policy", "there is a record, and no policy: %s", reason(err)).
			advise("Serve it at %s, with a certificate for that name and as text/plain.", policyURL(domain))
		return
	}
	s.detail("mx: %s", oneOf(policy.mx))
	list, err := c.dns.LookupMX(ctx, domain)
	if err != nil && !notFound(err) {
		s.failedLookup(err)
		return
	}
	var outside []string
	for _, mx := range list {
		if host := strings.TrimSuffix(mx.Host, "."); host != "" && !policy.covers(host) {
			outside = append(outside, host)
		}
	}
	switch {
	case len(outside) > 0 && policy.mode == "enforce":
		s.fault("mx-mismatch", "mode enforce; the policy does not cover %s, so mail to the domain is not delivered there", oneOf(outside)).
			advise("Add the host to the policy, and change id= of the record; or correct the MX record.")
	case len(outside) > 0 && policy.mode != "none":
		s.warn("mx-mismatch", "mode %s; the policy does not cover %s", policy.mode, oneOf(outside)).
			advise("Add the host to the policy, and change id= of the record, before mode is enforce.")
	default:
		s.ok("mode %s, max_age %s", policy.mode, days(policy.maxAge))
	}
}

// An stsPolicy is the file of RFC 8461 section 3.2.
type stsPolicy struct {
	mode   string
	mx     []string
	maxAge time.Duration
}

func policyURL(domain string) string { return "https://mta-sts." + domain + "/.well-known/mta-sts.txt" }

func (c *checker) fetchPolicy(ctx context.Context, domain string) (*stsPolicy, error) {
	ctx, cancel := context.WithTimeout(ctx, policyTimeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			list, err := c.dns.LookupIPAddr(ctx, host)
			if err != nil {
				return nil, err
			}
			var last error
			for _, ip := range list {
				conn, err := c.Dial(ctx, network, net.JoinHostPort(ip.String(), port))
				if err == nil {
					return conn, nil
				}
				last = err
			}
			return nil, last
		},
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it redirects, which no policy may (RFC 8461 section 3.3)")
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, policyURL(domain), nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the web server says %s", ui.Line(res.Status))
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, fmt.Errorf("it is %q, not text/plain", ui.Line(res.Header.Get("Content-Type")))
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPolicy))
	if err != nil {
		return nil, err
	}
	return parsePolicy(string(text))
}

func parsePolicy(text string) (*stsPolicy, error) {
	p := &stsPolicy{}
	version := ""
	for _, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "version":
			version = value
		case "mode":
			p.mode = value
		case "mx":
			p.mx = append(p.mx, strings.ToLower(value))
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("max_age %q is no number of seconds", ui.Line(value))
			}
			p.maxAge = time.Duration(n) * time.Second
		}
	}
	switch {
	case version != "STSv1":
		return nil, errors.New("it has no line \"version: STSv1\"")
	case p.mode != "enforce" && p.mode != "testing" && p.mode != "none":
		return nil, fmt.Errorf("its mode %q is none of enforce, testing, none", ui.Line(p.mode))
	case p.maxAge == 0:
		return nil, errors.New("it has no max_age")
	case len(p.mx) == 0 && p.mode != "none":
		return nil, errors.New("it has no mx")
	}
	return p, nil
}

// covers says whether a host is one of the policy's; a star stands for one
// label (RFC 8461 section 4.1).
func (p *stsPolicy) covers(host string) bool {
	host = strings.ToLower(host)
	for _, pattern := range p.mx {
		if rest, ok := strings.CutPrefix(pattern, "*."); ok {
			if _, parent, _ := strings.Cut(host, "."); parent == rest {
				return true
			}
		} else if host == pattern {
			return true
		}
	}
	return false
}

// checkTLSRPT looks whether the domain wants reports of TLS that failed (RFC 8460).
func (c *checker) checkTLSRPT(ctx context.Context, s *Step, domain string) {
	records, err := c.txtWith(ctx, "_smtp._tls."+domain, "v=TLSRPTv1")
	switch {
	case err != nil:
		s.failedLookup(err)
	case len(records) == 0:
		s.note("not-used", "not used; it would have others report TLS failures on the way to the domain")
	case len(records) > 1:
		s.warn("several-records", "there are %d records, which count as none", len(records)).advise("Leave one.")
	default:
		if tags, err := tagList(records[0]); err != nil || tags["rua"] == "" {
			s.detail("%s", records[0])
			s.warn("broken", "the record says no address for reports (rua=)").advise("Publish \"v=TLSRPTv1; rua=mailto:YOU@%s\".", domain)
			return
		}
		s.ok("%s", records[0])
	}
}
