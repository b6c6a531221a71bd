package check

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// DefaultTimeout is the time that a check may take in all.
const DefaultTimeout = time.Minute

// A Config says what to check. One of Domain and Host is needed.
type Config struct {
	Domain string            // a mail domain: the hosts that take its mail are checked, on port 25
	Host   string            // a server's name or address
	Port   string            // empty: 465 with TLSImplicit, else 587; 25 for a Domain
	TLS    smtpretry.TLSMode // TLSAuto: as the port wants it; see smtpretry.TLSMode
	Guess  bool              // Domain may be a server's name instead: it is, if it has no MX record

	User      string // whom to log in as; empty: nobody
	Password  string // or token; empty: the login is not tried
	Mechanism string // plain, login or oauthbearer; empty: what is offered of the first two

	From     string   // the address in the From header, or only its domain; empty: no domain is checked
	Mail     string   // for MAIL FROM; empty: From if it is an address
	Rcpt     []string // for RCPT TO; without any, neither is said
	Selector []string // DKIM selectors of From's domain
	Message  []byte   // a message whose DKIM signatures are verified; nil: none

	IP     netip.Addr // the address that mail leaves from; zero: that of the connection
	DNSBL  []string   // block lists to ask; nil: [Lists]
	NoList bool       // ask no block list

	Resolver  string         // host:port of a DNS server; empty: the system's
	LocalName string         // for EHLO; empty: the machine's name
	Roots     *x509.CertPool // for certificates; nil: the system's
	Timeout   time.Duration  // 0: DefaultTimeout

	// Dial opens connections to the server, and for policies; nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Report is what a check found.
type Report struct {
	Target    string    // what was checked
	Start     time.Time // when it began
	Took      time.Duration
	Late      bool   // the time was up before all was looked at
	Address   string // that mail leaves from, as far as it is known
	LocalName string // what was said in EHLO
	Steps     []Step
	Dialogues []Dialogue
}

// Worst returns the worst result of all steps; [Skipped] is none. A fault is
// passing if all faults are.
func (r *Report) Worst() (worst Result, passing bool) {
	passing = true
	for _, s := range r.Steps {
		if s.Result == Skipped {
			continue
		}
		worst = max(worst, s.Result)
		passing = passing && (s.Result != Fault || s.Temporary)
	}
	return worst, worst == Fault && passing
}

// Count returns how many steps ended each way.
func (r *Report) Count() (n [Skipped + 1]int) {
	for _, s := range r.Steps {
		n[s.Result]++
	}
	return n
}

// MarshalJSON returns r with the keys that are documented for the command.
func (r *Report) MarshalJSON() ([]byte, error) {
	worst, passing := r.Worst()
	return asJSON(struct {
		Target    string  `json:"target"`
		Start     string  `json:"start"`
		TookMS    float64 `json:"took_ms"`
		Result    Result  `json:"result"`
		Temporary bool    `json:"temporary"`
		Late      bool    `json:"late,omitempty"`
		Address   string  `json:"address,omitempty"`
		LocalName string  `json:"ehlo"`
		Steps     []Step  `json:"steps"`
	}{r.Target, stamp(r.Start), float64(r.Took.Microseconds()) / 1000, worst, passing, r.Late, r.Address, r.LocalName, r.Steps})
}

// A checker is one check at work.
type checker struct {
	Config
	dns *resolver

	local  *promise[netip.Addr] // of the first connection; zero: there is none
	server *promise[netip.Addr] // its other end
	spf    *promise[authentic]
	signed *promise[authentic]
}

// Run does the check. It ends when ctx does, too.
func Run(ctx context.Context, cfg Config) *Report {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	c := &checker{Config: cfg.withDefaults(), local: newPromise[netip.Addr](), server: newPromise[netip.Addr](),
		spf: newPromise[authentic](), signed: newPromise[authentic]()}
	c.dns = newResolver(cfg.Resolver)

	r := &Report{Start: time.Now(), LocalName: c.LocalName}
	alive := timed(StepResolver, c.dns.name, func(s *Step) { c.dns.probe(ctx, s, cmp.Or(c.Host, c.Domain)) })
	r.Steps = append(r.Steps, alive)

	var p parts
	p.start(func() []Step {
		defer c.local.keep(netip.Addr{})
		defer c.server.keep(netip.Addr{})
		steps, dialogues := c.servers(ctx)
		r.Dialogues = dialogues
		return steps
	})
	p.start(func() []Step { return c.senderAddress(ctx) })
	if c.From != "" || c.Message != nil {
		p.start(func() []Step { return c.senderDomain(ctx) })
	}
	r.Steps = oneFault(append(r.Steps, p.wait()...))

	r.Target = c.target()
	if ip, _ := c.address(); ip.IsValid() {
		r.Address = ip.String()
	}
	r.Took = time.Since(r.Start)
	r.Late = ctx.Err() == context.DeadlineExceeded
	return r
}

// oneFault leaves of the faults that have one reason in the DNS the first.
func oneFault(steps []Step) []Step {
	first := map[string]string{}
	needed := false
	for i := range steps {
		s := &steps[i]
		needed = needed || s.Result == Skipped && s.Text == because(StepResolver)
		if s.Result != Fault || s.failing == "" {
			continue
		}
		if by := first[s.failing]; by != "" {
			steps[i] = skipped(s.Name, s.About, "because "+by+" failed, with the same name servers")
			continue
		}
		first[s.failing] = s.Name
	}
	if s := &steps[0]; s.Name == StepResolver && s.Result == Fault && !needed {
		s.Temporary, s.Advice = false, ""
		s.skip("", "it does not answer, and was not needed")
	}
	return steps
}

func (c Config) withDefaults() Config {
	if c.Host != "" && !isAddress(c.Host) {
		c.Host = inDNS(c.Host)
	}
	c.Domain = inDNS(c.Domain)
	if c.LocalName == "" {
		c.LocalName = machineName()
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.Mail == "" && strings.Contains(c.From, "@") {
		c.Mail = c.From
	}
	if c.DNSBL == nil {
		for _, l := range Lists {
			c.DNSBL = append(c.DNSBL, l.Zone)
		}
	}
	return c
}

// target is what is checked, as one line.
func (c *checker) target() string {
	if c.Domain != "" {
		return c.Domain
	}
	scheme := "smtp"
	if c.implicit() {
		scheme = "smtps"
	}
	user := ""
	if c.User != "" {
		user = c.User + "@"
	}
	return scheme + "://" + ui.Line(user+net.JoinHostPort(c.Host, c.port()))
}

func (c *checker) implicit() bool {
	return c.TLS == smtpretry.TLSImplicit || c.TLS == smtpretry.TLSAuto && (c.Port == "465" || c.Port == "submissions" || c.Port == "smtps")
}

func (c *checker) port() string {
	switch {
	case c.Port != "":
		return c.Port
	case c.Domain != "":
		return "25"
	case c.implicit():
		return "465"
	}
	return "587"
}

// submits says whether the server is one that programs hand their mail to. Those
// that take mail from other servers are on port 25 only; on this machine, mail is
// handed over without TLS.
func (c *checker) submits() bool {
	if c.Domain != "" {
		return false
	}
	if c.User != "" || c.implicit() {
		return true
	}
	switch c.port() {
	case "25", "smtp":
		return false
	case "587", "submission":
		return true
	}
	return !isLoopback(c.Host)
}

// address returns the address that mail leaves from, and whether it was given.
func (c *checker) address() (ip netip.Addr, given bool) {
	if c.IP.IsValid() {
		return c.IP.Unmap(), true
	}
	return c.local.wait(), false
}
