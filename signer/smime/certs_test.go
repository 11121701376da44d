package smime

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// identity is a key with its chain, the certificate first and the root last.
type identity struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

func (id *identity) cert() *x509.Certificate { return id.chain[0] }

// testPKI is a root, an intermediate below it, and one end entity of each kind.
type testPKI struct {
	intermediate *identity
	byKind       map[string]*identity
}

// pki makes the keys once, since RSA keys take long.
var pki = sync.OnceValue(func() *testPKI {
	p := &testPKI{byKind: map[string]*identity{}}
	authority := func(t *x509.Certificate) {
		t.IsCA, t.BasicConstraintsValid = true, true
		t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		t.ExtKeyUsage = nil
	}
	root := issue("Root", newKey("p256"), nil, authority)
	p.intermediate = issue("Intermediate", newKey("p256"), root, authority)
	for _, kind := range []string{"rsa2048", "p256", "p384", "p521", "ed25519"} {
		p.byKind[kind] = issue(kind, newKey(kind), p.intermediate, nil)
	}
	p.byKind["other"] = issue("other", newKey("rsa2048"), p.intermediate, nil)
	return p
})

// as returns the end entity of that kind: "rsa2048", "p256", "p384", "p521",
// "ed25519", or "other", which is RSA too.
func as(kind string) *identity { return pki().byKind[kind] }

func newKey(kind string) crypto.Signer {
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa1024":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p224":
		key, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		panic("no such kind of key: " + kind)
	}
	if err != nil {
		panic(err)
	}
	return key
}

// issue makes a certificate, signed by itself if there is no issuer. change may
// alter the template.
func issue(name string, key crypto.Signer, issuer *identity, change func(*x509.Certificate)) *identity {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:   serial,
		Subject:        pkix.Name{CommonName: name, Organization: []string{"Test & Söhne"}},
		NotBefore:      time.Now().Add(-time.Hour),
		NotAfter:       time.Now().Add(24 * time.Hour),
		KeyUsage:       x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{name + "@example.com"},
	}
	if change != nil {
		change(template)
	}
	parent, signingKey := template, key
	var above []*x509.Certificate
	if issuer != nil {
		parent, signingKey, above = issuer.chain[0], issuer.key, issuer.chain
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signingKey)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &identity{key, append([]*x509.Certificate{cert}, above...)}
}

// files writes certificate and key as PEM for other programs.
func (id *identity) files(t testing.TB) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return writePEM(t, dir, "cert.pem", "CERTIFICATE", id.cert().Raw), writePEM(t, dir, "key.pem", "PRIVATE KEY", der)
}

// rootFile writes the root's certificate.
func rootFile(t testing.TB) string {
	t.Helper()
	chain := pki().intermediate.chain
	return writePEM(t, t.TempDir(), "root.pem", "CERTIFICATE", chain[len(chain)-1].Raw)
}

func writePEM(t testing.TB, dir, name, kind string, der []byte) string {
	t.Helper()
	return writeFile(t, dir, name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
