package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	alice = Entry{Scheme: SMIME, Name: "alice@example.com", Own: true}
	bob   = Entry{Scheme: SMIME, Name: "alice@example.com"} // the same certificate as somebody else's
)

func TestParseKeyOrdersTheChain(t *testing.T) {
	m := newMaker(t)
	middle := m.ca("middle", m.root)
	leaf, stray := m.leaf(middle, nil), m.ca("stray", nil)
	for name, text := range map[string][]byte{
		"in order":     m.text(leaf, middle.cert, m.root.cert, m.rsa),
		"key first":    m.text(m.rsa, leaf, middle.cert, m.root.cert),
		"backwards":    m.text(m.root.cert, middle.cert, leaf, m.rsa),
		"twice":        m.text(leaf, leaf, middle.cert, m.root.cert, middle.cert, m.rsa),
		"with a stray": m.text(stray.cert, leaf, middle.cert, m.root.cert, m.rsa),
	} {
		k, err := ParseKey(alice, text, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(k.Chain) != 3 || !k.Chain[0].Equal(leaf) || !k.Chain[1].Equal(middle.cert) || !k.Chain[2].Equal(m.root.cert) {
			t.Errorf("%s: chain of %d is not leaf, intermediate, root", name, len(k.Chain))
		}
		if k.Signer == nil || k.Decrypter == nil {
			t.Errorf("%s: an RSA key without signer or decrypter", name)
		}
		if w := k.Warnings(now); (len(w) == 1) != (name == "with a stray") {
			t.Errorf("%s: warnings %q", name, w)
		}
	}
}

func TestParseKeyFormats(t *testing.T) {
	m := newMaker(t)
	ec := m.ec(elliptic.P384())
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	sec1, _ := x509.MarshalECPrivateKey(ec)
	for name, text := range map[string][]byte{
		"PKCS#1": append(m.text(m.leaf(m.root, nil)),
			pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(m.rsa)})...),
		"SEC 1": append(m.text(m.leafOf(ec.Public(), m.root, nil)),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...),
		"PKCS#8 EC":      m.text(m.leafOf(ec.Public(), m.root, nil), ec),
		"PKCS#8 Ed25519": m.text(m.leafOf(ed.Public(), m.root, nil), ed),
		"CRLF and text":  append([]byte("Bag Attributes\r\n"), bytes.ReplaceAll(m.text(m.leaf(m.root, nil), m.rsa), []byte("\n"), []byte("\r\n"))...),
	} {
		k, err := ParseKey(alice, text, now)
		if err != nil || k.Signer == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each case is refused with an error that names the entry and has want in it.
func TestParseKeyRefuses(t *testing.T) {
	m := newMaker(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224 := m.ec(elliptic.P224())
	with := func(change func(*x509.Certificate)) []byte { return m.text(m.leaf(m.root, change), m.rsa) }
	good := with(nil)
	keyPEM := m.text(m.rsa)
	for want, text := range map[string][]byte{
		"no certificate":                          keyPEM,
		"no private key":                          m.text(m.leaf(m.root, nil)),
		"belongs to none":                         m.text(m.leaf(m.root, nil), m.ec(elliptic.P256())),
		"more than one private key":               append(slices.Clone(good), keyPEM...),
		"has a passphrase: store it":              append(m.text(m.leaf(m.root, nil)), pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})...),
		"expired 2026-02-28":                      with(func(c *x509.Certificate) { c.NotAfter = now.Add(-24 * time.Hour) }),
		"not valid before 2026-03-02":             with(func(c *x509.Certificate) { c.NotBefore = now.Add(24 * time.Hour) }),
		"may not sign":                            with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }),
		"lacks emailProtection":                   with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		`is for ["mallory@example.com"], not for`: with(func(c *x509.Certificate) { c.EmailAddresses = []string{"mallory@example.com"} }),
		`"CN=leaf" has no address`:                with(func(c *x509.Certificate) { c.EmailAddresses = nil }),
		"1024 bits is too short":                  m.text(m.leafOf(weak.Public(), m.root, nil), weak),
		"P-224 is too short":                      m.text(m.leafOf(p224.Public(), m.root, nil), p224),
		"read private key":                        append(m.text(m.leaf(m.root, nil)), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("no DER")})...),
		"read certificate 2":                      append(slices.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no DER")})...),
		"damaged PEM":                             good[:len(good)-40],
		`type "X509 CRL"`:                         append(slices.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")})...),
		"more than 64 PEM blocks":                 bytes.Repeat(m.text(m.root.cert), 65),
		"larger than":                             bytes.Repeat([]byte("x"), MaxSize+1),
	} {
		k, err := ParseKey(alice, text, now)
		if err == nil || k != nil {
			t.Errorf("%s: accepted", want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "smime/alice@example.com: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q; want one that names the entry and has %q", err, want)
		}
		if errors.Is(err, ErrNotFound) {
			t.Errorf("%s: a broken entry is said not to exist", want)
		}
	}
}

func TestParseKeyReportsAllAtOnce(t *testing.T) {
	m := newMaker(t)
	_, err := ParseKey(alice, m.text(m.leaf(m.root, func(c *x509.Certificate) {
		c.NotAfter, c.KeyUsage, c.EmailAddresses = now.Add(-time.Hour), x509.KeyUsageCRLSign, nil
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}), m.rsa), now)
	if err == nil || strings.Count(err.Error(), "smime/alice@example.com: ") != 4 {
		t.Errorf("error %v; want four, each with the entry's name", err)
	}
}

// utf8Name makes a subjectAltName with an SmtpUTF8Mailbox.
func utf8Name(address string) pkix.Extension {
	type other struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"utf8,explicit,tag:0"`
	}
	name, err := asn1.MarshalWithParams(other{oidUTF8Mailbox, address}, "tag:0")
	if err != nil {
		panic(err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{{FullBytes: name}})
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: oidSAN, Value: value}
}

func TestAddresses(t *testing.T) {
	m := newMaker(t)
	inSubject := func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidEmailAddress, Value: "dn@example.com"}}
	}
	for _, c := range []struct {
		name   string
		entry  string
		change func(*x509.Certificate)
		ok     bool
	}{
		{"other case", "alice@example.com", func(c *x509.Certificate) { c.EmailAddresses = []string{"Alice@EXAMPLE.com"} }, true},
		{"second name", "alice@example.com", func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com", "alice@example.com"} }, true},
		{"subject alone", "dn@example.com", func(c *x509.Certificate) { inSubject(c); c.EmailAddresses = nil }, true},
		{"subject beside another name", "dn@example.com", inSubject, false},
		{"UTF-8 mailbox", "用户@xn--r8jz45g.xn--zckzah", func(c *x509.Certificate) {
			c.EmailAddresses, c.ExtraExtensions = nil, []pkix.Extension{utf8Name("用户@例え.テスト")}
		}, true},
		{"other UTF-8 mailbox", "alice@example.com", func(c *x509.Certificate) {
			c.EmailAddresses, c.ExtraExtensions = nil, []pkix.Extension{utf8Name("用户@例え.テスト")}
		}, false},
		{"domain entry", "example.com", nil, true},
		{"domain entry, other domain", "example.org", nil, true},
	} {
		k, err := ParseKey(Entry{Scheme: SMIME, Name: c.entry, Own: true}, m.text(m.leaf(m.root, c.change), m.rsa), now)
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v, want acceptance %v", c.name, err, c.ok)
		}
		if err == nil && (len(k.Warnings(now)) == 1) != (c.entry == "example.org") {
			t.Errorf("%s: warnings %q", c.name, k.Warnings(now))
		}
	}
}

func TestValidAndWarnings(t *testing.T) {
	m := newMaker(t)
	middle := m.ca("middle", m.root)
	k, err := ParseKey(alice, m.text(m.leaf(middle, func(c *x509.Certificate) { c.NotAfter = now.Add(2 * year) }), middle.cert, m.rsa), now)
	if err != nil {
		t.Fatal(err)
	}
	if w := k.Warnings(now); len(w) != 0 {
		t.Errorf("warnings %q, want none", w)
	}
	if w := k.Warnings(now.Add(2*year - 10*24*time.Hour)); len(w) != 2 || !strings.Contains(w[0], "in 10 days: renew it") || !strings.Contains(w[1], "in the chain: ") {
		t.Errorf("warnings %q, want the end in 10 days and the expired intermediate", w)
	}
	c, err := k.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []interface{ Valid(time.Time) error }{k, c} {
		if err := v.Valid(now); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		if err := v.Valid(now.Add(2*year + time.Second)); err == nil || !strings.Contains(err.Error(), "smime/alice@example.com: certificate expired 2028-02-29") {
			t.Errorf("%T after its end: %v", v, err)
		}
		if err := v.Valid(now.Add(-year - time.Second)); err == nil {
			t.Errorf("%T is valid before its start", v)
		}
	}
}

// Whatever prints a Key must not print the private one.
func TestKeyDoesNotPrintItself(t *testing.T) {
	m := newMaker(t)
	k, err := ParseKey(alice, m.text(m.leaf(m.root, nil), m.rsa), now)
	if err != nil {
		t.Fatal(err)
	}
	k.OpenPGP = []byte("secret")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		for _, v := range []any{k, *k} {
			if got := fmt.Sprintf(verb, v); got != "smime/alice@example.com" {
				t.Errorf("%s of %T: %.100q", verb, v, got)
			}
		}
	}
	if got, err := json.Marshal(k); err != nil || string(got) != `"smime/alice@example.com"` {
		t.Errorf("JSON: %.100q, %v", got, err)
	}
}

func TestParseCertificate(t *testing.T) {
	m := newMaker(t)
	middle := m.ca("middle", m.root)
	old := m.leaf(middle, nil)
	newer := m.leaf(middle, func(c *x509.Certificate) { c.NotBefore = now.Add(-time.Hour) })
	signing := m.leaf(middle, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	expired := m.leaf(middle, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })
	self := m.sign(&x509.Certificate{
		EmailAddresses: []string{"alice@example.com"}, IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "self"},
	}, m.rsa.Public(), nil, m.rsa)

	c, err := ParseCertificate(bob, m.text(m.root.cert, middle.cert, expired, signing, old, newer), now)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.X509) != 2 || !c.X509[0].Equal(newer) || !c.X509[1].Equal(old) {
		t.Errorf("got %d certificates; want the newer one, then the older", len(c.X509))
	}
	if c, err := ParseCertificate(bob, m.text(self), now); err != nil || len(c.X509) != 1 {
		t.Errorf("self-signed: %v", err)
	}
	for want, text := range map[string][]byte{
		"lacks keyEncipherment":      m.text(signing, m.root.cert, middle.cert),
		"expired":                    m.text(signing, expired),
		"no certificate":             []byte("nothing"),
		"private key among":          m.text(old, m.rsa),
		"has no address":             m.text(m.ca("not hers", nil).cert),
		"its key is for signatures":  m.text(m.leafOf(ed25519.NewKeyFromSeed(make([]byte, 32)).Public(), m.root, nil)),
		"its key usage lacks keyAgr": m.text(m.leafOf(m.ec(elliptic.P256()).Public(), m.root, nil)),
	} {
		_, err := ParseCertificate(bob, text, now)
		if err == nil || !strings.HasPrefix(err.Error(), "recipients/alice@example.com (smime): ") || !strings.Contains(err.Error(), want) || errors.Is(err, ErrNotFound) {
			t.Errorf("error %v; want one that names the entry and has %q", err, want)
		}
	}
}

func TestSigningKeyHasNoCertificateToEncryptTo(t *testing.T) {
	m := newMaker(t)
	k, err := ParseKey(alice, m.text(m.leaf(m.root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), m.rsa), now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Certificate(); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v, want one that wraps ErrNotFound", err)
	}
}

// What openssl writes in its several ways must be read.
func TestOpenSSLFiles(t *testing.T) {
	for name, args := range map[string][]string{
		"RSA": {"-newkey", "rsa:2048"},
		"EC":  {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"},
	} {
		dir := t.TempDir()
		openssl(t, append([]string{"req", "-x509", "-noenc", "-subj", "/CN=Alice", "-days", "30",
			"-addext", "subjectAltName=email:alice@example.com", "-keyout", dir + "/k", "-out", dir + "/c"}, args...)...)
		openssl(t, "pkcs12", "-export", "-inkey", dir+"/k", "-in", dir+"/c", "-out", dir+"/p12", "-passout", "pass:x")
		p12 := openssl(t, "pkcs12", "-in", dir+"/p12", "-passin", "pass:x", "-noenc")
		traditional := append(openssl(t, "pkey", "-in", dir+"/k", "-traditional"), openssl(t, "x509", "-in", dir+"/c")...)
		for kind, text := range map[string][]byte{"PKCS#12": p12, "traditional": traditional} {
			if _, err := ParseKey(alice, text, time.Now()); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
		locked := openssl(t, "pkey", "-in", dir+"/k", "-traditional", "-aes256", "-passout", "pass:secret")
		if _, err := ParseKey(alice, append(locked, openssl(t, "x509", "-in", dir+"/c")...), time.Now()); err == nil || !strings.Contains(err.Error(), "passphrase") {
			t.Errorf("%s, with a passphrase: %v", name, err)
		}
	}
}

func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	var problem bytes.Buffer
	cmd := exec.Command("openssl", args...)
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v (is the package openssl installed?)\n%s", strings.Join(args, " "), err, problem.String())
	}
	return out
}

// Hostile text must end in an error or in a key that holds what it promises.
func FuzzParse(f *testing.F) {
	m := newMaker(f)
	f.Add(m.text(m.leaf(m.root, nil), m.root.cert, m.rsa))
	f.Add(m.text(m.leaf(m.root, func(c *x509.Certificate) {
		c.EmailAddresses, c.ExtraExtensions = nil, []pkix.Extension{utf8Name("a@b")}
	})))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := ParseKey(alice, text, now); err == nil && (k.Signer == nil || len(k.Chain) == 0 || k.Valid(now) != nil) {
			t.Fatal("a key that can't be used was accepted")
		}
		if c, err := ParseCertificate(bob, text, now); err == nil && (len(c.X509) == 0 || c.Valid(now) != nil) {
			t.Fatal("a certificate that can't be used was accepted")
		}
	})
}
