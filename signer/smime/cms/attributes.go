package cms

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Attribute is a signed attribute with its one value (RFC 5652, Section 5.3).
type Attribute struct {
	Type asn1.ObjectIdentifier
	// Value is the DER of the attribute's value.
	Value []byte
}

// SMIMECapabilities returns the attribute that tells a partner's program which
// content encryption it may use when it answers, the best first (RFC 8551,
// Section 2.5.2). None means those that are written, all of them, with
// AES-256-GCM first.
func SMIMECapabilities(ciphers ...Cipher) (Attribute, error) {
	if len(ciphers) == 0 {
		ciphers = []Cipher{AES256GCM, AES256CBC, AES128GCM, AES128CBC}
	}
	for _, c := range ciphers {
		if !c.known() {
			return Attribute{}, fmt.Errorf("announce capabilities: there is no %v", c)
		}
	}
	value, err := build("SMIMECapabilities", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, c := range ciphers {
				addAlgorithm(b, suites[c].oid, nil)
			}
		})
	})
	return Attribute{oidSMIMECapabilities, value}, err
}

// SigningCertificateV2 returns the attribute that binds a signature to one
// certificate, so that no other one with the same key can take its place (RFC
// 5035, Section 3). The certificate's hash is SHA-256, the default.
func SigningCertificateV2(cert *x509.Certificate) (Attribute, error) {
	hash := sha256.Sum256(cert.Raw)
	value, err := build("signing certificate attribute", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // SigningCertificateV2
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // certs
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // ESSCertIDv2
					b.AddASN1OctetString(hash[:])
					addIssuerSerial(b, cert)
				})
			})
		})
	})
	return Attribute{oidSigningCertificateV2, value}, err
}

// EncryptionKeyPreference returns the attribute that tells a partner's program
// which certificate to encrypt its answer to (RFC 8551, Section 2.5.3), by issuer
// and serial number.
func EncryptionKeyPreference(cert *x509.Certificate) (Attribute, error) {
	value, err := build("encryption key preference", func(b *cryptobyte.Builder) {
		b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { // issuerAndSerialNumber, implicit
			b.AddBytes(cert.RawIssuer)
			b.AddASN1BigInt(cert.SerialNumber)
		})
	})
	return Attribute{oidEncryptionKeyPreference, value}, err
}

// addIssuerSerial adds an IssuerSerial (RFC 5035, Section 5), which names the
// issuer as the only one of GeneralNames.
func addIssuerSerial(b *cryptobyte.Builder, cert *x509.Certificate) {
	const directoryName = casn1.Tag(0xa4) // [4], explicit because Name is a CHOICE
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(directoryName, func(b *cryptobyte.Builder) { b.AddBytes(cert.RawIssuer) })
		})
		b.AddASN1BigInt(cert.SerialNumber)
	})
}
