package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// connectTimeout is how long a connection may take to open.
var connectTimeout = 10 * time.Second

// resolve finds the host's addresses.
func (v *visit) resolve(ctx context.Context, s *Step) {
	if ip, err := netip.ParseAddr(v.host); err == nil {
		v.addrs = []netip.Addr{ip}
		s.ok("an address, no name")
		return
	}
	if v.c.dns.dead { // but there is the hosts file
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	var (
		wg     sync.WaitGroup
		v4, v6 []netip.Addr
		errs   [2]error
	)
	wg.Go(func() { v4, errs[0] = v.c.dns.asDialled(ctx, "ip4", v.host) })
	wg.Go(func() { v6, errs[1] = v.c.dns.asDialled(ctx, "ip6", v.host) })
	wg.Wait()
	v.addrs = slices.Concat(v4[:min(len(v4), maxHosts)], v6[:min(len(v6), maxHosts)])
	if v.c.dns.dead {
		if len(v.addrs) == 0 {
			v.blocked = because(StepResolver)
			s.skip("", "%s", v.blocked)
			return
		}
		errs = [2]error{}
	}
	for i, kind := range []string{"A", "AAAA"} {
		if errs[i] == nil || notFound(errs[i]) {
			continue
		}
		if len(v.addrs) == 0 {
			s.failedLookup(errs[i])
			return
		}
		s.warn("lookup-failed", "%s; the lookup of %s failed: %s", addresses(v.addrs), kind, reason(errs[i])).
			advise("Some clients wait for that answer. Look at the name servers of the domain.")
		return
	}
	if len(v.addrs) == 0 {
		s.fault("no-such-name", "the name does not exist, or has no address").
			advise("Look whether the server's name is spelt rightly; the provider's documentation has it.")
		return
	}
	s.ok("%s", addresses(v.addrs))
}

func addresses(list []netip.Addr) string {
	var text []string
	for _, ip := range list {
		text = append(text, ip.String())
	}
	return oneOf(text)
}

// An attempt is a connection to one address.
type attempt struct {
	addr string
	conn net.Conn
	err  error
	took time.Duration
}

// connect tries all addresses at once, and keeps the first that works.
func (v *visit) connect(ctx context.Context, s *Step) {
	tries := make([]attempt, len(v.addrs))
	var wg sync.WaitGroup
	for i, ip := range v.addrs {
		wg.Go(func() { tries[i] = v.dial(ctx, net.JoinHostPort(ip.String(), v.c.port())) })
	}
	wg.Wait()
	var failed []attempt
	for i, t := range tries {
		if t.err != nil {
			failed = append(failed, t)
			continue
		}
		if v.conn == nil {
			v.conn = t.conn
			v.c.local.keep(addrOf(t.conn.LocalAddr()))
			v.c.server.keep(v.addrs[i])
			s.ok("%s", t.addr)
		} else {
			t.conn.Close()
		}
		if len(tries) > 1 {
			s.detail("%s: connected in %s", t.addr, t.took.Round(time.Millisecond))
		}
	}
	switch {
	case v.conn == nil:
		v.unreachable(ctx, s, failed)
	case len(failed) > 0:
		finding, err := diagnose(failed[0].err)
		for _, t := range failed {
			s.detail("%s: %s", t.addr, failureText(t.err))
		}
		if finding == "unreachable" && strings.HasPrefix(failed[0].addr, "[") {
			s.note("no-ipv6", "%s; over IPv6 there is no route from here", s.Text)
			return
		}
		s.warn("some-"+finding, "%s; but %s: %s", s.Text, failed[0].addr, err).
			advise("Clients that try this address first lose time. Mend it, or take it out of the DNS.")
	}
}

func (v *visit) dial(ctx context.Context, addr string) attempt {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	start := time.Now()
	conn, err := v.c.Dial(ctx, "tcp", addr)
	return attempt{addr, conn, err, time.Since(start)}
}

// unreachable says why no address could be connected to, and which other port
// answers.
func (v *visit) unreachable(ctx context.Context, s *Step, failed []attempt) {
	finding, text := diagnose(failed[0].err)
	s.fault(finding, "%s: %s", failed[0].addr, text).passing()
	for _, t := range failed[1:] {
		s.detail("%s: %s", t.addr, failureText(t.err))
	}
	if other := v.otherPort(ctx); other != "" {
		s.advise("Use port %s, which answers: %s.", other, v.urlFor(other))
		return
	}
	switch {
	case finding == "refused" && v.c.Domain != "":
		s.advise("Nothing listens on port 25 there, or a firewall refuses, which may also be one here. Mail waits until this changes; whoever runs the host should know.")
	case finding == "refused":
		s.advise("Nothing listens on port %s there, or a firewall refuses. Look at the port (587 for STARTTLS, 465 for TLS), and whether the server runs.", v.c.port())
	case finding == "timeout":
		if v.c.port() == "25" {
			s.advise("Many networks and hosting providers block outgoing port 25. Send through a server you log in to (port 587 or 465), or ask the provider to open it.")
			return
		}
		s.advise("A firewall on the way drops the connection, or the server is down. Look at the port and at the firewall here.")
	default:
		s.advise("Look at the network connection here, and at the address.")
	}
}

// The errors of Windows that package syscall has under no common name.
const (
	wsaENetUnreach  = syscall.Errno(10051)
	wsaEConnRefused = syscall.Errno(10061)
	wsaEHostUnreach = syscall.Errno(10065)
)

// diagnose tells the ways apart in which a connection fails.
func diagnose(err error) (finding, text string) {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	switch {
	case is(syscall.ECONNREFUSED, wsaEConnRefused):
		return "refused", "connection refused"
	case is(context.DeadlineExceeded, os.ErrDeadlineExceeded, syscall.ETIMEDOUT) || isTimeout(err):
		return "timeout", fmt.Sprintf("no answer within %s", connectTimeout)
	case is(syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, wsaENetUnreach, wsaEHostUnreach):
		return "unreachable", "no route from here"
	}
	return "failed", reason(err)
}

func failureText(err error) string {
	_, text := diagnose(err)
	return text
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// otherPort returns one of the usual ports that answers, if the one asked for
// does not.
func (v *visit) otherPort(ctx context.Context) string {
	if len(v.addrs) == 0 || v.c.Domain != "" {
		return ""
	}
	ports := []string{"587", "465", "25"}
	answers := make([]bool, len(ports))
	var wg sync.WaitGroup
	for i, port := range ports {
		if port == v.c.port() {
			continue
		}
		wg.Go(func() {
			if t := v.dial(ctx, net.JoinHostPort(v.addrs[0].String(), port)); t.err == nil {
				answers[i] = true
				t.conn.Close()
			}
		})
	}
	wg.Wait()
	for i, port := range ports {
		if answers[i] {
			return port
		}
	}
	return ""
}

// urlFor is how the server is named with another port.
func (v *visit) urlFor(port string) string {
	scheme := "smtp"
	if port == "465" {
		scheme = "smtps"
	}
	return v.url(scheme, port)
}

// url is how the server would be named, with the user.
func (v *visit) url(scheme, port string) string {
	user := ""
	if v.c.User != "" {
		user = url.PathEscape(v.c.User) + "@"
	}
	return scheme + "://" + user + net.JoinHostPort(v.host, port)
}

func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// reason is what an error says, without the names of the operations around it.
func reason(err error) string {
	var (
		dns  *net.DNSError
		op   *net.OpError
		call *os.SyscallError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &dns):
		if dns.IsTimeout {
			return "no answer from the resolver"
		}
		if errors.As(dns, &call) {
			return call.Err.Error()
		}
		return dns.Err
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	case errors.As(err, &call):
		return call.Err.Error()
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}
