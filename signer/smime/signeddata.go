package smime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.mozilla.org/pkcs7"

	"waxseal/signer/smime/cms"
)

// signedData assembles SignedData without content (RFC 5652, Section 5.1): one
// SignerInfo over the content's digest, and the certificates.
//
// The pkcs7 package wants the private key itself when it signs attributes. Ours
// may be in Vault and is known as a crypto.Signer only. So it is asked for a
// SignerInfo without attributes, with a signer that signs nothing; then the
// attributes are put in, and the signature that the real key makes over them.
func signedData(a *algorithm, digest []byte, chain []*x509.Certificate, key crypto.Signer, o SignOptions) ([]byte, error) {
	p, err := pkcs7.NewSignedData(nil)
	if err != nil {
		return nil, err
	}
	p.SetDigestAlgorithm(a.digestOID)
	p.SetEncryptionAlgorithm(a.signature.Algorithm)
	if err := p.SignWithoutAttr(chain[0], unsigned{}, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	for _, cert := range chain[1:] {
		if !isRoot(cert) {
			p.AddCertificate(cert)
		}
	}
	if preferred := o.EncryptionCertificate; preferred != nil && !slices.ContainsFunc(chain, preferred.Equal) {
		p.AddCertificate(preferred)
	}
	attributes, err := signedAttributes(digest, chain[0], o)
	if err != nil {
		return nil, err
	}
	info := &p.GetSignedData().SignerInfos[0]
	info.DigestEncryptionAlgorithm = a.signature
	// Only the setter of the unauthenticated attributes is exported. It brings
	// them into DER's order.
	if err := info.SetUnauthenticatedAttributes(attributes); err != nil {
		return nil, err
	}
	info.AuthenticatedAttributes, info.UnauthenticatedAttributes = info.UnauthenticatedAttributes, nil

	// What is signed is the attributes with the tag SET OF, not with the [0]
	// that they have in SignerInfo (RFC 5652, Section 5.4).
	der, err := asn1.MarshalWithParams(info.AuthenticatedAttributes, "set")
	if err != nil {
		return nil, err
	}
	if info.EncryptedDigest, err = a.sign(der, key); err != nil {
		return nil, err
	}
	p.Detach()
	data, err := p.Finish()
	if err != nil || o.SignerID != SubjectKeyID {
		return data, err
	}
	// The pkcs7 package knows no other identifier than issuer and serial number.
	return cms.IdentifyBySubjectKey(data, chain[0].SubjectKeyId)
}

// signedAttributes are the attributes of RFC 8551, Section 2.5, and the one
// that names the certificate. The signing time is UTCTime until 2049 (RFC 5652,
// Section 11.3), which is what encoding/asn1 makes of it.
func signedAttributes(digest []byte, cert *x509.Certificate, o SignOptions) ([]pkcs7.Attribute, error) {
	capabilities, err := cms.SMIMECapabilities(o.Capabilities...)
	if err != nil {
		return nil, err
	}
	signingCertificate, err := cms.SigningCertificateV2(cert)
	if err != nil {
		return nil, err
	}
	attributes := []pkcs7.Attribute{
		{Type: pkcs7.OIDAttributeContentType, Value: pkcs7.OIDData},
		{Type: pkcs7.OIDAttributeMessageDigest, Value: digest},
		{Type: pkcs7.OIDAttributeSigningTime, Value: o.Time.UTC()},
	}
	more := []cms.Attribute{capabilities, signingCertificate}
	if o.EncryptionCertificate != nil {
		preference, err := cms.EncryptionKeyPreference(o.EncryptionCertificate)
		if err != nil {
			return nil, err
		}
		more = append(more, preference)
	}
	for _, a := range more {
		attributes = append(attributes, pkcs7.Attribute{Type: a.Type, Value: asn1.RawValue{FullBytes: a.Value}})
	}
	return attributes, nil
}

// sign has the key sign the attributes and checks what it returns: a key that
// is elsewhere may be another one than the certificate's, or answer nonsense. A
// key in memory has been compared with the certificate, and need not be checked,
// which would take longer than the signature itself with ECDSA.
func (a *algorithm) sign(attributes []byte, key crypto.Signer) ([]byte, error) {
	signed := attributes
	if !a.whole {
		h := a.digest.New()
		h.Write(attributes)
		signed = h.Sum(nil)
	}
	signature, err := key.Sign(rand.Reader, signed, a.opts)
	if err != nil {
		return nil, err
	}
	if !inMemory(key) && !a.verify(signed, signature) {
		return nil, errors.New("the key's signature does not fit the certificate")
	}
	return signature, nil
}

// inMemory reports whether the standard library signs, which checks RSA itself.
func inMemory(key crypto.Signer) bool {
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return true
	}
	return false
}

// checkKey tells early if the key is another one than the certificate's.
func checkKey(cert *x509.Certificate, key crypto.Signer) error {
	pub, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(key.Public()) {
		return fmt.Errorf("the key is not that of certificate %x of %q", cert.SerialNumber, cert.Subject)
	}
	return nil
}

// isRoot reports whether a certificate is signed by itself, as far as its names
// tell. A recipient who trusts it has it, and for all others it is of no use.
func isRoot(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		(len(cert.AuthorityKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId))
}

// unsigned is a crypto.Signer that signs nothing.
type unsigned struct{}

func (unsigned) Public() crypto.PublicKey { return nil }

func (unsigned) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, nil }
