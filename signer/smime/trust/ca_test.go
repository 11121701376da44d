package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"waxseal/signer"
)

// now is when the certificates of tests are judged.
var now = time.Now().Truncate(time.Second)

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate that the issuer signs, or that signs itself.
// change may change what it says.
func issue(t testing.TB, name string, issuer *identity, change func(*x509.Certificate)) *identity {
	t.Helper()
	return issueKey(t, name, newKey(t), issuer, change)
}

func issueKey(t testing.TB, name string, key crypto.Signer, issuer *identity, change func(*x509.Certificate)) *identity {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	if change != nil {
		change(template)
	}
	parent, signKey := template, key
	if issuer != nil {
		parent, signKey = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert, key}
}

// ca makes a certificate one of an authority.
func ca(c *x509.Certificate) {
	c.BasicConstraintsValid, c.IsCA = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

// mailer makes a certificate one for signing mail.
func mailer(addresses ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		c.EmailAddresses = addresses
	}
}

// both applies changes in order.
func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// extend adds an extension.
func extend(oid string, critical bool, value []byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		id, err := x509.ParseOID(oid)
		if err != nil {
			panic(err)
		}
		var arcs asn1.ObjectIdentifier
		body, _ := id.MarshalBinary()
		if _, err := asn1.Unmarshal(append([]byte{6, byte(len(body))}, body...), &arcs); err != nil {
			panic(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: arcs, Critical: critical, Value: value})
	}
}

// revoke makes a CRL of an authority.
func revoke(t testing.TB, issuer *identity, change func(*x509.RevocationList), certs ...*identity) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: c.cert.SerialNumber, RevocationTime: now.Add(-2 * time.Hour), ReasonCode: 1,
		})
	}
	if change != nil {
		change(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, issuer.cert, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certs are the certificates of identities.
func certs(ids ...*identity) []*x509.Certificate {
	var all []*x509.Certificate
	for _, id := range ids {
		all = append(all, id.cert)
	}
	return all
}

// writePEM writes a file of PEM blocks, and returns its path.
func writePEM(t testing.TB, name, kind string, ders ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var data []byte
	for _, der := range ders {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// raws are the DER of certificates.
func raws(certs []*x509.Certificate) [][]byte {
	var all [][]byte
	for _, c := range certs {
		all = append(all, c.Raw)
	}
	return all
}

// revocationOf has CRLs of files.
func revocationOf(t testing.TB, lists ...[]byte) *Revocation {
	t.Helper()
	var files []string
	for _, list := range lists {
		files = append(files, writePEM(t, "list.pem", "X509 CRL", list))
	}
	r, err := NewRevocation(RevocationConfig{CRLs: files})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// validate judges a certificate now.
func validate(v *Validator, address string, leaf *identity, others ...*identity) Result {
	return v.Validate(context.Background(), leaf.cert, certs(others...), now, address)
}

// passes says whether nothing stands against a certificate.
func passes(r Result) bool {
	v := signer.Verification{
		Integrity:   signer.Finding{Verdict: signer.Pass},
		Certificate: r.Certificate, Chain: r.Chain, Address: r.Address, Revocation: r.Revocation,
	}
	return v.Result().Verdict == signer.Pass
}
