package cms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// UnsupportedKeyError says that nothing can be encrypted to a certificate,
// because its key is of a kind that needs an algorithm we do not have.
type UnsupportedKeyError struct {
	// Key is the kind of key, "ECDSA" for example.
	Key string
	// Needs is the algorithm that such a key needs.
	Needs string
}

func (e *UnsupportedKeyError) Error() string {
	return fmt.Sprintf("the %s key needs %s, which is not supported; use a certificate with an RSA key", e.Key, e.Needs)
}

// CheckRecipientKey tells whether content can be encrypted to the
// certificate's key. The error is an *UnsupportedKeyError if it is of another
// kind.
func CheckRecipientKey(cert *x509.Certificate) error {
	switch cert.PublicKeyAlgorithm {
	case x509.RSA:
		if _, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			return nil
		}
	case x509.ECDSA:
		return &UnsupportedKeyError{"ECDSA", "ECDH key agreement (RFC 5753)"}
	case x509.Ed25519:
		return &UnsupportedKeyError{"Ed25519", "a key that can encrypt (it can only sign)"}
	case x509.DSA:
		return &UnsupportedKeyError{"DSA", "a key that can encrypt (it can only sign)"}
	}
	return &UnsupportedKeyError{"unknown", "an algorithm that is not known"}
}

// recipientInfo returns the RecipientInfo (RFC 5652, Section 6.2) that brings
// the content-encryption key to the certificate's owner.
func recipientInfo(cert *x509.Certificate, key []byte) ([]byte, error) {
	if err := CheckRecipientKey(cert); err != nil {
		return nil, err
	}
	return keyTransRSA(cert, cert.PublicKey.(*rsa.PublicKey), key)
}

// keyTransRSA returns a KeyTransRecipientInfo (RFC 5652, Section 6.2.1) with
// PKCS #1 v1.5 (RFC 3370, Section 4.2.1). The recipient is named by issuer and
// serial number, so the version is 0.
func keyTransRSA(cert *x509.Certificate, pub *rsa.PublicKey, key []byte) ([]byte, error) {
	encrypted, err := rsa.EncryptPKCS1v15(rand.Reader, pub, key)
	if err != nil {
		return nil, err
	}
	return build("recipient", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			addIssuerAndSerialNumber(b, cert)
			addAlgorithm(b, oidRSAEncryption, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			b.AddASN1OctetString(encrypted)
		})
	})
}

// addIssuerAndSerialNumber adds the name of a certificate (RFC 5652, Section
// 10.2.4), the issuer as it is encoded there.
func addIssuerAndSerialNumber(b *cryptobyte.Builder, cert *x509.Certificate) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(cert.RawIssuer)
		b.AddASN1BigInt(cert.SerialNumber)
	})
}
