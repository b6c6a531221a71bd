// Package stage is what the tests of check play on: a DNS server with zones of
// its own, and a network in which the addresses of documentation lead to
// servers on loopback. Nothing leaves the machine.
package stage

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/miekg/dns"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
}

// A DNS is a server on loopback, over UDP and TCP. Safe for concurrent use.
type DNS struct {
	Addr string // host:port

	mu      sync.Mutex
	records map[string][]dns.RR // by name, in lower case
	codes   map[string]int      // what is answered for a name and those below it, instead
	only    map[string]int      // for the name alone
	asked   []string
}

// Refused and the others are what [DNS.Answer] makes a name be answered with.
const (
	Refused  = dns.RcodeRefused
	ServFail = dns.RcodeServerFailure
	Silence  = -1
)

// NewDNS starts a server that ends with the test. zone has records in the
// format of zone files, one in a line.
func NewDNS(t TB, zone string) *DNS {
	t.Helper()
	d := &DNS{records: map[string][]dns.RR{}, codes: map[string]int{}, only: map[string]int{}}
	d.Add(t, zone)
	udp, tcp := bothAt(t)
	d.Addr = udp.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: d}, {Listener: tcp, Handler: d}} {
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = s.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			_ = s.Shutdown()
			<-ended
		})
	}
	return d
}

// bothAt listens on one port over UDP and TCP.
func bothAt(t TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		udp.Close() // the port is somebody's; the next is another
	}
}

// Add adds records.
func (d *DNS) Add(t TB, zone string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := dns.NewZoneParser(strings.NewReader(zone), ".", "")
	p.SetDefaultTTL(60)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		d.records[name] = append(d.records[name], rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
}

// Remove takes the records of a name away: those of the types, all if none is
// given.
func (d *DNS) Remove(name string, types ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = dns.CanonicalName(name)
	d.records[name] = slices.DeleteFunc(d.records[name], func(rr dns.RR) bool {
		return len(types) == 0 || slices.Contains(types, dns.TypeToString[rr.Header().Rrtype])
	})
}

// Answer has all questions for a name, and for names below it, answered with
// nothing but a code, or not at all.
func (d *DNS) Answer(name string, code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.codes[dns.CanonicalName(name)] = code
}

// Only is Answer for a name, and none below it.
func (d *DNS) Only(name string, code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.only[dns.CanonicalName(name)] = code
}

// Asked returns the names and types that were asked for.
func (d *DNS) Asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// ServeDNS implements dns.Handler.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	d.mu.Lock()
	a := d.answer(q)
	d.mu.Unlock()
	if a == nil {
		return
	}
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
		a.Truncate(size)
	}
	_ = w.WriteMsg(a)
}

func (d *DNS) answer(q *dns.Msg) *dns.Msg {
	a := new(dns.Msg).SetReply(q)
	a.RecursionAvailable = true
	name, kind := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	d.asked = append(d.asked, fmt.Sprintf("%s %s", name, dns.TypeToString[kind]))
	for zone, code := range d.codes {
		if dns.IsSubDomain(zone, name) {
			if code == Silence {
				return nil
			}
			a.Rcode = code
			return a
		}
	}
	if code, ok := d.only[name]; ok {
		a.Rcode = code
		return a
	}
	exists := name == "."
	for range 8 {
		list := d.records[name]
		exists = exists || len(list) > 0
		next := ""
		for _, rr := range list {
			if rr.Header().Rrtype == kind {
				a.Answer = append(a.Answer, rr)
			}
			if c, ok := rr.(*dns.CNAME); ok && kind != dns.TypeCNAME {
				a.Answer = append(a.Answer, rr)
				next = dns.CanonicalName(c.Target)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !exists {
		a.Rcode = dns.RcodeNameError
	}
	return a
}

// A Network leads addresses to others. Safe for concurrent use once it is made.
type Network map[string]string

// Local is, in a [Network], under which address this machine is seen.
const Local = "local"

// What an address of a [Network] can lead to besides another.
const (
	Blackhole   = "blackhole"   // no answer at all
	Unreachable = "unreachable" // no route
)

// DialContext fits where a function to dial with is wanted. What the network
// does not know is refused, as by a machine on which nothing listens.
func (n Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	failed := func(err error) error { return &net.OpError{Op: "dial", Net: network, Err: err} }
	switch to := n[addr]; to {
	case "":
		return nil, failed(syscall.ECONNREFUSED)
	case Unreachable:
		return nil, failed(syscall.ENETUNREACH)
	case Blackhole:
		<-ctx.Done()
		return nil, failed(ctx.Err())
	default:
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, to)
		if err != nil {
			return nil, err
		}
		return &guise{conn, addr, n[Local]}, nil
	}
}

// A guise is a connection that was led elsewhere and does not tell.
type guise struct {
	net.Conn
	remote, local string
}

func (g *guise) RemoteAddr() net.Addr {
	a, err := netip.ParseAddrPort(g.remote)
	if err != nil {
		return g.Conn.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(a)
}

func (g *guise) LocalAddr() net.Addr {
	a, err := netip.ParseAddr(g.local)
	if err != nil {
		return g.Conn.LocalAddr()
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 50000))
}
