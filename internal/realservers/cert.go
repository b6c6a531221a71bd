//go:build linux

package realservers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Name is what the servers call themselves, also in their certificates.
const Name = "mx.example.test"

// The certificates of a server, by the names of their files.
const (
	certGood      = "good"
	certExpired   = "expired"   // ended yesterday
	certOtherName = "othername" // for other.example.test
	certUnknownCA = "unknownca" // signed by itself
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// testCA is this program's. Nobody else knows its key.
var testCA = sync.OnceValues(func() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := certificate("Test CA", time.Now().AddDate(0, 1, 0))
	tmpl.IsCA, tmpl.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a, nil
})

// Roots returns the pool with which the good certificates can be verified.
func Roots() (*x509.CertPool, error) {
	ca, err := testCA()
	if err != nil {
		return nil, err
	}
	return ca.pool, nil
}

func certificate(name string, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-48 * time.Hour),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
}

// writeCerts writes NAME.crt and NAME.key for each certificate.
func writeCerts(dir, host string) error {
	ca, err := testCA()
	if err != nil {
		return err
	}
	for _, name := range []string{certGood, certExpired, certOtherName, certUnknownCA} {
		if err := ca.write(filepath.Join(dir, name), name, host); err != nil {
			return err
		}
	}
	return nil
}

func (ca *authority) write(path, kind, host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tmpl := certificate(Name, time.Now().AddDate(0, 1, 0))
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	tmpl.DNSNames, tmpl.IPAddresses = []string{Name}, []net.IP{net.ParseIP(host)}
	parent, signer := ca.cert, ca.key
	switch kind {
	case certExpired:
		tmpl.NotAfter = time.Now().Add(-24 * time.Hour)
	case certOtherName:
		tmpl.DNSNames, tmpl.IPAddresses = []string{"other.example.test"}, nil
	case certUnknownCA:
		parent, signer = tmpl, key
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644); err != nil {
		return err
	}
	// Exim reads it after it has become another user; the folder is private
	// to this run, and the key worth nothing beyond it.
	return os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o644)
}
