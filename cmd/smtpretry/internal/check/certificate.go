package check

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expiresSoon is when the end of a certificate is worth a warning: those that
// are renewed by themselves are renewed 30 days before.
const expiresSoon = 21 * 24 * time.Hour

// certificate looks at the server's certificate, if there is TLS.
func (v *visit) certificate() {
	v.do(StepCertificate, func(s *Step) {
		if v.talk.state == nil {
			s.skip("", "without TLS there is none")
			return
		}
		v.talk.trusted = inspect(s, v.talk.state.PeerCertificates, v.host, v.c.Roots, time.Now())
		if s.Result == Fault && !v.mustEncrypt() {
			// Mail servers among themselves encrypt without asking who is there.
			s.Result = Note
			s.advise("Mail servers deliver to it nevertheless, unless the domain has MTA-STS or DANE. %s", s.Advice)
		}
	})
}

// A flaw is one thing that is wrong with a certificate.
type flaw struct{ finding, text, advice string }

// inspect verifies a server's certificate and says all that is wrong with it.
// It returns whether a client may trust it.
func inspect(s *Step, chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) bool {
	leaf := chain[0]
	var flaws []flaw
	add := func(finding, advice, text string, args ...any) {
		flaws = append(flaws, flaw{finding, fmt.Sprintf(text, args...), advice})
	}
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	switch {
	case now.After(leaf.NotAfter):
		add("expired", "Renew the certificate on the server, and have the server load it: many keep the old one until they are restarted.",
			"expired on %s", day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		add("not-yet-valid", "Look at the clocks of both machines, and at the certificate.", "not valid before %s", day(leaf.NotBefore))
	}
	if err := leaf.VerifyHostname(host); err != nil {
		add("wrong-name", "Use the name in the certificate as the server's name, or have the server's name put into its certificate.",
			"for %s, not for %s", namesOf(leaf), host)
	}
	// Time and name are judged above; here, only who signed.
	pool := x509.NewCertPool()
	for _, c := range chain[1:] {
		pool.AddCert(c)
	}
	at := now
	if at.After(leaf.NotAfter) || at.Before(leaf.NotBefore) {
		at = leaf.NotAfter.Add(-time.Second)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, CurrentTime: at})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		add("expired", "Install the whole chain anew, with the intermediate certificate that is in force.", "a certificate of its chain has expired")
	case selfSigned(leaf):
		add("self-signed", "Get a certificate from an authority (such as Let's Encrypt, free of charge), or have the clients trust this one (here: --ca).",
			"signed by itself, by no authority")
	case len(chain) == 1:
		add("unknown-authority", "Have the server send its whole chain (the fullchain file), or have the clients trust that authority (here: --ca).",
			"signed by %q, which is not known here, and the server sends no intermediate certificate", leaf.Issuer.CommonName)
	default:
		add("unknown-authority", "Get a certificate from an authority that is known everywhere, or have the clients trust that authority (here: --ca).",
			"signed by %q, which is not known here: %s", leaf.Issuer.CommonName, reason(err))
	}
	left := leaf.NotAfter.Sub(now)
	switch {
	case len(flaws) > 0:
		s.fault(flaws[0].finding, "%s", flaws[0].text).advise("%s", flaws[0].advice)
		for _, f := range flaws[1:] {
			s.Text += "; " + f.text
			s.Advice += " " + f.advice
		}
	case left < expiresSoon:
		s.warn("expires-soon", "for %s, by %s, ends on %s, in %s", host, leaf.Issuer.CommonName, day(leaf.NotAfter), days(left)).
			advise("Renew it now, and look at why it was not renewed by itself.")
	default:
		s.ok("for %s, by %s, until %s, %s left", host, leaf.Issuer.CommonName, day(leaf.NotAfter), days(left))
	}
	return len(flaws) == 0
}

func days(d time.Duration) string {
	if n := int(d.Hours() / 24); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}

func selfSigned(c *x509.Certificate) bool {
	return slices.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func namesOf(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name (" + c.Subject.CommonName + " stands in its old place only)"
	}
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d others", len(names)-most)
	}
	return oneOf(names)
}
