package smime

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// The modes of SignOptions.
const (
	// Detached is multipart/signed, which every mail program can show (RFC
	// 8551, Section 3.5.3).
	Detached = "detached"
	// Opaque is application/pkcs7-mime with the message inside, which no relay
	// can damage and only S/MIME programs can show (RFC 8551, Section 3.5.2).
	Opaque = "opaque"
)

// The signer identifiers of SignOptions (RFC 5652, Section 5.3).
const (
	// IssuerAndSerial names the certificate by its issuer and serial number.
	IssuerAndSerial = "issuer-serial"
	// SubjectKeyID names it by its subject key identifier, so that a renewed
	// certificate with the same key fits too.
	SubjectKeyID = "subject-key-id"
)

// SignOptions say how to sign. The zero value is a good choice.
type SignOptions struct {
	// Mode is Detached or Opaque; empty means Detached.
	Mode string
	// Digest is SHA-256, SHA-384 or SHA-512. 0 means the one that suits the
	// key: SHA-384 for P-384, SHA-512 for P-521 and Ed25519, SHA-256 for all
	// others.
	Digest crypto.Hash
	// PSS has RSA keys sign with RSASSA-PSS (RFC 4056) instead of PKCS #1 v1.5.
	// Other keys sign as ever.
	PSS bool
	// SignerID is IssuerAndSerial or SubjectKeyID; empty means IssuerAndSerial,
	// which programs that know only S/MIME 2 read too.
	SignerID string
	// EncryptionCertificate is the one that answers should be encrypted to, if
	// that is not the signer's (RFC 8551, Section 2.5.3). It goes into the
	// message.
	EncryptionCertificate *x509.Certificate
	// Capabilities are the ciphers that answers may be encrypted with, the best
	// first; none means all that Encrypt knows.
	Capabilities []Cipher
	// Time is the signing time; zero means now.
	Time time.Time
	// Boundary is the boundary of multipart/signed, so that tests know it;
	// empty means a random one, which is what keeps it out of the message.
	Boundary string
}

// Sign signs an entity as S/MIME 4.0 wants it (RFC 8551) and returns the signed
// one. chain begins with the certificate of the key; those that lead from there
// to a trust anchor follow, and a root among them is left out of the message. e
// must be in a form that no relay alters.
//
// The fields returned are all Content-*: whoever makes them the header of a
// message sees to MIME-Version.
//
// The key has signed when Sign returns, and what a key has answered that is not
// in memory has been verified. e is read once for its digest, and again whenever
// the result is written; it is never held in memory. An error means that nothing
// was signed: the key's own error is wrapped in it. e, chain and key must not
// change while the result is in use; Sign itself is safe for concurrent use as
// far as they are.
func Sign(e *signer.Entity, chain []*x509.Certificate, key crypto.Signer, o SignOptions) (*signer.Entity, error) {
	signed, err := sign(e, chain, key, o)
	if err != nil {
		return nil, fmt.Errorf("sign with S/MIME: %w", err)
	}
	return signed, nil
}

func sign(e *signer.Entity, chain []*x509.Certificate, key crypto.Signer, o SignOptions) (*signer.Entity, error) {
	if len(chain) == 0 || key == nil {
		return nil, errors.New("no certificate or no key")
	}
	if o.Mode != "" && o.Mode != Detached && o.Mode != Opaque {
		return nil, fmt.Errorf("unknown mode %q; use %s or %s", o.Mode, Detached, Opaque)
	}
	if o.SignerID != "" && o.SignerID != IssuerAndSerial && o.SignerID != SubjectKeyID {
		return nil, fmt.Errorf("unknown signer identifier %q; use %s or %s", o.SignerID, IssuerAndSerial, SubjectKeyID)
	}
	a, err := algorithmFor(chain[0], o.Digest, o.PSS)
	if err != nil {
		return nil, err
	}
	if err := checkKey(chain[0], key); err != nil {
		return nil, err
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	content := unchanging{e, e.Size()}
	digest := a.digest.New()
	if _, err := content.WriteTo(digest); err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	data, err := signedData(a, digest.Sum(nil), chain, key, o)
	if err != nil {
		return nil, err
	}
	if o.Mode == Opaque {
		return opaque(content, data)
	}
	return detached(content, data, a.micalg, o.Boundary)
}

// opaque puts the content into the SignedData.
func opaque(content signer.Content, data []byte) (*signer.Entity, error) {
	head, tail, err := cms.Encapsulate(data, content.Size())
	if err != nil {
		return nil, err
	}
	header, err := pkcs7Header("application/pkcs7-mime", "signed-data", "smime.p7m")
	if err != nil {
		return nil, err
	}
	body := signer.Concat(signer.NewContent(head), content, signer.NewContent(tail))
	return &signer.Entity{Header: header, Body: base64Content{body}}, nil
}

// detached puts the content and the SignedData beside each other (RFC 1847,
// Section 2.1). The line ends before the boundaries belong to the boundaries and
// are not signed.
func detached(content signer.Content, data []byte, micalg, boundary string) (*signer.Entity, error) {
	if boundary == "" {
		// "=_" stands in neither base64 nor quoted-printable (RFC 2045, Section
		// 6.7); the 130 random bits see to all other encodings.
		boundary = "=_" + rand.Text()
	}
	header, err := fields("Content-Type", strings.Join([]string{
		"multipart/signed",
		`protocol="application/pkcs7-signature"`,
		"micalg=" + micalg,
		signer.Param("boundary", boundary),
	}, "; "))
	if err != nil {
		return nil, err
	}
	partHeader, err := pkcs7Header("application/pkcs7-signature", "", "smime.p7s")
	if err != nil {
		return nil, err
	}
	part := &signer.Entity{Header: partHeader, Body: base64Content{signer.NewContent(data)}}
	body := signer.Concat(
		signer.NewContent([]byte("--"+boundary+"\r\n")),
		content,
		signer.NewContent([]byte("\r\n--"+boundary+"\r\n")),
		part, // its last line end begins the last boundary
		signer.NewContent([]byte("--"+boundary+"--\r\n")),
	)
	return &signer.Entity{Header: header, Body: body}, nil
}
