package check

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

// A List is a DNS block list that is asked if no other is named.
type List struct {
	Zone    string
	Name    string
	Lists   string            // what it lists
	Codes   map[string]string // what its answers mean, where they differ
	Removal string            // where to ask, and how it goes away
	Dynamic []string          // answers that only say that the address should send through a server
}

// Lists are those lists that are widely used to refuse mail, publish what they
// do, and answer queries without registration. Each has limits of use; asking
// about one address is well within them. Not among them: Barracuda's, which
// wants the resolver registered first.
var Lists = []List{
	{
		// spamhaus.org, "DNSBL Usage"; docs.spamhaus.com, "Available Zones".
		Zone: "zen.spamhaus.org", Name: "Spamhaus ZEN", Lists: "known sources of spam (SBL, CSS), broken-into machines (XBL), and ranges that should not send by themselves (PBL)",
		Codes: map[string]string{
			"127.0.0.2":  "SBL: a known source of spam",
			"127.0.0.3":  "CSS: sends mail of low reputation, often a new or bought list",
			"127.0.0.4":  "XBL: an infected or broken-into machine, or an open proxy",
			"127.0.0.9":  "DROP: a network taken over by criminals",
			"127.0.0.10": "PBL, as its provider says: a range whose customers should send through a server",
			"127.0.0.11": "PBL, as Spamhaus says: a range whose customers should send through a server",
			"127.0.0.30": "BCL: a command server of a botnet",
		},
		Dynamic: []string{"127.0.0.10", "127.0.0.11"},
		Removal: "https://check.spamhaus.org/ says why, and how it ends",
	},
	{
		// spamcop.net, "SCBL FAQ".
		Zone: "bl.spamcop.net", Name: "SpamCop", Lists: "addresses from which users and traps were sent spam lately",
		Removal: "it ends by itself within 24 hours after the last report; https://www.spamcop.net/bl.shtml says why",
	},
	{
		// psbl.org, "How to use PSBL".
		Zone: "psbl.surriel.com", Name: "PSBL", Lists: "addresses that sent mail to spam traps",
		Removal: "anybody can ask at https://psbl.org/remove, once the cause is gone",
	},
	{
		// mailspike.io, "IP Verify"; free below 100,000 queries a day.
		Zone: "bl.mailspike.net", Name: "Mailspike BL", Lists: "addresses with a bad reputation or in a wave of spam",
		Codes: map[string]string{
			"127.0.0.2":  "part of a wave of spam",
			"127.0.0.10": "the worst reputation",
			"127.0.0.11": "a very bad reputation",
			"127.0.0.12": "a bad reputation",
		},
		Removal: "https://mailspike.io/ip_verify says why, and takes requests",
	},
}

func listOf(zone string) List {
	for _, l := range Lists {
		if strings.EqualFold(l.Zone, zone) {
			return l
		}
	}
	return List{Zone: zone, Name: zone, Removal: "see the list's own pages"}
}

// refusals are answers that are about the query and not about the address.
// Spamhaus's are documented; none of the range can be a listing.
var (
	refusedRange = netip.MustParsePrefix("127.255.255.0/24")
	refusals     = map[string]string{
		"127.255.255.252": "there is no such list: the zone's name is misspelt",
		"127.255.255.254": "it takes no queries through public resolvers, or from addresses without a name of their own",
		"127.255.255.255": "too many queries came through this resolver",
	}
	answerRange = netip.MustParsePrefix("127.0.0.0/8")
)

// blockList asks one list for the address (RFC 5782).
func (c *checker) blockList(ctx context.Context, s *Step, ip netip.Addr, zone string, direct bool) {
	list := listOf(zone)
	name := reversed(ip) + "." + zone
	answers, err := c.dns.addrs(ctx, "ip4", name)
	switch {
	case notFound(err) || err == nil && len(answers) == 0:
		s.ok("not listed")
		return
	case err != nil:
		s.skip("no-answer", "no answer can be had, so whether the address is listed is not known: %s", reason(err)).
			advise("The list may refuse this resolver. Ask through a resolver of your own (--resolver), or look the address up by hand.")
		return
	}
	if why := notAnswers(answers); why != "" {
		s.skip("query-refused", "whether the address is listed is not known: %s", why).
			advise("Ask through a resolver of your own (--resolver), not a public one, or look the address up by hand: %s.", list.Removal)
		return
	}
	if c.listsAll(ctx, ip, zone) {
		s.skip("lists-everything", "it lists every address, also those that it must not (RFC 5782 section 5): it is out of service").
			advise("Ask it no more. Receivers that still do refuse all mail.")
		return
	}
	dynamic := true
	for _, a := range answers {
		meaning := list.Codes[a.String()]
		if meaning == "" {
			meaning = "listed"
		}
		s.detail("%s %s", a, meaning)
		dynamic = dynamic && slices.Contains(list.Dynamic, a.String())
	}
	if txt, err := c.dns.LookupTXT(ctx, name); err == nil {
		for _, t := range txt[:min(len(txt), 4)] {
			s.detail("%q", ui.Line(t))
		}
	}
	text := "listed by " + list.Name
	if list.Lists != "" {
		text += ", which lists " + list.Lists
	}
	switch {
	case dynamic && !direct:
		s.note("dynamic", "in a range whose customers should send through a server, as you do")
	case dynamic:
		s.fault("dynamic", "%s", text).
			advise("Send through your provider's server, with a login; or, if mail is to leave from here, take the address off: %s.", list.Removal)
	default:
		s.fault("listed", "%s", text).
			advise("Find and stop what caused it first (a hacked account, an infected machine, a list of bought addresses), then: %s. Waiting alone does not help while the cause lasts.", list.Removal)
	}
}

// notAnswers says why the answers are no listing; empty if they are one.
func notAnswers(answers []netip.Addr) string {
	for _, a := range answers {
		switch {
		case refusedRange.Contains(a):
			why := refusals[a.String()]
			if why == "" {
				why = "it refuses the query"
			}
			return why + " (" + a.String() + ")"
		case !answerRange.Contains(a):
			return "the answer " + a.String() + " is none of a block list's; the zone is gone, or the resolver makes answers up"
		}
	}
	return ""
}

// listsAll asks for the address that no list may have.
func (c *checker) listsAll(ctx context.Context, ip netip.Addr, zone string) bool {
	never := netip.MustParseAddr("127.0.0.1")
	if ip.Is6() {
		never = netip.MustParseAddr("::ffff:127.0.0.1")
	}
	answers, err := c.dns.addrs(ctx, "ip4", reversed(never)+"."+zone)
	return err == nil && len(answers) > 0 && notAnswers(answers) == ""
}
