package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ownScheme returns the scheme that we use with a curve: a digest as strong as
// the curve (RFC 5753, Section 8), HKDF for X25519 (RFC 8418).
func ownScheme(curve ecdh.Curve) scheme {
	switch curve {
	case ecdh.P384():
		return schemeOf(crypto.SHA384, false)
	case ecdh.P521():
		return schemeOf(crypto.SHA512, false)
	case ecdh.X25519():
		return schemeOf(crypto.SHA256, true)
	}
	return schemeOf(crypto.SHA256, false)
}

// keyAgreeRecipient returns a KeyAgreeRecipientInfo (RFC 5652, Section 6.2.2)
// with a key of its own on the originator's side (RFC 5753, Section 3.1.1; RFC
// 8418, Section 3). The key-encryption key is as long as the content's.
func keyAgreeRecipient(cert *x509.Certificate, pub *ecdh.PublicKey, key []byte, o EncryptOptions) ([]byte, error) {
	ephemeral, err := pub.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret, err := ephemeral.ECDH(pub)
	if err != nil {
		return nil, err
	}
	oid := oidAES256Wrap
	if len(key) == 16 {
		oid = oidAES128Wrap
	}
	wrap, err := build("key wrap", func(b *cryptobyte.Builder) { addAlgorithm(b, oid, nil) })
	if err != nil {
		return nil, err
	}
	s := ownScheme(pub.Curve())
	kek, err := s.derive(secret, wrap, o.UserKeyingMaterial, len(key))
	if err != nil {
		return nil, err
	}
	wrapped, err := wrapKey(kek, key)
	if err != nil {
		return nil, err
	}
	return build("recipient", func(b *cryptobyte.Builder) {
		b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { // kari, implicit
			b.AddASN1Int64(3)
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { // originator
				b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { // originatorKey, implicit
					addOriginatorKey(b, ephemeral.PublicKey())
				})
			})
			if o.UserKeyingMaterial != nil {
				b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { b.AddASN1OctetString(o.UserKeyingMaterial) })
			}
			addAlgorithm(b, s.oid, func(b *cryptobyte.Builder) { b.AddBytes(wrap) })
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // recipientEncryptedKeys
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addAgreementID(b, cert, o.RecipientID)
					b.AddASN1OctetString(wrapped)
				})
			})
		})
	})
}

// addOriginatorKey adds the fields of OriginatorPublicKey. The curve is not
// stated, for it is the recipient's (RFC 5753, Section 3.1.1).
func addOriginatorKey(b *cryptobyte.Builder, pub *ecdh.PublicKey) {
	oid := oidECPublicKey
	if pub.Curve() == ecdh.X25519() {
		oid = oidX25519
	}
	addAlgorithm(b, oid, nil)
	b.AddASN1BitString(pub.Bytes())
}

// addAgreementID adds a KeyAgreeRecipientIdentifier.
func addAgreementID(b *cryptobyte.Builder, cert *x509.Certificate, id RecipientID) {
	if !id.byKeyID(cert) {
		addIssuerAndSerialNumber(b, cert)
		return
	}
	b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { // rKeyId, implicit
		b.AddASN1OctetString(cert.SubjectKeyId)
	})
}
