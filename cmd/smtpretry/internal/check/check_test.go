//go:build linux

package check_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/stage"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// good is how each step ends where nothing is wrong. A step that can come more
// than once has what it is about behind its name.
var good = outcomes{
	"resolver": "ok", "dns": "ok", "connect": "ok", "greeting": "ok", "hello": "ok", "tls": "ok", "certificate": "ok", "auth": "ok",
	"mail": "ok", "rcpt <you@example.test>": "ok", "limits": "ok", "address": "ok", "reverse-dns": "ok",
	"block-list zen.spamhaus.org": "ok", "block-list bl.spamcop.net": "ok", "block-list psbl.surriel.com": "ok", "block-list bl.mailspike.net": "ok",
	"domain": "ok", "spf": "ok", "dkim s1._domainkey.example.org": "ok", "dmarc": "ok", "mta-sts": "ok", "tls-rpt": "ok",
}

// outcomes are results, with the finding if there is one, by step.
type outcomes map[string]string

func outcomesOf(r *check.Report) outcomes {
	all := outcomes{}
	for _, s := range r.Steps {
		name := s.Name
		switch name {
		case check.StepBlockList, check.StepRcpt, check.StepDKIM, check.StepSignature:
			name += " " + s.About
		}
		all[name] = strings.TrimSpace(s.Result.String() + " " + s.Finding)
	}
	return all
}

// but is the set with some steps that end otherwise.
func (o outcomes) but(others outcomes) outcomes {
	o = maps.Clone(o)
	maps.Copy(o, others)
	return o
}

// skipped are steps that are skipped because of another.
func skipped(names ...string) outcomes {
	o := outcomes{}
	for _, name := range names {
		o[name] = "skipped"
	}
	return o
}

// with adds outcomes.
func (o outcomes) with(name, outcome string) outcomes {
	return o.but(outcomes{name: outcome})
}

// The steps behind one that fails.
var (
	afterAuth        = skipped("mail", "rcpt <you@example.test>")
	afterHello       = afterAuth.but(skipped("tls", "certificate", "auth"))
	afterTLS         = afterAuth.but(skipped("certificate", "auth"))
	afterCertificate = afterAuth.but(skipped("auth"))
	afterGreeting    = afterHello.but(skipped("hello"))
	afterConnect     = afterGreeting.but(skipped("greeting"))
	afterDNS         = afterConnect.but(skipped("connect"))
	afterImplicit    = afterConnect.but(skipped("tls"))
)

// TestFaults: each fault is named, and nothing else is. All steps are compared.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*world)
		want   outcomes // that are not as in good
		says   string   // is in the text or the advice of the first fault, warning or note
	}{
		{"good", nil, nil, ""},
		{"good within TLS", func(w *world) { w.implicit("exim-smtps") }, nil, ""},

		// The server's name and the way to it.
		{"the name does not exist", func(w *world) { w.cfg.Host = "mail.example.test" }, afterDNS.with("dns", "fault no-such-name"), "spelt"},
		{"the name's servers fail", func(w *world) { w.dns.Answer("example.test", stage.ServFail) }, afterDNS.with("dns", "fault lookup-failed"), ""},
		{"no resolver", func(w *world) { w.dns.Answer(".", stage.Silence) },
			afterDNS.but(skipped("dns", "reverse-dns", "block-list zen.spamhaus.org", "block-list bl.spamcop.net", "block-list psbl.surriel.com",
				"block-list bl.mailspike.net", "domain", "spf", "dkim s1._domainkey.example.org", "dmarc", "mta-sts", "tls-rpt")).with("resolver", "fault no-answer"), "--resolver"},
		{"a resolver that does not give out the root", func(w *world) { w.dns.Only(".", stage.ServFail) }, nil, ""},
		{"no resolver listens", func(w *world) { w.cfg.Resolver = closedPort(w.t) },
			afterDNS.but(skipped("dns", "reverse-dns", "block-list zen.spamhaus.org", "block-list bl.spamcop.net", "block-list psbl.surriel.com",
				"block-list bl.mailspike.net", "domain", "spf", "dkim s1._domainkey.example.org", "dmarc", "mta-sts", "tls-rpt")).with("resolver", "fault no-answer"), "connection refused"},
		{"no resolver, and none is needed", func(w *world) {
			w.dns.Answer(".", stage.Silence)
			w.cfg.Host, w.cfg.From, w.cfg.IP, w.cfg.Rcpt = serverIP, "", netip.Addr{}, nil
			w.lead(serverIP+":587", closedPort(w.t))
		}, afterConnect.but(skipped("resolver", "reverse-dns", "block-list zen.spamhaus.org", "block-list bl.spamcop.net", "block-list psbl.surriel.com",
			"block-list bl.mailspike.net", "address")).but(outcomes{"connect": "fault refused", "mail": "", "rcpt <you@example.test>": "", "domain": "", "spf": "",
			"dkim s1._domainkey.example.org": "", "dmarc": "", "mta-sts": "", "tls-rpt": ""}), ""},
		{"in the hosts file", func(w *world) {
			w.cfg.Host = "localhost"
			w.cfg.TLS = smtpretry.TLSStartTLS
			s := w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"}})
			w.lead("127.0.0.1:587", s.Addr())
			w.lead("[::1]:587", s.Addr())
		}, nil, ""},
		{"nothing listens", func(w *world) { w.lead(serverIP+":587", closedPort(w.t)) }, afterConnect.with("connect", "fault refused"), "Nothing listens on port 587"},
		{"nothing listens there, but elsewhere", func(w *world) {
			w.lead(serverIP+":587", closedPort(w.t))
			w.lead(serverIP+":465", listener(w.t, "exim-smtps"))
		}, afterConnect.with("connect", "fault refused"), "smtps://me@mx.example.test:465"},
		{"no answer", func(w *world) { w.lead(serverIP+":587", stage.Blackhole) }, afterConnect.with("connect", "fault timeout"), "firewall"},
		{"no route", func(w *world) { w.lead(serverIP+":587", stage.Unreachable) }, afterConnect.with("connect", "fault unreachable"), "network connection"},
		{"no IPv6 here", func(w *world) {
			w.dns.Add(w.t, "mx.example.test. AAAA 2001:db8::25")
			w.lead("[2001:db8::25]:587", stage.Unreachable)
		}, outcomes{"connect": "note no-ipv6"}, "IPv6"},
		{"one of two addresses is dead", func(w *world) {
			w.dns.Add(w.t, "mx.example.test. A 192.0.2.26")
			w.lead("192.0.2.26:587", closedPort(w.t))
		}, outcomes{"connect": "warning some-refused"}, "192.0.2.26:587: connection refused"},

		// What is behind the port.
		{"TLS at once where STARTTLS was expected", func(w *world) { w.serve("exim-smtps") }, afterGreeting.with("greeting", "fault wrong-tls-mode"), "Use smtps://me@mx.example.test:587"},
		{"STARTTLS where TLS at once was expected", func(w *world) { w.implicit("postfix-tls") }, afterImplicit.with("tls", "fault wrong-tls-mode"), "Use smtp://me@mx.example.test:465"},
		{"HTTP where STARTTLS was expected", func(w *world) { w.lead(serverIP+":587", httpServer(w.t, nil)) }, afterGreeting.with("greeting", "fault not-smtp"), "an HTTP server answers on port 587"},
		{"HTTP where TLS was expected", func(w *world) { w.implicit(""); w.lead(serverIP+":465", httpServer(w.t, nil)) }, afterImplicit.with("tls", "fault not-smtp"), "an HTTP server"},
		{"HTTPS where STARTTLS was expected", func(w *world) {
			w.lead(serverIP+":587", httpServer(w.t, webTLS(w.t, "mx.example.test", w.cfg.Roots)))
		}, afterGreeting.with("greeting", "fault not-smtp"), "an HTTPS server"},
		{"POP3", func(w *world) { w.lead(serverIP+":587", says(w.t, "+OK POP3 ready\r\n")) }, afterGreeting.with("greeting", "fault not-smtp"), "a POP3 server"},
		{"IMAP", func(w *world) { w.lead(serverIP+":587", says(w.t, "* OK IMAP4rev1 ready\r\n")) }, afterGreeting.with("greeting", "fault not-smtp"), "an IMAP server"},
		{"LMTP", func(w *world) { w.script(testserver.Config{LMTP: true}) }, afterHello.with("hello", "fault not-smtp"), "an LMTP server"},
		{"noise", func(w *world) { w.lead(serverIP+":587", says(w.t, "\x00\x01\x02 hello\r\n")) }, afterGreeting.with("greeting", "fault not-smtp"), "no mail server"},
		{"silence", func(w *world) { w.lead(serverIP+":587", says(w.t, "")) }, afterGreeting.with("greeting", "fault no-greeting"), "says nothing"},
		{"closed without a word", func(w *world) {
			w.script(testserver.Config{Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Close()).Always()}})
		}, afterGreeting.with("greeting", "fault closed"), "without a word"},
		{"turned away", func(w *world) {
			w.script(testserver.Config{Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Reply("554 5.7.1 Blocked using zen.spamhaus.org").ThenClose()).Always()}})
		}, afterGreeting.with("greeting", "fault refused"), "delisting"},
		{"too busy", func(w *world) {
			w.script(testserver.Config{Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Reply("421 4.7.0 Too many connections").ThenClose()).Always()}})
		}, afterGreeting.with("greeting", "fault refused"), "fewer connections"},

		{"slow, within TLS", func(w *world) {
			w.implicit("")
			w.script(testserver.Config{TLS: testserver.ImplicitTLS, Users: map[string]string{"me": "right"},
				Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Pass().After(2*time.Second)).Always()}})
		}, nil, ""},
		{"slow", func(w *world) {
			w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"},
				Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Pass().After(2*time.Second)).Always()}})
		}, nil, ""},

		// Encryption.
		{"no STARTTLS, Postfix", func(w *world) { w.serve("postfix") }, afterTLS.with("tls", "fault starttls-missing"), "smtps://"},
		{"no STARTTLS, OpenSMTPD", func(w *world) { w.serve("opensmtpd") }, afterTLS.with("tls", "fault starttls-missing"), "clear text"},
		{"STARTTLS refused", func(w *world) {
			w.script(testserver.Config{TLS: testserver.StartTLS, Script: testserver.Script{testserver.On(testserver.TLS, testserver.Reply("454 4.7.0 TLS not available due to local problem")).Always()}})
		}, afterTLS.with("tls", "fault refused"), "TLS"},
		{"old TLS", func(w *world) { w.implicit(""); w.lead(serverIP+":465", oldTLS(w.t)) }, afterImplicit.but(skipped("certificate")).with("tls", "fault old-tls"), "TLS 1.1"},
		{"expired certificate", func(w *world) { w.serve("exim-tls-expired") }, afterCertificate.with("certificate", "fault expired"), "Renew"},
		{"expired certificate, Postfix", func(w *world) { w.serve("postfix-tls-expired") }, afterCertificate.with("certificate", "fault expired"), "Renew"},
		{"expired certificate within TLS", func(w *world) { w.implicit("exim-smtps-expired") },
			afterGreeting.but(skipped("greeting")).but(outcomes{"tls": "ok", "certificate": "fault expired"}), "Renew"},
		{"expired certificate of a relay without a login", func(w *world) {
			w.cfg.Port, w.cfg.User, w.cfg.Password, w.cfg.Rcpt = "2525", "", "", nil
			w.serve("postfix-tls-expired")
		}, skipped("auth").but(outcomes{"certificate": "fault expired", "mail": "", "rcpt <you@example.test>": ""}), "Renew"},
		{"expired certificate of a server that takes mail from others", func(w *world) {
			w.cfg.Port, w.cfg.User, w.cfg.Password, w.cfg.Rcpt = "25", "", "", nil
			w.serve("postfix-tls-expired")
		}, outcomes{"certificate": "note expired", "mail": "", "rcpt <you@example.test>": ""}, "deliver to it nevertheless"},
		{"certificate of another host", func(w *world) { w.serve("exim-tls-othername") }, afterCertificate.with("certificate", "fault wrong-name"), "for other.example.test, not for mx.example.test"},
		{"certificate signed by itself", func(w *world) { w.serve("exim-tls-unknownca") }, afterCertificate.with("certificate", "fault self-signed"), "Get a certificate"},
		{"certificate of an unknown authority", func(w *world) {
			w.cfg.Roots = x509.NewCertPool()
			w.cfg.Roots.AddCert(w.web.Certificate())
		}, afterCertificate.with("certificate", "fault unknown-authority"), `"Test CA"`},

		// The login.
		{"wrong password", func(w *world) { w.cfg.Password = "wrong-password" }, afterAuth.with("auth", "fault wrong-password"), "535"},
		{"no password", func(w *world) { w.cfg.Password = "" }, afterAuth.with("auth", "skipped no-password"), ""},
		{"no user", func(w *world) { w.cfg.User, w.cfg.Rcpt = "", nil }, outcomes{"mail": "", "rcpt <you@example.test>": ""}, ""},
		{"no login is offered", func(w *world) { w.serve("postfix-tls") }, afterAuth.with("auth", "fault not-offered"), ""},
		{"only tokens", func(w *world) {
			w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"}, Mechanisms: []string{"XOAUTH2"}})
		}, afterAuth.with("auth", "fault no-mechanism"), "OAuth"},
		{"a token", func(w *world) {
			w.cfg.Mechanism, w.cfg.Password = "oauthbearer", "token"
			w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "token"}, Mechanisms: []string{"PLAIN", "OAUTHBEARER"}})
		}, nil, ""},
		{"a token that has ended", func(w *world) {
			w.cfg.Mechanism, w.cfg.Password = "oauthbearer", "old"
			w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "token"}, Mechanisms: []string{"OAUTHBEARER"}})
		}, afterAuth.with("auth", "fault wrong-password"), "token"},
		{"a mechanism that is not offered", func(w *world) { w.cfg.Mechanism = "oauthbearer" }, afterAuth.with("auth", "fault no-mechanism"), "OAUTHBEARER"},
		{"login later", func(w *world) {
			w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"},
				Script: testserver.Script{testserver.On(testserver.Auth, testserver.Reply("454 4.7.0 Temporary authentication failure")).Always()}})
		}, afterAuth.with("auth", "fault refused"), "454"},

		// Sender and recipients.
		{"sender refused", func(w *world) {
			w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"},
				Script: testserver.Script{testserver.On(testserver.Mail, testserver.Reply("553 5.7.1 Sender address rejected: not owned by user me")).Always()}})
		}, skipped("rcpt <you@example.test>").with("mail", "fault refused"), "553"},
		{"one recipient of two refused", func(w *world) {
			w.cfg.Rcpt = []string{"perm@example.test", "you@example.test"}
		}, outcomes{"rcpt <perm@example.test>": "fault refused"}, "550"},

		// The address that mail leaves from.
		{"listed", func(w *world) {
			w.dns.Add(w.t, "10.2.0.192.zen.spamhaus.org. A 127.0.0.4\n10.2.0.192.zen.spamhaus.org. TXT \"https://www.spamhaus.org/query/ip/192.0.2.10\"")
		}, outcomes{"block-list zen.spamhaus.org": "fault listed"}, "check.spamhaus.org"},
		{"listed as dynamic", func(w *world) { w.dns.Add(w.t, "10.2.0.192.zen.spamhaus.org. A 127.0.0.10") }, outcomes{"block-list zen.spamhaus.org": "fault dynamic"}, "provider's server"},
		{"refused, public resolver", func(w *world) { w.dns.Add(w.t, "10.2.0.192.zen.spamhaus.org. A 127.255.255.254") }, outcomes{"block-list zen.spamhaus.org": "skipped query-refused"}, ""},
		{"refused, too many queries", func(w *world) { w.dns.Add(w.t, "10.2.0.192.zen.spamhaus.org. A 127.255.255.255") }, outcomes{"block-list zen.spamhaus.org": "skipped query-refused"}, ""},
		{"refused, no such list", func(w *world) { w.dns.Add(w.t, "10.2.0.192.zen.spamhaus.org. A 127.255.255.252") }, outcomes{"block-list zen.spamhaus.org": "skipped query-refused"}, ""},
		{"refused beside a listing", func(w *world) {
			w.dns.Add(w.t, "10.2.0.192.zen.spamhaus.org. A 127.0.0.2\n10.2.0.192.zen.spamhaus.org. A 127.255.255.255")
		}, outcomes{"block-list zen.spamhaus.org": "skipped query-refused"}, ""},
		{"refused by its servers", func(w *world) { w.dns.Answer("bl.spamcop.net", stage.Refused) }, outcomes{"block-list bl.spamcop.net": "skipped no-answer"}, ""},
		{"the list fails", func(w *world) { w.dns.Answer("bl.spamcop.net", stage.ServFail) }, outcomes{"block-list bl.spamcop.net": "skipped no-answer"}, ""},
		{"the list is silent", func(w *world) { w.dns.Answer("bl.spamcop.net", stage.Silence) }, outcomes{"block-list bl.spamcop.net": "skipped no-answer"}, ""},
		{"the list is gone, its domain for sale", func(w *world) { w.dns.Add(w.t, "10.2.0.192.psbl.surriel.com. A 203.0.113.7") }, outcomes{"block-list psbl.surriel.com": "skipped query-refused"}, ""},
		{"the list lists everything", func(w *world) {
			w.dns.Add(w.t, "10.2.0.192.psbl.surriel.com. A 127.0.0.2\n1.0.0.127.psbl.surriel.com. A 127.0.0.2")
		}, outcomes{"block-list psbl.surriel.com": "skipped lists-everything"}, ""},
		{"a list of one's own, IPv6", func(w *world) {
			w.ipv6()
			w.cfg.DNSBL = []string{"bl.example.net"}
			w.dns.Add(w.t, "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example.net. A 127.0.0.2")
		}, noLists.with("block-list bl.example.net", "fault listed"), "list's own pages"},
		{"no list", func(w *world) { w.cfg.NoList = true }, noLists, ""},
		{"private", func(w *world) { w.cfg.IP = netip.MustParseAddr("10.1.2.3") },
			skipped("reverse-dns", "block-list zen.spamhaus.org", "block-list bl.spamcop.net", "block-list psbl.surriel.com", "block-list bl.mailspike.net").
				but(outcomes{"address": "note not-public", "spf": "note not-evaluated"}), "a private address"},
		{"no reverse name", func(w *world) { w.dns.Remove("10.2.0.192.in-addr.arpa") }, outcomes{"reverse-dns": "fault no-ptr"}, "PTR"},
		{"the reverse name leads elsewhere", func(w *world) { w.dns.Remove("mail.example.org") }, outcomes{"reverse-dns": "fault not-confirmed"}, "Give mail.example.org an A record with 192.0.2.10"},

		// The sender's domain.
		{"the sender's domain does not exist", func(w *world) { w.cfg.From, w.cfg.Mail = "me@example.invalid", "me@example.org" },
			skipped("spf", "dmarc", "mta-sts", "tls-rpt", "dkim s1._domainkey.example.invalid").
				but(outcomes{"domain": "fault no-such-domain", "dkim s1._domainkey.example.org": ""}), "spelt"},
		{"nothing can be returned to the sender", func(w *world) {
			w.dns.Remove("example.org", "MX")
			w.dns.Add(w.t, "example.org. NS ns.example.org.")
		}, outcomes{"domain": "fault no-mx"}, "Give it an MX record"},
		{"the sender takes no mail", func(w *world) {
			w.dns.Remove("example.org", "MX")
			w.dns.Add(w.t, "example.org. MX 0 .")
		}, outcomes{"domain": "fault null-mx"}, "null MX"},
		{"the sender's name servers fail", func(w *world) { w.dns.Answer("example.org", stage.ServFail) },
			skipped("domain", "spf", "dmarc", "mta-sts", "tls-rpt", "dkim s1._domainkey.example.org").with("reverse-dns", "fault lookup-failed"), ""},
		{"an international domain", func(w *world) {
			w.cfg.From, w.cfg.Mail, w.cfg.Selector = "ich@Bücher.example", "", nil
			w.dns.Add(w.t, "xn--bcher-kva.example. MX 10 mx.example.test.")
			w.record("xn--bcher-kva.example", "v=spf1 ip4:192.0.2.10 -all")
			w.record("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=none")
			w.cfg.Rcpt = nil
		}, outcomes{"mail": "", "rcpt <you@example.test>": "", "dkim s1._domainkey.example.org": "", "dkim xn--bcher-kva.example": "skipped",
			"mta-sts": "note not-used", "tls-rpt": "note not-used"}, ""},
		{"no SPF", func(w *world) { w.record("example.org", "google-site-verification=1") }, outcomes{"spf": "fault missing"}, "v=spf1"},
		{"SPF fails", func(w *world) { w.record("example.org", "v=spf1 ip4:192.0.2.99 -all") }, outcomes{"spf": "fault fail"}, "ip4:192.0.2.10"},
		{"SPF fails softly", func(w *world) { w.record("example.org", "v=spf1 mx ~all") }, outcomes{"spf": "warning softfail"}, "softfail for 192.0.2.10 by ~all"},
		{"SPF says nothing", func(w *world) { w.record("example.org", "v=spf1 mx") }, outcomes{"spf": "warning neutral"}, "neutral"},
		{"two SPF records", func(w *world) { w.record("example.org", "v=spf1 -all", "v=spf1 +all") }, outcomes{"spf": "fault several-records"}, "into one"},
		{"SPF with an error", func(w *world) { w.record("example.org", "v=spf1 ip4:192.0.2.300 -all") }, outcomes{"spf": "fault broken"}, "ip4:192.0.2.300"},
		{"SPF with too many lookups", func(w *world) { w.record("example.org", "v=spf1 "+strings.Repeat("a:mx.example.test ", 11)+"-all") },
			outcomes{"spf": "fault too-many-lookups"}, "11 lookups"},
		{"SPF with too many lookups, but it passes before", func(w *world) {
			w.record("example.org", "v=spf1 ip4:192.0.2.10 "+strings.Repeat("a:mx.example.test ", 11)+"-all")
		}, outcomes{"spf": "warning too-many-lookups"}, "11 lookups"},
		{"SPF cannot be looked up", func(w *world) { w.dns.Answer("_spf.example.org", stage.ServFail) }, outcomes{"spf": "fault lookup-failed"}, ""},
		{"no DKIM record", func(w *world) { w.dns.Remove("s1._domainkey.example.org") }, outcomes{"dkim s1._domainkey.example.org": "fault missing"}, "Publish"},
		{"DKIM key revoked", func(w *world) { w.record("s1._domainkey.example.org", "v=DKIM1; k=rsa; p=") }, outcomes{"dkim s1._domainkey.example.org": "fault revoked"}, "revoked"},
		{"DKIM key cut short", func(w *world) { w.record("s1._domainkey.example.org", "v=DKIM1; p=MIIBIjANBgkqhkiG9w0B") }, outcomes{"dkim s1._domainkey.example.org": "fault broken"}, "cut short"},
		{"DKIM record with an error", func(w *world) { w.record("s1._domainkey.example.org", "v=DKIM1; what") }, outcomes{"dkim s1._domainkey.example.org": "fault broken"}, "no tag"},
		{"DKIM key for something else", func(w *world) { w.record("s1._domainkey.example.org", ed25519Record+"; s=tlsrpt") }, outcomes{"dkim s1._domainkey.example.org": "fault broken"}, "does not allow mail"},
		{"DKIM with Ed25519", func(w *world) { w.record("s1._domainkey.example.org", ed25519Record) }, nil, ""},
		{"DKIM as a test", func(w *world) { w.record("s1._domainkey.example.org", ed25519Record+"; t=y:s") }, outcomes{"dkim s1._domainkey.example.org": "note testing"}, "t=y"},
		{"short DKIM key", func(w *world) { w.publish(newKey(w.t, 1024)) }, outcomes{"dkim s1._domainkey.example.org": "warning short-key"}, "1024"},
		{"two DKIM records", func(w *world) { w.record("s1._domainkey.example.org", ed25519Record, ed25519Record) }, outcomes{"dkim s1._domainkey.example.org": "fault several-records"}, ""},
		{"no selector", func(w *world) { w.cfg.Selector = nil }, outcomes{"dkim s1._domainkey.example.org": "", "dkim example.org": "skipped"}, ""},
		{"no DMARC", func(w *world) { w.dns.Remove("_dmarc.example.org") }, outcomes{"dmarc": "warning missing"}, "_dmarc.example.org"},
		{"DMARC of the organization", func(w *world) {
			w.cfg.From, w.cfg.Mail = "me@news.example.org", "me@example.org"
			w.dns.Add(w.t, "news.example.org. MX 10 mx.example.test.")
		}, outcomes{"dkim s1._domainkey.example.org": "", "dkim s1._domainkey.news.example.org": "fault missing", "mta-sts": "note not-used", "tls-rpt": "note not-used"}, ""},
		{"DMARC with an error", func(w *world) { w.record("_dmarc.example.org", "v=DMARC1; p=refuse") }, outcomes{"dmarc": "fault broken"}, ""},
		{"two DMARC records", func(w *world) { w.record("_dmarc.example.org", "v=DMARC1; p=none", "v=DMARC1; p=reject") }, outcomes{"dmarc": "fault several-records"}, ""},
		{"no MTA-STS", func(w *world) { w.dns.Remove("_mta-sts.example.org") }, outcomes{"mta-sts": "note not-used"}, ""},
		{"no policy", func(w *world) { w.dns.Remove("mta-sts.example.org") }, outcomes{"mta-sts": "warning no-policy"}, "mta-sts.txt"},
		{"policy as HTML", func(w *world) { w.kind = "text/html" }, outcomes{"mta-sts": "warning no-policy"}, "text/html"},
		{"policy elsewhere", func(w *world) { w.moved = "https://mta-sts.example.org/policy.txt" }, outcomes{"mta-sts": "warning no-policy"}, "redirects"},
		{"policy within a certificate of another", func(w *world) { w.cfg.Roots = testRoots(w.t) }, outcomes{"mta-sts": "warning no-policy"}, "certificate"},
		{"policy with an error", func(w *world) { w.sts = "version: STSv1\nmode: on\nmax_age: 1\n" }, outcomes{"mta-sts": "warning no-policy"}, `"on"`},
		{"policy for other servers", func(w *world) { w.sts = "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 86400\n" }, outcomes{"mta-sts": "fault mx-mismatch"}, "mx.example.test"},
		{"no TLS-RPT", func(w *world) { w.dns.Remove("_smtp._tls.example.org") }, outcomes{"tls-rpt": "note not-used"}, ""},

		{"SPF for a subdomain", func(w *world) {
			w.cfg.Mail = "bounce@mail.example.org"
			w.record("mail.example.org", "v=spf1 a -all")
		}, nil, ""},
		{"SPF for a subdomain, where it must be the same", func(w *world) {
			w.cfg.Mail, w.cfg.Message = "bounce@mail.example.org", []byte("From: me@example.org\n\nHello\n")
			w.record("mail.example.org", "v=spf1 a -all")
			w.record("_dmarc.example.org", "v=DMARC1; p=none; aspf=s")
		}, outcomes{"signature the message": "fault unsigned", "dmarc": "warning not-aligned"}, "exactly"},
		{"SPF for another domain, and no signature to see", func(w *world) {
			w.cfg.Mail = "bounce@example.net"
			w.record("example.net", "v=spf1 ip4:192.0.2.10 -all")
		}, outcomes{"dmarc": "note not-aligned"}, "DKIM signature with d=example.org"},

		// A message's signatures.
		{"signed", func(w *world) { w.cfg.Message = w.sign("example.org", "Hello") }, outcomes{"signature example.org": "ok"}, ""},
		{"signed, with line feeds only", func(w *world) {
			w.cfg.Message = []byte(strings.ReplaceAll(string(w.sign("example.org", "Hello")), "\r\n", "\n"))
		}, outcomes{"signature example.org": "ok"}, ""},
		{"changed after it was signed", func(w *world) {
			w.cfg.Message = append(w.sign("example.org", "Hello"), "-- \r\nA footer\r\n"...)
		}, outcomes{"signature example.org": "fault invalid"}, "footer"},
		{"signed with a key that is gone", func(w *world) {
			w.cfg.Message = w.sign("example.org", "Hello")
			w.dns.Remove("s1._domainkey.example.org")
		}, outcomes{"dkim s1._domainkey.example.org": "fault missing", "signature example.org": "skipped"}, ""},
		{"no sender", func(w *world) {
			w.cfg.From, w.cfg.Mail, w.cfg.Rcpt, w.cfg.Selector, w.cfg.Message = "", "", nil, nil, []byte("Subject: hello\n\nHello\n")
		}, skipped("domain", "spf", "dmarc", "mta-sts", "tls-rpt").but(outcomes{"mail": "", "rcpt <you@example.test>": "",
			"dkim s1._domainkey.example.org": "", "signature the message": "fault unsigned"}), ""},
		{"not signed", func(w *world) { w.cfg.Message = []byte("From: me@example.org\n\nHello\n") }, outcomes{"signature the message": "fault unsigned"}, ""},
		{"signed for another domain, and sent by it", func(w *world) {
			w.cfg.Message = w.sign("example.net", "Hello")
			w.cfg.Mail = "bounce@example.net"
			w.record("example.net", "v=spf1 ip4:192.0.2.10 -all")
			w.alsoAt("s1._domainkey.example.net")
		}, outcomes{"dkim s1._domainkey.example.net": "ok", "signature example.net": "ok", "dmarc": "fault not-aligned"}, "d=example.org"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.change != nil {
				test.change(w)
			}
			r := w.run()
			want := good.but(test.want)
			maps.DeleteFunc(want, func(_, outcome string) bool { return outcome == "" }) // a step that is not there
			if got := outcomesOf(r); !maps.Equal(got, want) {
				for _, name := range slices.Sorted(maps.Keys(good.but(want).but(got))) {
					if got[name] != want[name] {
						t.Errorf("%s is %q, want %q", name, got[name], want[name])
					}
				}
			}
			blamed := ""
			for _, s := range r.Steps {
				if s.Result == check.Fault || s.Result == check.Warning || s.Result == check.Note {
					blamed += s.Text + "\n" + strings.Join(s.Details, "\n") + "\n" + s.Advice + "\n"
				}
				if s.Result == check.Fault && s.Advice == "" {
					t.Errorf("%s has no advice", s.Name)
				}
			}
			if test.says != "" && !strings.Contains(blamed, test.says) {
				t.Errorf("nothing says %q:\n%s", test.says, blamed)
			}
			if t.Failed() {
				t.Log("\n" + r.Support("test"))
			}
		})
	}
}

var noLists = outcomes{"block-list zen.spamhaus.org": "", "block-list bl.spamcop.net": "", "block-list psbl.surriel.com": "", "block-list bl.mailspike.net": ""}

const ed25519Record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

// implicit has the check begin with TLS, on port 465, and a listener there.
func (w *world) implicit(name string) {
	w.cfg.Port, w.cfg.TLS = "465", smtpretry.TLSImplicit
	if name != "" {
		w.serve(name)
	}
}

// script has a scripted server answer.
func (w *world) script(cfg testserver.Config) *testserver.Server {
	w.t.Helper()
	s, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.lead(serverIP+":"+w.port(), s.Addr())
	if pem := s.CertPEM(); pem != nil {
		w.cfg.Roots.AppendCertsFromPEM(pem)
	}
	return s
}

// ipv6 has mail leave from an IPv6 address that is in order.
func (w *world) ipv6() {
	w.cfg.IP = netip.MustParseAddr("2001:db8::10")
	w.dns.Add(w.t, `
mail.example.org. AAAA 2001:db8::10
0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.org.`)
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve accepts connections until the test ends.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// says is a server that says one thing and then only listens.
func says(t *testing.T, text string) string {
	t.Helper()
	return serve(t, func(conn net.Conn) {
		fmt.Fprint(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	})
}

// oldTLS is a server that knows TLS 1.1 at most.
func oldTLS(t *testing.T) string {
	t.Helper()
	cfg := webTLS(t, "mx.example.test", x509.NewCertPool())
	cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	return serve(t, func(conn net.Conn) { _ = tls.Server(conn, cfg).Handshake() })
}

func httpServer(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: cfg, ErrorLog: quiet}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if cfg != nil {
			_ = s.ServeTLS(l, "", "")
			return
		}
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}
