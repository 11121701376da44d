package keytool

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"

	"waxseal/keys"
	"waxseal/keys/directory"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// person is a key with its certificate.
type person struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// certify makes one; issuer signs, or, if it is nil, the key itself.
func certify(t testing.TB, c *x509.Certificate, issuer *person) *person {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.BasicConstraintsValid = time.Now().Add(-time.Hour), true
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	p := &person{key: key, cert: c}
	if issuer == nil {
		issuer = p
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
}

func (p *person) keyPEM(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// names writes what was found as one text.
func foundNames(found []Found) string {
	var names []string
	for _, f := range found {
		names = append(names, f.Entry.String())
	}
	return strings.Join(names, ", ")
}

func TestRead(t *testing.T) {
	ca := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	sub := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Sub"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, ca)
	alice := certify(t, &x509.Certificate{EmailAddresses: []string{"Alice@Example.com", "a@example.com"}}, sub)
	bob := certify(t, &x509.Certificate{EmailAddresses: []string{"bob@example.org"}}, nil)
	again := certify(t, &x509.Certificate{EmailAddresses: []string{"bob@example.org"}}, nil)
	nobody := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Nobody"}}, nil)
	const own = "smime/alice@example.com, smime/a@example.com"
	for name, c := range map[string]struct {
		text, as, want, authorities, err string
	}{
		"key and chain, upside down": {text: ca.pem() + sub.pem() + alice.keyPEM(t) + alice.pem(), want: own},
		"two keys":                   {text: alice.keyPEM(t) + bob.pem() + alice.pem() + bob.keyPEM(t), want: own + ", smime/bob@example.org"},
		"two certificates of one":    {text: bob.pem() + again.pem(), want: "recipients/bob@example.org (smime)"},
		"with a name":                {text: nobody.pem(), as: "Gateway.Example", want: "recipients/gateway.example (smime)"},
		"without a name":             {text: nobody.pem(), err: "give -name"},
		"a bad name":                 {text: nobody.pem(), as: "../x", err: "can't be the name"},
		"somebody's chain":           {text: alice.pem() + sub.pem() + ca.pem(), want: "recipients/alice@example.com (smime), recipients/a@example.com (smime)"},
		"an authority":               {text: ca.pem(), authorities: "CN=CA"},
		"a key alone":                {text: alice.keyPEM(t) + bob.pem(), err: "whose certificate is not in the file"},
		"nothing":                    {text: "", err: "nothing that keys"},
		"text":                       {text: "hello", err: "nothing that keys"},
		"PEM of something else":      {text: "-----BEGIN X-----\nAAAA\n-----END X-----\n", err: "neither a key nor a certificate"},
		"cut short":                  {text: bob.pem()[:100], err: "damaged PEM"},
		"a broken certificate":       {text: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", err: "read certificate 1"},
		"a passphrase":               {text: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", err: "passphrase"},
		"DER":                        {text: string(bob.cert.Raw), want: "recipients/bob@example.org (smime)"},
		"broken DER":                 {text: "0\x84\xff\xff\xff\xff", err: "read certificate"},
		"broken OpenPGP":             {text: "\x99\x01", err: "read OpenPGP keys"},
	} {
		t.Run(name, func(t *testing.T) {
			found, authorities, err := Read([]byte(c.text), ReadOptions{Name: c.as, Source: "a test", Now: time.Now()})
			if got := foundNames(found); got != c.want || strings.Join(authorities, ", ") != c.authorities {
				t.Errorf("found %q and %q", got, authorities)
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			for _, f := range found {
				if f.Source != "a test" {
					t.Errorf("%s comes from %q", f.Entry, f.Source)
				}
				if err := Usable(&keys.Record{Entry: f.Entry, Material: f.Material}, time.Now()); err != nil && c.as == "" {
					t.Error(err)
				}
			}
		})
	}
	if found, _, err := Read([]byte(alice.pem()+sub.pem()+ca.pem()+alice.keyPEM(t)), ReadOptions{Now: time.Now()}); err != nil || strings.Count(string(found[0].Certificate), "BEGIN") != 3 {
		t.Errorf("the chain: %v, %v", found, err)
	}
	if _, _, err := Read(make([]byte, MaxFile+1), ReadOptions{}); err == nil {
		t.Error("a file that is too large is read")
	}
	bundle, err := smime.Bundle([]*x509.Certificate{bob.cert})
	if err != nil {
		t.Fatal(err)
	}
	if found, _, err := Read(bundle, ReadOptions{}); err != nil || len(found) != 1 {
		t.Errorf("a bundle: %v, %v", found, err)
	}
}

func TestReadPKCS12(t *testing.T) {
	alice := certify(t, &x509.Certificate{EmailAddresses: []string{"alice@example.com"}}, nil)
	bob := certify(t, &x509.Certificate{EmailAddresses: []string{"bob@example.org"}}, nil)
	file, err := pkcs12.Modern.Encode(alice.key, alice.cert, nil, "word")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{bob.cert}, "word")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	say := func(word string) func() ([]byte, error) {
		return func() ([]byte, error) {
			asked++
			return []byte(word), nil
		}
	}
	if found, _, err := Read(file, ReadOptions{Passphrase: say("word")}); err != nil || foundNames(found) != "smime/alice@example.com" || asked != 1 {
		t.Errorf("found %v, %v, asked %d times", found, err, asked)
	}
	if found, _, err := Read(trust, ReadOptions{Passphrase: say("word")}); err != nil || foundNames(found) != "recipients/bob@example.org (smime)" {
		t.Errorf("certificates alone: %v, %v", found, err)
	}
	nobody := errors.New("nobody is there")
	for what, c := range map[string]struct {
		data []byte
		say  func() ([]byte, error)
		want string
	}{
		"wrong":     {file, say("x"), "the password is another one"},
		"none":      {file, nil, "none was given"},
		"nobody":    {file, func() ([]byte, error) { return nil, nobody }, "nobody is there"},
		"cut short": {file[:len(file)-20], say("word"), ""},
	} {
		if found, _, err := Read(c.data, ReadOptions{Passphrase: c.say}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", what, found, err)
		}
	}
}

// TestIterations: a file can't keep us busy for years.
func TestIterations(t *testing.T) {
	build := func(n int64) []byte {
		var b cryptobyte.Builder
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(casn1.OCTET_STRING, func(b *cryptobyte.Builder) { // as the content of a PFX is
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString([]byte("salt"))
					b.AddASN1Int64(n)
				})
			})
		})
		return b.BytesOrPanic()
	}
	for n, bad := range map[int64]bool{2048: false, maxIterations: false, maxIterations + 1: true, 1 << 62: true} {
		if err := checkIterations(build(n), 0); (err != nil) != bad {
			t.Errorf("%d iterations: %v", n, err)
		}
		_, _, err := Read(build(n), ReadOptions{})
		if err == nil || strings.Contains(err.Error(), "hashed") != bad {
			t.Errorf("%d iterations: %v", n, err)
		}
	}
}

// TestStore: what an entry becomes, and what of it is kept.
func TestStore(t *testing.T) {
	s := &directory.Store{Path: t.TempDir()}
	old := certify(t, &x509.Certificate{EmailAddresses: []string{"a@b"}, NotAfter: time.Now().Add(-time.Minute)}, nil)
	one := certify(t, &x509.Certificate{EmailAddresses: []string{"a@b"}}, nil)
	put := func(p *person, force bool) (Stored, error) {
		t.Helper()
		found, _, err := Read([]byte(p.pem()+p.keyPEM(t)), ReadOptions{Source: "x"})
		if err != nil {
			t.Fatal(err)
		}
		return Store(t.Context(), s, found[0], force, time.Now())
	}
	if _, err := put(old, false); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired one: %v", err)
	}
	for n, c := range []struct {
		person  *person
		done    string
		version int
	}{{old, "kept for decryption", 1}, {one, "replaced", 2}, {one, "unchanged", 2}, {old, "kept for decryption", 4}, {one, "unchanged", 4}} {
		if got, err := put(c.person, true); err != nil || got.Done != c.done || got.Version != c.version {
			t.Errorf("step %d: %+v, %v, want %s as version %d", n, got, err, c.done, c.version)
		}
	}
	if k, err := s.Key(t.Context(), keys.SMIME, "a@b"); err != nil || !k.Chain[0].Equal(one.cert) {
		t.Errorf("the current key: %v, %v", k, err)
	}
	if tried := Try(t.Context(), s, keys.Entry{Scheme: keys.SMIME, Name: "a@b", Own: true}, time.Now()); tried.Err != nil || tried.Versions != 4 {
		t.Errorf("%+v", tried)
	}
}

// The hashes are those of the draft's example and of gpg.
func TestWKDHash(t *testing.T) {
	for address, want := range map[string]string{
		"Joe.Doe@Example.ORG": "iy9q119eutrkn8s1mk4r39qejnbu3n5q example.org",
	} {
		hash, domain, err := WKDHash(address)
		if got := hash + " " + domain; err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", address, got, err, want)
		}
	}
	for _, bad := range []string{"example.org", "", "a b@x"} {
		if _, _, err := WKDHash(bad); err == nil {
			t.Errorf("%q has a hash", bad)
		}
	}
}

// FuzzRead reads whatever comes, and what is found must not be both broken and
// stored.
func FuzzRead(f *testing.F) {
	p := certify(f, &x509.Certificate{EmailAddresses: []string{"alice@example.com"}}, nil)
	f.Add([]byte(p.pem() + p.keyPEM(f)))
	f.Add(p.cert.Raw)
	if file, err := pkcs12.Modern.WithIterations(10).Encode(p.key, p.cert, nil, ""); err == nil {
		f.Add(file)
	}
	if bundle, err := smime.Bundle([]*x509.Certificate{p.cert}); err == nil {
		f.Add(bundle)
	}
	if secret, err := pgpmime.Generate(pgpmime.GenerateOptions{Address: "alice@example.com"}); err == nil {
		f.Add(secret)
		if binary, err := pgpmime.Binary(secret); err == nil {
			f.Add(binary)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, _, err := Read(data, ReadOptions{Now: time.Now()})
		if err != nil {
			if strings.Contains(err.Error(), "PRIVATE KEY-----\nM") {
				t.Errorf("the error has key material: %v", err)
			}
			return
		}
		for _, x := range found {
			Describe(&keys.Record{Entry: x.Entry, Material: x.Material}, time.Now())
		}
	})
}
