package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"strings"
	"testing"
)

// elsewhere is a private key that is kept elsewhere.
type elsewhere struct{ public crypto.PublicKey }

func (e elsewhere) Public() crypto.PublicKey { return e.public }

func (e elsewhere) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errors.New("not here")
}

func TestParseRemoteKey(t *testing.T) {
	m := newMaker(t)
	e := Entry{SMIME, "alice@example.com", true}
	ec := m.ec(elliptic.P256())
	agreement := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }
	leaf, other := m.leaf(m.root, nil), m.leafOf(ec.Public(), m.root, agreement)
	for _, c := range []struct {
		name  string
		text  []byte
		want  string // of the error
		notes string
	}{
		{"certificate and chain", m.text(m.root.cert, leaf), "", ""},
		{"with a key for decryption", m.text(leaf, other, m.root.cert, ec), "", ""},
		{"with a certificate too many", m.text(leaf, other), "", "1 of the certificates are not in the chain"},
		{"for decryption and expired", m.text(leaf, m.leafOf(ec.Public(), m.root, func(c *x509.Certificate) {
			agreement(c)
			c.NotAfter = now.Add(-1)
		}), ec), "", "for encryption can't be used: certificate expired"},
		{"nothing", nil, "no certificate", ""},
		{"another certificate", m.text(other), "belongs to none", ""},
		{"a private key without certificate", m.text(leaf, ec), "for decryption belongs to none", ""},
		{"expired", m.text(m.leaf(m.root, func(c *x509.Certificate) { c.NotAfter = now.Add(-1) })), "expired", ""},
		{"may not sign", m.text(m.leaf(m.root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })), "may not sign", ""},
		{"of somebody else", m.text(m.leaf(m.root, func(c *x509.Certificate) { c.EmailAddresses = []string{"bob@example.com"} })), "not for alice", ""},
		{"damaged", []byte("-----BEGIN CERTIFICATE-----\n"), "damaged PEM", ""},
	} {
		k, err := ParseRemoteKey(e, c.text, m.rsa.Public(), now)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), e.String()) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !k.Chain[0].Equal(leaf) || k.Signer != nil || (k.Encryption != nil) != (c.name == "with a key for decryption") {
			t.Errorf("%s: %+v", c.name, k.Chain[0].Subject)
		}
		if notes := strings.Join(k.Notes, "; "); (c.notes == "") != (notes == "") || !strings.Contains(notes, c.notes) {
			t.Errorf("%s: notes %q, want %q", c.name, notes, c.notes)
		}
	}
}

func TestLoadVersions(t *testing.T) {
	m := newMaker(t)
	e := Entry{SMIME, "alice@example.com", true}
	record := func(version int, mat Material) *Record { return &Record{Entry: e, Material: mat, Version: version} }
	leaf := m.text(m.leaf(m.root, nil))
	here := record(1, Material{Certificate: leaf, PrivateKey: m.text(m.rsa)})
	away := record(2, Material{Certificate: leaf, TransitKey: "x"})
	broken := record(3, Material{Certificate: leaf, PrivateKey: []byte("x")})
	answers := func(d crypto.Decrypter, err error) func(*Record) (crypto.Decrypter, error) {
		return func(*Record) (crypto.Decrypter, error) { return d, err }
	}
	all, err := LoadVersions(e, []*Record{broken, away, here}, answers(elsewhere{m.rsa.Public()}, nil))
	if err != nil || len(all) != 2 || all[0].Version != 2 || all[1].Version != 1 || len(all[0].Notes) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := LoadVersions(e, []*Record{away, here}, answers(nil, errors.New("Vault is sealed"))); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("away: %v; a version that can't be asked for is no reason to go without it", err)
	}
	all, err = LoadVersions(e, []*Record{away, here}, answers(nil, fmt.Errorf("no key x: %w", ErrNotFound)))
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Notes[0], "version 2: no key x") {
		t.Errorf("gone: %v, %v", all, err)
	}
	if _, err := LoadVersions(e, []*Record{away}, answers(nil, fmt.Errorf("no key x: %w", ErrNotFound))); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("all gone: %v; the entry is there and can't be used", err)
	}
	if _, err := LoadVersions(e, nil, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("none: %v", err)
	}
}

// gpg says what a key of its own looks like.
func TestFitsOpenPGP(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Fatal("gpg is missing: apt-get install gnupg")
	}
	home := t.TempDir()
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	gpg := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	m := newMaker(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{"rsa2048", "nistp256", "nistp384", "nistp521", "ed25519"} {
		address := algorithm + "@example.com"
		gpg("--quick-gen-key", address, algorithm, "sign")
		for _, data := range [][]byte{gpg("--export", address), gpg("--armor", "--export", address)} {
			public := publicOf(t, gpg("--export", address))
			if !Fits(PGP, data, public) {
				t.Errorf("%s: the key's own public key does not fit", algorithm)
			}
			for _, other := range []crypto.PublicKey{m.rsa.Public(), m.ec(elliptic.P256()).Public(), ed.Public(), nil, "x"} {
				if Fits(PGP, data, other) {
					t.Errorf("%s: %T of another key fits", algorithm, other)
				}
			}
			for i := range data[:min(len(data), 200)] {
				Fits(PGP, data[:i], public) // must not panic
			}
		}
	}
}

// publicOf reads the public key of a packet in another way than the package
// does: from the end of what is known about its length.
func publicOf(t *testing.T, packets []byte) crypto.PublicKey {
	t.Helper()
	_, body, _, err := nextPacket(packets)
	if err != nil {
		t.Fatal(err)
	}
	switch body[5] {
	case 1:
		return &rsa.PublicKey{N: new(big.Int).SetBytes(body[8 : 8+256]), E: 65537}
	case 19:
		point := body[6+1+int(body[6])+2:]
		curve := map[int]elliptic.Curve{65: elliptic.P256(), 97: elliptic.P384(), 133: elliptic.P521()}[len(point)]
		public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil {
			t.Fatal(err)
		}
		return public
	}
	return ed25519.PublicKey(body[len(body)-32:])
}

func TestSplitPEM(t *testing.T) {
	m := newMaker(t)
	leaf := m.leaf(m.root, nil)
	certificates, private := SplitPEM(append([]byte("some words\n"), m.text(leaf, m.rsa, m.root.cert)...))
	if !bytes.Equal(certificates, m.text(leaf, m.root.cert)) || !bytes.Equal(private, m.text(m.rsa)) {
		t.Errorf("got %d and %d octets", len(certificates), len(private))
	}
	if c, p := SplitPEM([]byte("-----BEGIN")); c != nil || p != nil {
		t.Errorf("got %q and %q of what is no PEM", c, p)
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " a  b ": "a b", "a\r\n-----BEGIN\tX\x00": "a -----BEGIN X", "\xff": "?", strings.Repeat("é", 300): strings.Repeat("é", 200),
	} {
		if got := OneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
