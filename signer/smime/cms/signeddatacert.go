package cms

import (
	"bytes"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate is what a signature needs of an X.509 certificate (RFC 5280,
// Section 4.1). It is there even if the certificate breaks rules that make
// crypto/x509 refuse it, so that a signature can be told from an altered one
// whatever its certificate is worth.
type Certificate struct {
	Raw []byte
	// Issuer and Subject are Names, Serial the content of an INTEGER.
	Issuer, Subject, Serial []byte
	// KeyID is the subject key identifier, or nil.
	KeyID []byte
	// Key is the SubjectPublicKeyInfo.
	Key []byte
}

// ReadCertificate reads a certificate in DER.
func ReadCertificate(der []byte) (*Certificate, error) {
	c := &Certificate{Raw: der}
	in := cryptobyte.String(der)
	var tbs, algorithm, signature, issuer, validity, subject, serial, key cryptobyte.String
	if !in.ReadASN1(&signature, casn1.SEQUENCE) || !in.Empty() ||
		!signature.ReadASN1(&tbs, casn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(casn1.Tag(0).ContextSpecific().Constructed()) ||
		!tbs.ReadASN1(&serial, casn1.INTEGER) || len(serial) == 0 ||
		!tbs.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) ||
		!tbs.ReadASN1(&validity, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&subject, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&key, casn1.SEQUENCE) {
		return nil, errors.New("malformed certificate")
	}
	c.Issuer, c.Subject, c.Serial, c.Key = issuer, subject, serial, key
	for _, n := range []uint8{1, 2} { // the unique identifiers, implicit BIT STRINGs
		if !tbs.SkipOptionalASN1(casn1.Tag(n).ContextSpecific()) {
			return nil, errors.New("malformed certificate")
		}
	}
	var extensions cryptobyte.String
	if !tbs.ReadASN1(&extensions, casn1.Tag(3).ContextSpecific().Constructed()) || !extensions.ReadASN1(&extensions, casn1.SEQUENCE) {
		return c, nil // it has none
	}
	for !extensions.Empty() {
		var extension, id, value cryptobyte.String
		if !extensions.ReadASN1(&extension, casn1.SEQUENCE) || !extension.ReadASN1(&id, casn1.OBJECT_IDENTIFIER) ||
			!extension.SkipOptionalASN1(casn1.BOOLEAN) || !extension.ReadASN1(&value, casn1.OCTET_STRING) {
			return nil, errors.New("malformed extension of a certificate")
		}
		var keyID cryptobyte.String
		if string(id) == "\x55\x1d\x0e" && value.ReadASN1(&keyID, casn1.OCTET_STRING) {
			c.KeyID = keyID
		}
	}
	return c, nil
}

// Identifies reports whether the SignerInfo names that certificate.
func (s *SignerInfo) Identifies(c *Certificate) bool {
	if s.KeyID != nil {
		return bytes.Equal(s.KeyID, c.KeyID)
	}
	return s.Serial != nil && bytes.Equal(s.Serial, c.Serial) && bytes.Equal(s.Issuer, c.Issuer)
}
