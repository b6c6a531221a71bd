package testserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// TLSMode says how TLS begins.
type TLSMode uint8

// The modes.
const (
	NoTLS TLSMode = iota
	StartTLS
	ImplicitTLS
)

// Cert says what is wrong with the server's certificate.
type Cert uint8

// The certificates, all self-signed and made when the server is.
const (
	GoodCert      Cert = iota // for Config.Name, localhost, loopback addresses and 0.0.0.0
	ExpiredCert               // ended yesterday
	WrongNameCert             // for other.example.test
	UntrustedCert             // not trusted by Server.TLSConfig
)

// identity is a certificate and what either side needs to use it.
type identity struct {
	server, client *tls.Config
	pem            []byte
}

func newIdentity(name string, kind Cert) *identity {
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-48 * time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:         true, // lets other programs trust it as its own root

		BasicConstraintsValid: true,
		DNSNames:              []string{name, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4zero},
	}
	switch kind {
	case ExpiredCert:
		tmpl.NotAfter = now.Add(-24 * time.Hour)
	case WrongNameCert:
		tmpl.DNSNames, tmpl.IPAddresses = []string{"other.example.test"}, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("testserver: " + err.Error())
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic("testserver: " + err.Error())
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic("testserver: " + err.Error())
	}
	pool := x509.NewCertPool()
	if kind != UntrustedCert {
		pool.AddCert(leaf)
	}
	return &identity{
		server: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}},
		client: &tls.Config{RootCAs: pool, ServerName: name},
		pem:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}
}

// implicitTLS does the handshake that precedes the greeting.
func (s *session) implicitTLS() bool {
	if a, _ := s.srv.director.ask(s.at(TLS)); a != nil {
		s.play(a)
	}
	return !s.over && s.handshake()
}

// handshake turns TLS on. What was known before is forgotten (RFC 3207
// section 4.2).
func (s *session) handshake() bool {
	if !s.flush() {
		return false
	}
	t := tls.Server(s.raw, s.srv.identity.server)
	t.SetDeadline(time.Now().Add(s.srv.cfg.IdleTimeout))
	if err := t.HandshakeContext(context.Background()); err != nil {
		s.over = true
		return false
	}
	t.SetDeadline(time.Time{})
	s.conn, s.tls, s.helo, s.user = t, true, "", ""
	s.w.Reset(t)
	s.forget()
	return true
}
