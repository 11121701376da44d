package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waxseal/test/vaulttest"
)

// transitPolicy is the smallest that a store with keys in Transit works with.
const transitPolicy = policy + `
path "secret/metadata/waxseal/*" { capabilities = ["read", "list"] }
path "transit/keys/*"    { capabilities = ["read"] }
path "transit/sign/*"    { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
`

// transit starts a server that has a Transit engine and the policy for it.
func transit(t testing.TB, o vaulttest.Options) *vaulttest.Server {
	t.Helper()
	s := vaulttest.Start(t, o)
	s.Write("sys/mounts/transit", map[string]any{"type": "transit"})
	s.Policy("waxseal", transitPolicy)
	return s
}

// authority signs test certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	made atomic.Int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert = a.sign(a.cert, key.Public())
	return a
}

func (a *authority) sign(c *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber = big.NewInt(a.made.Add(1))
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*365*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// mail makes a certificate for mail of an address, with its chain.
func (a *authority) mail(address string, public crypto.PublicKey, change func(*x509.Certificate)) string {
	a.t.Helper()
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if change != nil {
		change(c)
	}
	var out []byte
	for _, c := range []*x509.Certificate{a.sign(c, public), a.cert} {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return string(out)
}

// newKey makes a key in Transit and returns its public part.
func newKey(t testing.TB, s *vaulttest.Server, name, kind string) crypto.PublicKey {
	t.Helper()
	s.Write("transit/keys/"+name, map[string]any{"type": kind})
	return publicKey(t, s, name, 1)
}

func publicKey(t testing.TB, s *vaulttest.Server, name string, version int) crypto.PublicKey {
	t.Helper()
	all, _ := s.Read("transit/keys/" + name)["keys"].(map[string]any)
	one, _ := all[fmt.Sprint(version)].(map[string]any)
	text, _ := one["public_key"].(string)
	public, err := parsePublic(text)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// privatePEM writes a private key as PKCS#8.
func privatePEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// verify checks a signature with crypto/..., which did not make it.
func verify(public crypto.PublicKey, signed, signature []byte, opts crypto.SignerOpts) error {
	ok := false
	switch p := public.(type) {
	case *rsa.PublicKey:
		if pss, isPSS := opts.(*rsa.PSSOptions); isPSS {
			return rsa.VerifyPSS(p, pss.Hash, signed, signature, pss)
		}
		return rsa.VerifyPKCS1v15(p, opts.HashFunc(), signed, signature)
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(p, signed, signature)
	case ed25519.PublicKey:
		ok = ed25519.Verify(p, signed, signature)
	}
	if !ok {
		return errors.New("the signature is not good")
	}
	return nil
}

// packet writes an OpenPGP public key packet of version 4.
func packet(algorithm byte, fields ...[]byte) []byte {
	body := []byte{4, 0x65, 0, 0, 0, algorithm}
	for _, f := range fields {
		body = append(body, f...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0xc6, 0xff}, uint32(len(body))), body...)
}

func mpi(b []byte) []byte {
	n := new(big.Int).SetBytes(b)
	return append(binary.BigEndian.AppendUint16(nil, uint16(n.BitLen())), n.Bytes()...)
}

// armored wraps packets for a KV field.
func armored(packets []byte) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PGP PUBLIC KEY BLOCK", Bytes: packets}))
	return strings.Replace(text, "BLOCK-----\n", "BLOCK-----\n\n", 1)
}
