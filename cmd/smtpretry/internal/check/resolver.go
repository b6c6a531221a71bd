package check

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// lookupTimeout is how long one question to the DNS may take.
var lookupTimeout = 10 * time.Second

// A resolver asks the DNS. Names are taken as they are: no search domain is
// tried, but for the server's. It has the methods that the libraries for SPF, DKIM and DMARC want.
type resolver struct {
	net  *net.Resolver
	name string // of the server; empty: the system's
	dead bool   // does not answer
}

// newResolver returns one that asks server, host:port; the system's if that is
// empty.
func newResolver(server string) *resolver {
	if server == "" {
		return &resolver{net: net.DefaultResolver}
	}
	return &resolver{name: server, net: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}}}
}

// probe finds out whether any answer can be had at all, so that it is said once
// if not, and not by every step that asks. It asks for the root, and if that
// fails for name, since not every resolver gives the one out.
func (r *resolver) probe(ctx context.Context, s *Step, name string) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	_, err := r.net.LookupNS(ctx, ".")
	if noAnswer(err) && name != "" && !isAddress(name) {
		_, err = r.net.LookupNetIP(ctx, "ip4", absolute(name))
	}
	if noAnswer(err) {
		r.dead = true
		s.fault("no-answer", "no answer: %s", reason(err)).passing().
			advise("Names cannot be looked up. Look at the network connection and at the resolver (/etc/resolv.conf), or name another with --resolver.")
		return
	}
	s.ok("answers")
}

// noAnswer says whether a lookup ended without an answer, or with one that
// says no more than that there is a failure.
func noAnswer(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && (e.IsTimeout || e.IsTemporary)
}

func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// LookupTXT returns the TXT records of a name, each with its parts joined.
func (r *resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return r.net.LookupTXT(ctx, absolute(name))
}

// LookupMX returns the MX records of a domain, the preferred first.
func (r *resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return r.net.LookupMX(ctx, absolute(name))
}

// LookupIPAddr returns the addresses of a host.
func (r *resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return r.net.LookupIPAddr(ctx, absolute(host))
}

// LookupAddr returns the names of an address.
func (r *resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return r.net.LookupAddr(ctx, addr)
}

// addrs returns the addresses of one family, "ip4" or "ip6".
func (r *resolver) addrs(ctx context.Context, family, host string) ([]netip.Addr, error) {
	return r.asDialled(ctx, family, absolute(host))
}

// asDialled is addrs as a program finds them that dials host: the hosts file and
// the search domains come before, which they do for no name with a dot at its end.
func (r *resolver) asDialled(ctx context.Context, family, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	list, err := r.net.LookupNetIP(ctx, family, host)
	for i, ip := range list {
		list[i] = ip.Unmap()
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list, err
}

// notFound says whether the DNS answered that there is nothing, or the hosts
// file has nothing of that family.
func notFound(err error) bool {
	var (
		e      *net.DNSError
		family *net.AddrError
	)
	return errors.As(err, &e) && e.IsNotFound || errors.As(err, &family)
}

// isLookup says whether err is a lookup that failed.
func isLookup(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && !e.IsNotFound
}

// machineName is what a program without a name of its own says in EHLO.
func machineName() string {
	if name, err := os.Hostname(); err == nil && name != "" && !strings.ContainsAny(name, " <>\r\n") {
		return name
	}
	return "localhost"
}
