package trust

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxCertificate is the largest certificate, in bytes. With a hash-based
// signature (SLH-DSA) one has about 50 kB.
const maxCertificate = 100 << 10

// certificate is what path validation needs of a certificate. crypto/x509
// keeps too little of it, and refuses some that RFC 5280 allows.
type certificate struct {
	x *x509.Certificate

	raw, tbs              []byte
	version               int
	serial                []byte // the octets of the INTEGER
	issuer, subject       name
	rawIssuer, rawSubject []byte
	notBefore, notAfter   time.Time
	spki                  []byte // SubjectPublicKeyInfo
	algorithm             []byte // of the signature, AlgorithmIdentifier
	signature             []byte
	key                   crypto.PublicKey // nil if there is none that is known
	extensions
	// malformed says which extension can't be read; such a certificate is no
	// good for anything.
	malformed error
}

// selfIssued says whether issuer and subject are the same (RFC 5280, Section 6.1).
func (c *certificate) selfIssued() bool { return c.issuer.equal(c.subject) }

// same says whether both are the same certificate.
func (c *certificate) same(other *certificate) bool { return bytes.Equal(c.raw, other.raw) }

// String names the certificate in a reason: by its subject, else its serial
// number.
func (c *certificate) String() string {
	if c.x != nil {
		if s := printable(c.x.Subject.String()); s != "" {
			return s
		}
	}
	return "serial " + hex.EncodeToString(c.serial[:min(len(c.serial), 20)])
}

// printable makes a name from a certificate fit for a reason: short, on one line.
func printable(s string) string {
	const longest = 100
	out := make([]rune, 0, longest)
	for _, r := range s {
		if len(out) == longest {
			return string(out) + "..."
		}
		if r < ' ' || r == 0x7f {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

// readCertificate reads a certificate that crypto/x509 may have read before.
func readCertificate(x *x509.Certificate) (*certificate, error) {
	if x == nil {
		return nil, errors.New("no certificate")
	}
	return parse(&certificate{x: x, raw: x.Raw})
}

// parseCertificate reads a DER certificate (RFC 5280, Section 4.1). An
// extension that can't be read is told by malformed; the rest is there.
func parseCertificate(der []byte) (*certificate, error) { return parse(&certificate{raw: der}) }

// parse reads what is in raw.
func parse(c *certificate) (*certificate, error) {
	if len(c.raw) > maxCertificate {
		return nil, fmt.Errorf("certificate has %d bytes, more than %d", len(c.raw), maxCertificate)
	}
	signed, err := parseSigned(c.raw, "certificate")
	if err != nil {
		return nil, err
	}
	c.tbs, c.algorithm, c.signature = signed.tbs, signed.algorithm, signed.signature
	return c, c.readTBS(signed.content)
}

// signed is what certificates and CRLs have in common.
type signed struct {
	tbs, algorithm, signature []byte
	content                   cryptobyte.String // what is in tbs
}

// parseSigned takes the three parts of a signed structure apart.
func parseSigned(der []byte, what string) (s signed, err error) {
	malformed := fmt.Errorf("malformed %s", what)
	input := cryptobyte.String(der)
	var outer, tbs, algorithm cryptobyte.String
	var signature asn1.BitString
	if !input.ReadASN1(&outer, casn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1Element(&tbs, casn1.SEQUENCE) ||
		!outer.ReadASN1Element(&algorithm, casn1.SEQUENCE) ||
		!outer.ReadASN1BitString(&signature) || !outer.Empty() {
		return s, malformed
	}
	s.tbs, s.algorithm, s.signature = tbs, algorithm, signature.RightAlign()
	if !tbs.ReadASN1(&s.content, casn1.SEQUENCE) {
		return s, malformed
	}
	return s, nil
}

// readTBS reads the content of a TBSCertificate.
func (c *certificate) readTBS(tbs cryptobyte.String) error {
	malformed := func(what string) error { return fmt.Errorf("malformed certificate: %s", what) }
	if !tbs.ReadOptionalASN1Integer(&c.version, casn1.Tag(0).ContextSpecific().Constructed(), 0) || c.version < 0 || c.version > 2 {
		return malformed("version")
	}
	c.version++
	var serial, algorithm, issuer, validity, subject, spki cryptobyte.String
	if !tbs.ReadASN1(&serial, casn1.INTEGER) || len(serial) == 0 {
		return malformed("serial number")
	}
	c.serial = serial
	if !tbs.ReadASN1Element(&algorithm, casn1.SEQUENCE) || !bytes.Equal(algorithm, c.algorithm) {
		return malformed("its two signature algorithms differ")
	}
	if !tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) || !tbs.ReadASN1(&validity, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&subject, casn1.SEQUENCE) || !tbs.ReadASN1Element(&spki, casn1.SEQUENCE) {
		return malformed("a field is missing")
	}
	c.rawIssuer, c.rawSubject, c.spki = issuer, subject, spki
	var err error
	if c.issuer, err = parseName(issuer); err != nil {
		return err
	}
	if c.subject, err = parseName(subject); err != nil {
		return err
	}
	if !readTime(&validity, &c.notBefore) || !readTime(&validity, &c.notAfter) || !validity.Empty() {
		return malformed("validity")
	}
	uniqueID := func(n uint8) bool {
		return tbs.SkipOptionalASN1(casn1.Tag(n).ContextSpecific())
	}
	var list cryptobyte.String
	var present bool
	if !uniqueID(1) || !uniqueID(2) ||
		!tbs.ReadOptionalASN1(&list, &present, casn1.Tag(3).ContextSpecific().Constructed()) || !tbs.Empty() {
		return malformed("trailing fields")
	}
	if c.x != nil && c.x.PublicKey != nil {
		c.key = c.x.PublicKey
	} else if key, err := x509.ParsePKIXPublicKey(spki); err == nil {
		c.key = key
	}
	c.extensions.init()
	switch {
	case present && c.version != 3:
		// RFC 5280, Section 4.1.2.9. Others ignore them, and so what they forbid.
		c.malformed = fmt.Errorf("extensions in a certificate of version %d", c.version)
	case present:
		c.malformed = c.readExtensions(list)
	}
	return nil
}

// readTime reads a Time, either of its two kinds (RFC 5280, Section 4.1.2.5).
func readTime(input *cryptobyte.String, t *time.Time) bool {
	if input.PeekASN1Tag(casn1.UTCTime) {
		return input.ReadASN1UTCTime(t)
	}
	return input.ReadASN1GeneralizedTime(t)
}

// extension is an extension of a certificate, a CRL or an entry of one.
type extension struct {
	oid      string
	critical bool
	value    cryptobyte.String
}

// maxExtensions is how many extensions a certificate or CRL may have. Real ones
// have about ten.
const maxExtensions = 100

// eachExtension reads an Extensions, whole, and calls read for each. One that
// comes twice is an error (RFC 5280, Section 4.2).
func eachExtension(list cryptobyte.String, read func(extension) error) error {
	malformed := errors.New("malformed extensions")
	var sequence cryptobyte.String
	if !list.ReadASN1(&sequence, casn1.SEQUENCE) || !list.Empty() {
		return malformed
	}
	seen := map[string]bool{}
	for !sequence.Empty() {
		var one, oid cryptobyte.String
		var e extension
		if !sequence.ReadASN1(&one, casn1.SEQUENCE) || !one.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) ||
			!readFlag(&one, casn1.BOOLEAN, &e.critical) ||
			!one.ReadASN1(&e.value, casn1.OCTET_STRING) || !one.Empty() {
			return malformed
		}
		e.oid = oidText(oid)
		if seen[e.oid] || len(seen) == maxExtensions {
			return fmt.Errorf("extension %s comes twice, or there are too many", e.oid)
		}
		seen[e.oid] = true
		if err := read(e); err != nil {
			return fmt.Errorf("extension %s: %w", e.oid, err)
		}
	}
	return nil
}
