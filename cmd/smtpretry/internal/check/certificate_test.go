package check_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/check"
)

// signer is an authority, or one below it.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (s *signer) sign(t *testing.T, tmpl *x509.Certificate) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber, tmpl.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
	parent, with := tmpl, key
	if s != nil {
		parent, with = s.cert, s.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{cert, key}
}

// webTLS makes a certificate that roots trusts from then on.
func webTLS(t *testing.T, name string, roots *x509.CertPool) *tls.Config {
	t.Helper()
	s := (*signer)(nil).sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	roots.AddCert(s.cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{s.cert.Raw}, PrivateKey: s.key}}}
}

// TestInspect: what is said of a certificate on a day, one flaw or several.
func TestInspect(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	authority := func(name string, until int) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: day(-100), NotAfter: day(until), IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	}
	leaf := func(from, until int, names ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: "smtp.example.com"}, DNSNames: names, NotBefore: day(from), NotAfter: day(until),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	}
	root := (*signer)(nil).sign(t, authority("Root", 1000))
	between := root.sign(t, authority("Between", 500))
	ended := root.sign(t, authority("Ended", -1))
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	const name = "smtp.example.com"
	good := between.sign(t, leaf(-10, 60, name)).cert
	for _, test := range []struct {
		what  string
		chain []*x509.Certificate
		want  string // result and finding
		says  []string
	}{
		{"good", []*x509.Certificate{good, between.cert}, "ok", []string{"60 days left", "Between"}},
		{"21 days left", []*x509.Certificate{root.sign(t, leaf(-10, 21, name)).cert}, "ok", []string{"21 days left"}},
		{"20 days left", []*x509.Certificate{root.sign(t, leaf(-10, 20, name)).cert}, "warning expires-soon", []string{"in 20 days"}},
		{"1 day left", []*x509.Certificate{root.sign(t, leaf(-10, 1, name)).cert}, "warning expires-soon", []string{"in 1 day"}},
		{"expired", []*x509.Certificate{root.sign(t, leaf(-10, -1, name)).cert}, "fault expired", []string{"2025-12-31"}},
		{"expired, longer than its authority was known", []*x509.Certificate{ended.sign(t, leaf(-10, -2, name)).cert, ended.cert}, "fault expired", nil},
		{"not yet valid", []*x509.Certificate{root.sign(t, leaf(5, 60, name)).cert}, "fault not-yet-valid", []string{"2026-01-06"}},
		{"wrong name", []*x509.Certificate{root.sign(t, leaf(-10, 60, "a.example", "b.example")).cert}, "fault wrong-name", []string{"for a.example, b.example, not for " + name}},
		{"a star for one label", []*x509.Certificate{root.sign(t, leaf(-10, 60, "*.example.com")).cert}, "ok", nil},
		{"a star for two", []*x509.Certificate{root.sign(t, leaf(-10, 60, "*.com")).cert}, "fault wrong-name", nil},
		{"a name in its old place only", []*x509.Certificate{root.sign(t, leaf(-10, 60)).cert}, "fault wrong-name", []string{"old place"}},
		{"without the one between", []*x509.Certificate{good}, "fault unknown-authority", []string{"Between", "sends no intermediate"}},
		{"below one that has expired", []*x509.Certificate{ended.sign(t, leaf(-10, 60, name)).cert, ended.cert}, "fault expired", []string{"of its chain"}},
		{"expired and for another name", []*x509.Certificate{root.sign(t, leaf(-10, -1, "a.example")).cert}, "fault expired", []string{"expired on", "for a.example", "Renew", "Use the name"}},
		{"signed by itself and expired", []*x509.Certificate{(*signer)(nil).sign(t, leaf(-10, -1, name)).cert}, "fault expired", []string{"by itself"}},
	} {
		var s check.Step
		trusted := check.Inspect(&s, test.chain, name, roots, day(0))
		if got := strings.TrimSpace(s.Result.String() + " " + s.Finding); got != test.want || trusted == (s.Result == check.Fault) {
			t.Errorf("%s: %q, trusted %v, want %q: %s", test.what, got, trusted, test.want, s.Text)
		}
		for _, words := range test.says {
			if !strings.Contains(s.Text+s.Advice, words) {
				t.Errorf("%s: it does not say %q: %s -> %s", test.what, words, s.Text, s.Advice)
			}
		}
	}
}
