package judge

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Person is somebody with an S/MIME certificate. The files are what programs
// want to read.
type Person struct {
	Name  string              // also the common name and the local part of the address
	Key   crypto.PrivateKey   // a crypto.Signer, or *ecdh.PrivateKey
	Chain []*x509.Certificate // his own, the intermediate, the root

	CertFile, KeyFile, ChainFile string // PEM; ChainFile has all but his own
}

// Certificate is the person's own.
func (p *Person) Certificate() *x509.Certificate { return p.Chain[0] }

// People are persons under one root.
type People struct {
	RootFile string // PEM
	root     *x509.Certificate
	byName   map[string]*Person
	names    []string
}

// Person returns the one of that name.
func (p *People) Person(name string) *Person { return p.byName[name] }

// NewPeople makes a person for each kind of key that S/MIME knows, named after
// it: "rsa", "p256", "p384", "p521", "ed25519", "x25519", and "rsa-other", who
// has a key like the first.
func NewPeople(t testing.TB) *People {
	t.Helper()
	p := &People{byName: map[string]*Person{}}
	dir := t.TempDir()
	root := p.issue(t, dir, "root", nil)
	intermediate := p.issue(t, dir, "intermediate", root)
	p.root, p.RootFile = root.Certificate(), root.CertFile
	for _, name := range []string{"rsa", "rsa-other", "p256", "p384", "p521", "ed25519", "x25519"} {
		p.byName[name] = p.issue(t, dir, name, intermediate)
		p.names = append(p.names, name)
	}
	return p
}

// newKey makes a key; its public part says what kind it is.
func newKey(kind string) (key crypto.PrivateKey, public crypto.PublicKey, err error) {
	curves := map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}
	switch {
	case kind == "ed25519":
		public, key, err = ed25519.GenerateKey(rand.Reader)
		return key, public, err
	case kind == "x25519":
		k, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		return k, k.PublicKey(), nil
	case curves[kind] != nil:
		k, err := ecdsa.GenerateKey(curves[kind], rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		return k, k.Public(), nil
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	return k, k.Public(), nil
}

// usage is what a certificate for mail says about each kind of key (RFC 8551,
// Section 4.4.2).
func usage(name string) x509.KeyUsage {
	switch name {
	case "root", "intermediate":
		return x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	case "ed25519":
		return x509.KeyUsageDigitalSignature
	case "x25519":
		return x509.KeyUsageKeyAgreement
	case "p256", "p384", "p521":
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	}
	return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
}

func (p *People) issue(t testing.TB, dir, name string, issuer *Person) *Person {
	t.Helper()
	key, public, err := newKey(name)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	id := sha1.Sum(spki)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Test & Sons"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     usage(name),
		SubjectKeyId: id[:],
	}
	if name == "root" || name == "intermediate" {
		template.IsCA, template.BasicConstraintsValid = true, true
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		template.EmailAddresses = []string{name + "@example.com"}
	}
	parent, signingKey := template, key
	var above []*x509.Certificate
	if issuer != nil {
		parent, signingKey, above = issuer.Certificate(), issuer.Key, issuer.Chain
	}
	der, err := create(template, parent, public, signingKey.(crypto.Signer))
	if err != nil {
		t.Fatal(fmt.Errorf("certificate of %s: %w", name, err))
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	person := &Person{Name: name, Key: key, Chain: append([]*x509.Certificate{cert}, above...)}
	person.CertFile = writePEM(t, filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
	person.KeyFile = writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", pkcs8)
	var ders [][]byte
	for _, c := range above {
		ders = append(ders, c.Raw)
	}
	person.ChainFile = writePEM(t, filepath.Join(dir, name+".chain"), "CERTIFICATE", ders...)
	return person
}

// create is x509.CreateCertificate, for keys with X25519 too: it makes one with
// Ed25519, changes the kind of the key, and signs anew.
func create(template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) ([]byte, error) {
	agreement, ok := public.(*ecdh.PublicKey)
	if !ok {
		return x509.CreateCertificate(rand.Reader, template, parent, public, by)
	}
	stand := ed25519.PublicKey(agreement.Bytes())
	der, err := x509.CreateCertificate(rand.Reader, template, parent, stand, by)
	if err != nil {
		return nil, err
	}
	var cert struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &cert); err != nil {
		return nil, err
	}
	old, err := x509.MarshalPKIXPublicKey(stand)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(agreement)
	if err != nil {
		return nil, err
	}
	cert.TBS = asn1.RawValue{FullBytes: bytes.Replace(cert.TBS.FullBytes, old, spki, 1)}
	digest := sha256.Sum256(cert.TBS.FullBytes)
	if cert.Signature.Bytes, err = by.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return nil, err
	}
	cert.Signature.BitLength = 8 * len(cert.Signature.Bytes)
	return asn1.Marshal(cert)
}

func writePEM(t testing.TB, path, kind string, ders ...[]byte) string {
	t.Helper()
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pkcs12 writes key and certificates as most programs import them. The
// passphrase is "secret".
func (p *Person) pkcs12(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), p.Name+".p12")
	err := openssl("pkcs12", "-export", "-in", p.CertFile, "-inkey", p.KeyFile, "-name", p.Name, "-passout", "pass:secret",
		"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-out", path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
