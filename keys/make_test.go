package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// now is the time at which the test certificates are valid, for a year before
// and after.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const year = 365 * 24 * time.Hour

// maker makes certificates for one test.
type maker struct {
	t    testing.TB
	rsa  *rsa.PrivateKey
	root *issuer
	made int64 // certificates so far
}

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newMaker(t testing.TB) *maker {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{t: t, rsa: key}
	m.root = m.ca("root", nil)
	return m
}

func (m *maker) ec(curve elliptic.Curve) *ecdsa.PrivateKey {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	return key
}

func (m *maker) ca(name string, by *issuer) *issuer {
	m.t.Helper()
	key := m.ec(elliptic.P256())
	cert := m.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key.Public(), by, key)
	return &issuer{cert, key}
}

// leaf makes a certificate of the maker's RSA key for alice@example.com, after
// change has been applied to it.
func (m *maker) leaf(by *issuer, change func(*x509.Certificate)) *x509.Certificate {
	m.t.Helper()
	return m.leafOf(m.rsa.Public(), by, change)
}

func (m *maker) leafOf(public crypto.PublicKey, by *issuer, change func(*x509.Certificate)) *x509.Certificate {
	m.t.Helper()
	c := &x509.Certificate{
		Subject:        pkix.Name{CommonName: "leaf"},
		EmailAddresses: []string{"alice@example.com"},
		KeyUsage:       x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if change != nil {
		change(c)
	}
	return m.sign(c, public, by, nil)
}

func (m *maker) sign(c *x509.Certificate, public crypto.PublicKey, by *issuer, self crypto.Signer) *x509.Certificate {
	m.t.Helper()
	m.made++
	c.SerialNumber = big.NewInt(m.made)
	if c.NotBefore.IsZero() {
		c.NotBefore = now.Add(-year)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = now.Add(year)
	}
	parent, key := c, self
	if by != nil {
		parent, key = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, key)
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// text writes certificates and private keys as PEM.
func (m *maker) text(parts ...any) []byte {
	m.t.Helper()
	var out []byte
	for _, p := range parts {
		if c, ok := p.(*x509.Certificate); ok {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
			continue
		}
		der, err := x509.MarshalPKCS8PrivateKey(p)
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	return out
}
