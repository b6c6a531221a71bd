//go:build linux

package check_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
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

// domain has the check ask the servers that take mail for a domain, directly.
func (w *world) domain(name string) {
	w.cfg.Domain, w.cfg.Host, w.cfg.Port, w.cfg.User, w.cfg.Password = name, "", "", "", ""
	w.cfg.IP = netip.Addr{}
	w.net[stage.Local] = senderIP
}

// linesOf are the steps in order: name, what it is about, result, finding.
func linesOf(r *check.Report, names ...string) []string {
	var list []string
	for _, s := range r.Steps {
		if len(names) == 0 || slices.Contains(names, s.Name) {
			list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.Name, s.About, s.Result, s.Finding)))
		}
	}
	return list
}

// conversation are the steps with one server.
var conversation = []string{"mx", "dns", "connect", "greeting", "hello", "tls", "certificate", "auth", "mail", "rcpt"}

// TestDomain: the servers of a domain are asked side by side, and the first
// that works is offered the recipients.
func TestDomain(t *testing.T) {
	two := "two.example.test. MX 10 mx1.example.test.\ntwo.example.test. MX 20 mx.example.test.\nmx1.example.test. A 192.0.2.31\n"
	reached := []string{"dns mx.example.test ok", "connect mx.example.test ok", "greeting mx.example.test ok", "hello mx.example.test ok",
		"tls mx.example.test ok", "certificate mx.example.test ok", "auth mx.example.test ok"}
	offered := []string{"mail <me@example.org> ok", "rcpt <you@example.test> ok"}
	dead := func(result string) []string {
		return []string{"dns mx1.example.test ok", "connect mx1.example.test " + result + " refused", "greeting mx1.example.test skipped", "hello mx1.example.test skipped",
			"tls mx1.example.test skipped", "certificate mx1.example.test skipped", "auth mx1.example.test skipped"}
	}
	notOffered := []string{"mail <me@example.org> skipped", "rcpt <you@example.test> skipped"}
	for _, test := range []struct {
		name   string
		change func(*world)
		want   [][]string
	}{
		{"one server", func(w *world) { w.domain("example.test"); w.lead(serverIP+":25", listener(t, "postfix-tls")) },
			[][]string{{"mx example.test ok"}, reached, offered}},
		{"without STARTTLS", func(w *world) { w.domain("example.test"); w.lead(serverIP+":25", listener(t, "opensmtpd")) },
			[][]string{{"mx example.test ok"}, reached[:4], {"tls mx.example.test warning starttls-missing", "certificate mx.example.test skipped", "auth mx.example.test ok"}, offered}},
		{"with an expired certificate, which nobody asks for", func(w *world) { w.domain("example.test"); w.lead(serverIP+":25", listener(t, "exim-tls-expired")) },
			[][]string{{"mx example.test ok"}, reached[:5], {"certificate mx.example.test note expired", "auth mx.example.test ok"}, offered}},
		{"the first of two is down", func(w *world) {
			w.domain("two.example.test")
			w.dns.Add(t, two)
			w.lead(serverIP+":25", listener(t, "postfix-tls"))
		}, [][]string{{"mx two.example.test ok"}, dead("warning"), reached, offered}},
		{"both are down", func(w *world) { w.domain("two.example.test"); w.dns.Add(t, two) },
			[][]string{{"mx two.example.test ok"}, dead("fault"), notOffered, {"dns mx.example.test ok", "connect mx.example.test fault refused",
				"greeting mx.example.test skipped", "hello mx.example.test skipped", "tls mx.example.test skipped", "certificate mx.example.test skipped", "auth mx.example.test skipped"}}},
		{"takes no mail", func(w *world) { w.domain("null.example.test"); w.dns.Add(t, "null.example.test. MX 0 .") },
			[][]string{{"mx null.example.test fault null-mx"}}},
		{"its own server", func(w *world) {
			w.domain("own.example.test")
			w.dns.Add(t, "own.example.test. A 192.0.2.25")
			w.lead(serverIP+":25", listener(t, "opensmtpd"))
			w.cfg.Rcpt = nil
		}, [][]string{{"mx own.example.test note no-mx", "dns own.example.test ok", "connect own.example.test ok", "greeting own.example.test ok", "hello own.example.test ok",
			"tls own.example.test warning starttls-missing", "certificate own.example.test skipped", "auth own.example.test ok"}}},
		{"a server's name after all", func(w *world) {
			w.domain("mx.example.test")
			w.cfg.Guess, w.cfg.Rcpt = true, nil
			w.lead(serverIP+":587", listener(t, "exim-tls"))
		}, [][]string{{"mx mx.example.test note no-mx"}, reached}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.change(w)
			r := w.run()
			if got, want := linesOf(r, conversation...), slices.Concat(test.want...); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), r.Support("test"))
			}
		})
	}
}

// TestSubmission: of a server that one logs in to, what is said of this
// machine's own address weighs less, as it sends on from another.
func TestSubmission(t *testing.T) {
	w := newWorld(t)
	w.cfg.IP = netip.Addr{}
	w.net[stage.Local] = senderIP
	w.dns.Remove("10.2.0.192.in-addr.arpa")
	w.dns.Add(t, "10.2.0.192.zen.spamhaus.org. A 127.0.0.11")
	w.record("example.org", "v=spf1 ip4:192.0.2.10 -all")
	want := good.but(outcomes{"reverse-dns": "note no-ptr", "block-list zen.spamhaus.org": "note dynamic", "spf": "note not-covered"})
	if got := outcomesOf(w.run()); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	w.record("example.org", "v=spf1 a:mx.example.test -all")
	r := w.run()
	if got := outcomesOf(r)["spf"]; got != "ok" {
		t.Errorf("SPF for the server's own address is %q", got)
	}
	// The same from a mail server.
	w.domain("example.test")
	w.lead(serverIP+":25", listener(t, "postfix-tls"))
	got := outcomesOf(w.run())
	for step, want := range map[string]string{"reverse-dns": "fault no-ptr", "block-list zen.spamhaus.org": "fault dynamic", "spf": "fault fail"} {
		if got[step] != want {
			t.Errorf("%s is %q, want %q", step, got[step], want)
		}
	}
}

// TestSecrets: whatever a server repeats, no password gets into a report, and
// none goes where it must not.
func TestSecrets(t *testing.T) {
	const password = "Tr0ub4dor&3"
	coded := base64.StdEncoding.EncodeToString([]byte("\x00me\x00" + password))
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		w := newWorld(t)
		w.cfg.Password = password
		w.script(testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"}, Mechanisms: []string{mechanism},
			Script: testserver.Script{testserver.On(testserver.Auth, testserver.Reply("535 5.7.8 bad login: "+coded+" "+
				base64.StdEncoding.EncodeToString([]byte(password))+" that is "+password)).Always()}})
		r := w.run()
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{password, coded, base64.StdEncoding.EncodeToString([]byte(password))} {
			if all := string(text) + r.Support("test"); strings.Contains(all, secret) {
				t.Errorf("%s: %q is in\n%s", mechanism, secret, all)
			}
		}
		if got := outcomesOf(r)["auth"]; got != "fault wrong-password" {
			t.Errorf("%s: auth is %q", mechanism, got)
		}
	}
	for name, change := range map[string]func(*testserver.Config){
		"clear text":  func(c *testserver.Config) { c.TLS = testserver.NoTLS },
		"certificate": func(c *testserver.Config) { c.Cert = testserver.WrongNameCert },
	} {
		w := newWorld(t)
		cfg := testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"me": "right"}, ShowSecrets: true}
		change(&cfg)
		if cfg.TLS == testserver.NoTLS {
			w.cfg.TLS = smtpretry.TLSNone
		}
		s := w.script(cfg)
		r := w.run()
		if got, want := outcomesOf(r)["auth"], map[string]string{"clear text": "skipped clear-text", "certificate": "skipped"}[name]; got != want {
			t.Errorf("%s: auth is %q, want %q", name, got, want)
		}
		for _, d := range r.Dialogues {
			for _, l := range d.Lines {
				if strings.HasPrefix(l.Text, "AUTH") {
					t.Errorf("%s: said %q to %s", name, l.Text, s.Addr())
				}
			}
		}
	}
}

// TestTime: all of it ends in time, and says what it was waiting for.
func TestTime(t *testing.T) {
	w := newWorld(t)
	w.cfg.Timeout = time.Second
	w.lead(serverIP+":587", says(t, ""))
	w.dns.Answer("bl.spamcop.net", stage.Silence)
	start := time.Now()
	r := w.run()
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
	want := good.but(afterGreeting).but(outcomes{"greeting": "fault no-greeting", "block-list bl.spamcop.net": "skipped no-answer"})
	if got := outcomesOf(r); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if !r.Late {
		t.Error("it does not say that the time was up")
	}
	if worst, passing := r.Worst(); worst != check.Fault || !passing {
		t.Errorf("the worst is %v, passing %v", worst, passing)
	}
}

// TestLimits: what a provider publishes is told, once for all its hosts.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	w.domain("gmail.example.test")
	w.cfg.Rcpt, w.cfg.From, w.cfg.Mail = nil, "", ""
	w.dns.Add(t, "gmail.example.test. MX 5 gmail-smtp-in.l.google.com.\ngmail.example.test. MX 10 alt1.gmail-smtp-in.l.google.com.")
	for _, host := range []string{"gmail-smtp-in.l.google.com.", "alt1.gmail-smtp-in.l.google.com."} {
		w.dns.Add(t, host+" A 192.0.2.25")
	}
	w.lead(serverIP+":25", listener(t, "postfix"))
	r := w.run()
	if got := linesOf(r, "limits"); !slices.Equal(got, []string{"limits gmail-smtp-in.l.google.com ok"}) {
		t.Errorf("got %q", got)
	}
	for _, s := range r.Steps {
		if s.Name == "limits" && (!strings.Contains(s.Text, "published for ") || len(s.Details) == 0) {
			t.Errorf("it says %q, %q", s.Text, s.Details)
		}
	}
}
