//go:build linux

package check_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
)

// wantClean checks that nothing in a report ends a line or moves a cursor.
func wantClean(t *testing.T, r *check.Report) {
	t.Helper()
	for _, s := range r.Steps {
		for _, text := range append(s.Details, s.Text, s.Advice) {
			if strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) || len(text) > 2000 {
				t.Errorf("%s says %q", s.Name, text)
			}
		}
	}
	for _, line := range strings.Split(r.Support("test"), "\n") {
		if strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) || len(line) > 2000 {
			t.Errorf("the report has the line %q", line)
		}
	}
}

// TestHostile: whatever a server says, it is one clean line, and not read for
// ever.
func TestHostile(t *testing.T) {
	for name, handle := range map[string]func(net.Conn){
		"escapes": func(c net.Conn) { fmt.Fprint(c, "220 \x1b[2J\x1b[31mhello\x07\r\n") },
		"escapes in a refusal": func(c net.Conn) {
			fmt.Fprint(c, "220 hello\r\n")
			_, _ = c.Read(make([]byte, 100))
			fmt.Fprint(c, "550-\x1b[31mgo\r\n550 a\u202eway\r\n")
		},
		"a line without an end": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(strings.Repeat("220", 1000))); err != nil {
					return
				}
			}
		},
		"lines without an end": func(c net.Conn) {
			for {
				if _, err := fmt.Fprint(c, strings.Repeat("220-more\r\n", 100)); err != nil {
					return
				}
			}
		},
		"no text":   func(c net.Conn) { fmt.Fprint(c, "220\r\n250\r\n") },
		"no code":   func(c net.Conn) { fmt.Fprint(c, "\r\n\r\n") },
		"too short": func(c net.Conn) { fmt.Fprint(c, "22") },
		"a bad challenge": func(c net.Conn) {
			fmt.Fprint(c, "220 hello\r\n")
			_, _ = c.Read(make([]byte, 100))
			fmt.Fprint(c, "250-hello\r\n250 AUTH\r\n")
		},
		"commands before they are asked for": func(c net.Conn) {
			fmt.Fprint(c, "220 hello\r\n")
			_, _ = c.Read(make([]byte, 100))
			fmt.Fprint(c, "250-hello\r\n250 STARTTLS\r\n")
			_, _ = c.Read(make([]byte, 100))
			fmt.Fprint(c, "220 go ahead\r\n250 AUTH PLAIN\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cfg.Timeout = 10 * time.Second
			w.lead(serverIP+":587", serve(t, func(c net.Conn) {
				handle(c)
				_, _ = io.Copy(io.Discard, c)
			}))
			r := w.run()
			wantClean(t, r)
			if r.Took > 9*time.Second {
				t.Errorf("it took %s", r.Took)
			}
			faults := 0
			for _, s := range r.Steps {
				if s.Result == check.Fault {
					faults++
				}
			}
			if faults != 1 {
				t.Errorf("%d faults: %v", faults, outcomesOf(r))
			}
			if got := outcomesOf(r)["tls"]; name == "commands before they are asked for" && got != "fault injected" {
				t.Errorf("tls is %q", got)
			}
		})
	}
}

// TestHostileDNS: nor does it matter what stands in a record.
func TestHostileDNS(t *testing.T) {
	w := newWorld(t)
	evil := `v=spf1 \027[31m \"quoted\" ?all`
	w.record("example.org", evil)
	w.record("_dmarc.example.org", `v=DMARC1; p=none; x=\027[2J`)
	w.record("s1._domainkey.example.org", `v=DKIM1; \027[31m`)
	w.record("_smtp._tls.example.org", `v=TLSRPTv1; rua=mailto:\027]0;title`)
	w.dns.Add(t, "10.2.0.192.zen.spamhaus.org. A 127.0.0.2\n10.2.0.192.zen.spamhaus.org. TXT \"\\027[31mlisted\"")
	wantClean(t, w.run())

	// A record that includes itself, and one that includes very many.
	w = newWorld(t)
	w.record("example.org", "v=spf1 include:example.org -all")
	if got := outcomesOf(w.run())["spf"]; got != "fault too-many-lookups" && got != "fault broken" {
		t.Errorf("a record that includes itself: %q", got)
	}
	w = newWorld(t)
	var all []string
	for i := range 60 {
		all = append(all, fmt.Sprintf("include:s%d.example.org", i))
		w.record(fmt.Sprintf("s%d.example.org", i), "v=spf1 "+strings.Repeat(fmt.Sprintf("include:s%d.example.org ", (i+1)%60), 30)+"-all")
	}
	w.record("example.org", "v=spf1 "+strings.Join(all, " ")+" -all")
	if got := outcomesOf(w.run())["spf"]; got != "fault too-many-lookups" {
		t.Errorf("a record with many includes: %q", got)
	}
	if n := len(w.dns.Asked()); n > 2000 {
		t.Errorf("%d questions", n)
	} else {
		t.Logf("%d questions", n)
	}
}

// TestPrivateIsNotAsked: of an address that means nothing to others, nothing is
// asked.
func TestPrivateIsNotAsked(t *testing.T) {
	w := newWorld(t)
	w.cfg.IP = w.cfg.IP.Next() // 192.0.2.11 is looked up
	w.run()
	if !asked(w, "11.2.0.192.zen.spamhaus.org.") || !asked(w, "11.2.0.192.in-addr.arpa.") {
		t.Errorf("asked for %q", w.dns.Asked())
	}
	for _, ip := range []string{"10.1.2.3", "127.0.0.1", "100.64.0.1", "169.254.1.1", "fd00::1", "fe80::1", "::1"} {
		w := newWorld(t)
		w.cfg.IP = netip.MustParseAddr(ip)
		w.run()
		for _, q := range w.dns.Asked() {
			if strings.Contains(q, "spamhaus") || strings.Contains(q, ".arpa.") {
				t.Errorf("%s: asked for %s", ip, q)
			}
		}
	}
}

func asked(w *world, name string) bool {
	return slices.ContainsFunc(w.dns.Asked(), func(q string) bool { return strings.HasPrefix(q, name) })
}
