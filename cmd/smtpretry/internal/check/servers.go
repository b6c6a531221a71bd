package check

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/smtpretry/smtpretry"
)

// servers checks the server, or all that take a domain's mail side by side.
func (c *checker) servers(ctx context.Context) ([]Step, []Dialogue) {
	var steps []Step
	hosts := []string{c.Host}
	if c.Domain != "" {
		s := timed(StepMX, c.Domain, func(s *Step) { hosts = c.mx(ctx, s) })
		steps = append(steps, s)
	}
	visits := make([]*visit, len(hosts))
	var wg sync.WaitGroup
	for i, host := range hosts {
		v := &visit{c: c, host: host, sequence: sequence{about: host}}
		visits[i] = v
		wg.Go(func() { v.reach(ctx) })
	}
	wg.Wait()
	// The first that works is asked about sender and recipients, as a mailer
	// would do.
	if len(visits) > 0 {
		i := slices.IndexFunc(visits, func(v *visit) bool { return v.blocked == "" })
		visits[max(i, 0)].envelope(ctx)
	}
	// Where one host takes mail, another that does not is no obstacle.
	if slices.ContainsFunc(visits, (*visit).reached) {
		for _, v := range visits {
			if !v.reached() {
				v.lessen()
			}
		}
	}
	var dialogues []Dialogue
	for _, v := range visits {
		wg.Go(func() { v.leave(ctx) })
	}
	wg.Wait()
	for _, v := range visits {
		steps = append(steps, v.steps...)
		if v.talk != nil {
			dialogues = append(dialogues, v.talk.Dialogue)
		}
	}
	return append(steps, publishedLimits(hosts)...), dialogues
}

// maxHosts is how many servers of a domain are looked at, and addresses of each.
const maxHosts = 10

// mx finds the hosts that take a domain's mail.
func (c *checker) mx(ctx context.Context, s *Step) []string {
	if c.dns.dead {
		s.skip("", "%s", because(StepResolver))
		return nil
	}
	list, err := c.dns.LookupMX(ctx, c.Domain)
	switch {
	case len(list) == 1 && list[0].Host == ".":
		s.fault("null-mx", "the domain says that it takes no mail (null MX, RFC 7505)").
			advise("Nothing can be delivered there. Look whether the domain is spelt rightly.")
		return nil
	case len(list) > 0:
		var hosts []string
		for _, mx := range list[:min(len(list), maxHosts)] {
			hosts = append(hosts, strings.TrimSuffix(mx.Host, "."))
		}
		s.ok("%s", oneOf(hosts))
		if more := len(list) - len(hosts); more > 0 {
			s.detail("and %d more, which are not looked at", more)
		}
		return hosts
	case err != nil && !notFound(err):
		s.failedLookup(err)
		return nil
	case c.Guess:
		// Not a mail domain, so a server's name.
		s.note("no-mx", "no MX record: taken as the name of a server")
		c.Host, c.Domain = c.Domain, ""
		return []string{c.Host}
	}
	s.note("no-mx", "no MX record: mail goes to the address of the domain itself (RFC 5321 section 5.1)")
	return []string{c.Domain}
}

// A visit is the way to one server, as far as it goes.
type visit struct {
	sequence
	c     *checker
	host  string
	addrs []netip.Addr
	conn  net.Conn // until talk has it
	talk  *session
}

// reach goes as far as the login.
func (v *visit) reach(ctx context.Context) {
	v.do(StepDNS, func(s *Step) { v.resolve(ctx, s) })
	v.do(StepConnect, func(s *Step) { v.connect(ctx, s) })
	if v.blocked == "" {
		v.talk = newSession(v.conn, v.host)
	}
	if v.c.implicit() {
		v.do(StepTLS, func(s *Step) { v.handshake(ctx, s) })
		v.certificate()
	}
	v.do(StepGreeting, func(s *Step) { v.greeting(ctx, s) })
	v.do(StepHello, func(s *Step) { v.hello(ctx, s) })
	if !v.c.implicit() {
		v.do(StepTLS, func(s *Step) { v.startTLS(ctx, s) })
		v.certificate()
	}
	v.do(StepAuth, func(s *Step) { v.auth(ctx, s) })
}

// reached says whether the conversation got to where mail is offered.
func (v *visit) reached() bool {
	i := slices.IndexFunc(v.steps, func(s Step) bool { return s.Name == StepAuth })
	return i >= 0 && (v.steps[i].Result == OK || v.steps[i].Finding != "")
}

// lessen makes warnings of the faults.
func (v *visit) lessen() {
	for i := range v.steps {
		if v.steps[i].Result == Fault {
			v.steps[i].Result, v.steps[i].Temporary = Warning, false
		}
	}
}

func (v *visit) leave(ctx context.Context) {
	if v.talk != nil {
		v.talk.quit(ctx)
	}
}

// publishedLimits says what the library knows of the hosts, each provider once.
func publishedLimits(hosts []string) []Step {
	var steps []Step
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	seen := map[string]bool{}
	for _, host := range hosts {
		e := limiter.Explain(host)
		key := e.Key
		if providerOf(e) == "" {
			key = "" // that there is none is said once
		}
		if !seen[key] {
			seen[key] = true
			steps = append(steps, timed(StepLimits, host, func(s *Step) { knownLimits(s, e) }))
		}
	}
	return steps
}

func knownLimits(s *Step, e smtpretry.Explanation) {
	provider := providerOf(e)
	if provider == "" {
		s.ok("none are published that smtpretry knows: it starts gently and finds them out")
		return
	}
	s.ok("published for %s, and kept to by smtpretry", provider)
	for _, o := range e.Origins {
		if strings.HasPrefix(o.From, smtpretry.OriginKnown) {
			s.detail("%s %s (%s)", o.Field, o.Value, o.Source)
		}
	}
}

// providerOf returns whose published limits are in force; empty if none are.
func providerOf(e smtpretry.Explanation) string {
	for _, o := range e.Origins {
		if name, ok := strings.CutPrefix(o.From, smtpretry.OriginKnown); ok {
			return name
		}
	}
	return ""
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
