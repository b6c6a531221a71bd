//go:build linux

package check_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/stage"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

// A world is a network, a DNS, a sender's domain in good order, and a check of
// a server in good order, for a test to change.
type world struct {
	t   *testing.T
	dns *stage.DNS
	net stage.Network
	cfg check.Config
	web *httptest.Server // serves the policy
	sts string           // the policy
	// What is wrong with how it is served: its type, where it has moved.
	kind, moved string
	key         crypto.Signer // of selector s1
}

// The addresses of the world.
const (
	serverIP = "192.0.2.25"
	senderIP = "192.0.2.10"
	webIP    = "192.0.2.80"
)

const zone = `
mx.example.test.            A    192.0.2.25
example.test.               MX   10 mx.example.test.
10.2.0.192.in-addr.arpa.    PTR  mail.example.org.
mail.example.org.           A    192.0.2.10
example.org.                MX   10 mx.example.test.
example.org.                TXT  "v=spf1 include:_spf.example.org -all"
_spf.example.org.           TXT  "v=spf1 ip4:192.0.2.10 ip6:2001:db8::/32 ~all"
_dmarc.example.org.         TXT  "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"
_mta-sts.example.org.       TXT  "v=STSv1; id=20260101"
mta-sts.example.org.        A    192.0.2.80
_smtp._tls.example.org.     TXT  "v=TLSRPTv1; rua=mailto:tls@example.org"
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dns: stage.NewDNS(t, zone), net: stage.Network{}}
	w.sts = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.test\r\nmax_age: 604800\r\n"
	w.web = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Host != "mta-sts.example.org" || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(rw, r)
			return
		}
		if w.moved != "" {
			http.Redirect(rw, r, w.moved, http.StatusFound)
			return
		}
		rw.Header().Set("Content-Type", cmp.Or(w.kind, "text/plain; charset=utf-8"))
		fmt.Fprint(rw, w.sts)
	}))
	roots := testRoots(t)
	w.web.Config.ErrorLog = quiet
	w.web.TLS = webTLS(t, "mta-sts.example.org", roots)
	w.web.StartTLS()
	t.Cleanup(w.web.Close)
	w.net[webIP+":443"] = w.web.Listener.Addr().String()
	w.cfg = check.Config{
		Host: "mx.example.test", Port: "587",
		User: realservers.User, Password: realservers.Password,
		From: "me@example.org", Rcpt: []string{"you@example.test"}, Selector: []string{"s1"},
		IP: netip.MustParseAddr(senderIP), LocalName: "mail.example.org",
		Resolver: w.dns.Addr, Roots: roots, Dial: w.net.DialContext, Timeout: 30 * time.Second,
	}
	w.publish(goodKey())
	w.serve("exim-tls")
	return w
}

// testRoots trusts the real servers' good certificates.
func testRoots(t *testing.T) *x509.CertPool {
	t.Helper()
	roots, err := realservers.Roots()
	if err != nil {
		t.Fatal(err)
	}
	return roots.Clone()
}

// serve has a listener of a real server answer on the port that is checked.
func (w *world) serve(name string) {
	w.lead(serverIP+":"+w.port(), listener(w.t, name))
}

func (w *world) port() string {
	if w.cfg.Port == "" {
		return "25"
	}
	return w.cfg.Port
}

func (w *world) lead(from, to string) { w.net[from] = to }

// goodKey is made once; it takes a while.
var goodKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publish puts a key into the record of selector s1.
func (w *world) publish(key crypto.Signer) {
	w.key = key
	w.alsoAt("s1._domainkey.example.org")
}

// record replaces the TXT records of a name.
func (w *world) record(name string, texts ...string) {
	w.dns.Remove(name, "TXT")
	for _, text := range texts {
		var parts []string
		for len(text) > 255 {
			parts, text = append(parts, text[:255]), text[255:]
		}
		w.dns.Add(w.t, fmt.Sprintf("%s. TXT \"%s\"\n", name, strings.Join(append(parts, text), `" "`)))
	}
}

// sign returns a message with a signature.
func (w *world) sign(domain, body string) []byte {
	w.t.Helper()
	text := "From: Me <me@example.org>\r\nSubject: hello\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\n\r\n" + body + "\r\n"
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{Domain: domain, Selector: "s1", Signer: w.key,
		Hash: crypto.SHA256, HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "Subject", "Date"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}

func (w *world) run() *check.Report {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	return check.Run(ctx, w.cfg)
}

// alsoAt publishes the key of selector s1 under another name.
func (w *world) alsoAt(name string) {
	der, err := x509.MarshalPKIXPublicKey(w.key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	w.record(name, "v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(der))
}

// quiet is for web servers that meet what is no request.
var quiet = log.New(io.Discard, "", 0)
