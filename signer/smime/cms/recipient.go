package cms

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RecipientID is how a recipient's certificate is named. Its zero value is
// IssuerAndSerial, which every S/MIME program understands.
type RecipientID int

const (
	// IssuerAndSerial is issuer and serial number (RFC 5652, Section 10.2.4).
	IssuerAndSerial RecipientID = iota
	// SubjectKeyID is the subject key identifier. A certificate that has none is
	// named by issuer and serial number.
	SubjectKeyID
)

// String returns "issuer-serial" or "ski".
func (i RecipientID) String() string {
	switch i {
	case IssuerAndSerial:
		return "issuer-serial"
	case SubjectKeyID:
		return "ski"
	}
	return fmt.Sprintf("recipient identifier %d", int(i))
}

// byKeyID reports whether the certificate is named by its key identifier.
func (i RecipientID) byKeyID(cert *x509.Certificate) bool {
	return i == SubjectKeyID && len(cert.SubjectKeyId) > 0
}

// UnsupportedKeyError says that nothing can be encrypted to a certificate,
// because its key is of a kind that needs an algorithm we do not have.
type UnsupportedKeyError struct {
	// Key is the kind of key, "Ed25519" for example.
	Key string
	// Needs is the algorithm that such a key needs.
	Needs string
}

func (e *UnsupportedKeyError) Error() string {
	return fmt.Sprintf("the %s key needs %s, which is not supported; use a certificate with an RSA, P-256 or X25519 key", e.Key, e.Needs)
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
		if _, ok := agreementKey(cert); !ok {
			return &UnsupportedKeyError{"EC", "a curve that is not one of P-256, P-384 and P-521"}
		}
		return nil
	case x509.Ed25519:
		return &UnsupportedKeyError{"Ed25519", "a key that can encrypt (it can only sign)"}
	case x509.DSA:
		return &UnsupportedKeyError{"DSA", "a key that can encrypt (it can only sign)"}
	}
	if _, ok := agreementKey(cert); ok {
		return nil
	}
	return &UnsupportedKeyError{"unknown", "an algorithm that is not known"}
}

// AgreesOnKey reports whether content is encrypted to the certificate with key
// agreement, which needs the key usage keyAgreement: its key is one of an
// elliptic curve of NIST, or X25519.
func AgreesOnKey(cert *x509.Certificate) bool {
	_, ok := agreementKey(cert)
	return ok
}

// agreementKey returns the certificate's key if it can agree on a key.
func agreementKey(cert *x509.Certificate) (*ecdh.PublicKey, bool) {
	if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && pub.Curve != nil {
		key, err := pub.ECDH()
		return key, err == nil
	}
	if cert.PublicKey != nil || cert.PublicKeyAlgorithm != x509.UnknownPublicKeyAlgorithm {
		return nil, false
	}
	// crypto/x509 knows X25519, but leaves it out of certificates.
	pub, err := x509.ParsePKIXPublicKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, false
	}
	key, ok := pub.(*ecdh.PublicKey)
	return key, ok
}

// recipientInfo returns the RecipientInfo (RFC 5652, Section 6.2) that brings
// the content-encryption key to the certificate's owner, and whether its version
// is 0.
func recipientInfo(cert *x509.Certificate, key []byte, o EncryptOptions) (der []byte, version0 bool, err error) {
	if err := CheckRecipientKey(cert); err != nil {
		return nil, false, err
	}
	if pub, ok := agreementKey(cert); ok {
		der, err = keyAgreeRecipient(cert, pub, key, o)
		return der, false, err
	}
	der, err = keyTransRecipient(cert, cert.PublicKey.(*rsa.PublicKey), key, o)
	return der, !o.RecipientID.byKeyID(cert), err
}

// keyTransRecipient returns a KeyTransRecipientInfo (RFC 5652, Section 6.2.1),
// whose version says how the recipient is named.
func keyTransRecipient(cert *x509.Certificate, pub *rsa.PublicKey, key []byte, o EncryptOptions) ([]byte, error) {
	hash := transports[o.KeyTransport].hash
	var encrypted []byte
	var err error
	if o.KeyTransport == RSA15 {
		encrypted, err = rsa.EncryptPKCS1v15(rand.Reader, pub, key)
	} else {
		encrypted, err = rsa.EncryptOAEP(hash.New(), rand.Reader, pub, key, nil)
	}
	if err != nil {
		return nil, err
	}
	return build("recipient", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if o.RecipientID.byKeyID(cert) {
				b.AddASN1Int64(2)
				b.AddASN1(tagImplicit0, func(b *cryptobyte.Builder) { b.AddBytes(cert.SubjectKeyId) })
			} else {
				b.AddASN1Int64(0)
				addIssuerAndSerialNumber(b, cert)
			}
			if o.KeyTransport == RSA15 {
				addAlgorithm(b, oidRSAEncryption, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			} else {
				addOAEP(b, hash)
			}
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
