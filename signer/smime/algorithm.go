package smime

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"waxseal/signer/smime/cms"
)

// Limits of an RSA modulus, in bits: the lower one is RFC 8551, Section 4.1,
// the upper one keeps a single message from costing seconds.
const (
	minRSA = 2048
	maxRSA = 16384
)

// algorithm is how a key signs: the digest and what is done with it.
type algorithm struct {
	digest    crypto.Hash
	digestOID asn1.ObjectIdentifier
	micalg    string // RFC 8551, Section 3.5.3.2
	signature pkix.AlgorithmIdentifier
	name      string
	verify    func(signed, signature []byte) bool
	// opts is what the key is told of how to sign.
	opts crypto.SignerOpts
	// whole is true if the key signs the attributes themselves and not their
	// digest.
	whole bool
}

// digestAlgorithm is a digest with its identifiers.
type digestAlgorithm struct {
	oid, ecdsa asn1.ObjectIdentifier
	micalg     string
}

// digestOf knows the digests that S/MIME 4.0 allows and no weaker one. Their
// object identifiers are in RFC 5754, Section 2, those of ECDSA in Section 3.3.
func digestOf(h crypto.Hash) (digestAlgorithm, error) {
	sha2 := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, n} }
	ecdsaWith := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, n} }
	switch h {
	case crypto.SHA256:
		return digestAlgorithm{sha2(1), ecdsaWith(2), "sha-256"}, nil
	case crypto.SHA384:
		return digestAlgorithm{sha2(2), ecdsaWith(3), "sha-384"}, nil
	case crypto.SHA512:
		return digestAlgorithm{sha2(3), ecdsaWith(4), "sha-512"}, nil
	}
	return digestAlgorithm{}, fmt.Errorf("digest %v is not allowed; use SHA-256, SHA-384 or SHA-512", h)
}

// algorithmFor chooses the algorithm for a certificate's key. The digest may be
// 0, which means the one that suits the key. pss matters to RSA keys only.
func algorithmFor(cert *x509.Certificate, digest crypto.Hash, pss bool) (*algorithm, error) {
	own, kind, err := keyKind(cert)
	if err != nil {
		return nil, err
	}
	// Ed25519 is defined with SHA-512 alone (RFC 8419, Section 2.3).
	if digest == 0 || kind == "ed25519" {
		digest = own
	}
	d, err := digestOf(digest)
	if err != nil {
		return nil, err
	}
	a := &algorithm{digest: digest, digestOID: d.oid, micalg: d.micalg, opts: digest}
	a.name = kind + "-" + strings.ReplaceAll(d.micalg, "-", "")
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if pss {
			return a.withPSS(pub, kind)
		}
		// PKCS #1 v1.5 under the identifier of the key (RFC 3370, Section 3.2),
		// which every S/MIME program knows.
		a.signature = pkix.AlgorithmIdentifier{
			Algorithm:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1},
			Parameters: asn1.NullRawValue,
		}
		a.verify = func(signed, signature []byte) bool {
			return rsa.VerifyPKCS1v15(pub, digest, signed, signature) == nil
		}
	case *ecdsa.PublicKey:
		a.signature.Algorithm = d.ecdsa
		a.verify = func(signed, signature []byte) bool { return ecdsa.VerifyASN1(pub, signed, signature) }
	case ed25519.PublicKey:
		a.name, a.whole, a.opts = kind, true, crypto.Hash(0)
		a.signature.Algorithm = asn1.ObjectIdentifier{1, 3, 101, 112} // RFC 8410, Section 3
		a.verify = func(signed, signature []byte) bool { return ed25519.Verify(pub, signed, signature) }
	}
	return a, nil
}

// withPSS turns an RSA algorithm into RSASSA-PSS (RFC 4056), with a salt as long
// as the digest and all its parameters written out, the trailer field apart,
// which DER leaves out as it is the default (RFC 4055, Section 3.1).
func (a *algorithm) withPSS(pub *rsa.PublicKey, kind string) (*algorithm, error) {
	parameters, err := cms.PSSParameters(a.digestOID, a.digest.Size())
	if err != nil {
		return nil, err
	}
	opts := &rsa.PSSOptions{SaltLength: a.digest.Size(), Hash: a.digest}
	a.opts = opts
	a.name = kind + "-pss" + strings.TrimPrefix(a.name, kind)
	a.signature = pkix.AlgorithmIdentifier{
		Algorithm:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10},
		Parameters: asn1.RawValue{FullBytes: parameters},
	}
	a.verify = func(signed, signature []byte) bool {
		return rsa.VerifyPSS(pub, a.digest, signed, signature, opts) == nil
	}
	return a, nil
}

// keyKind names a certificate's key, "rsa2048" or "ecdsa-p256" for example, and
// the digest that suits it.
func keyKind(cert *x509.Certificate) (crypto.Hash, string, error) {
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return crypto.SHA256, fmt.Sprintf("rsa%d", pub.N.BitLen()), checkRSA(pub)
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256():
			return crypto.SHA256, "ecdsa-p256", nil
		case elliptic.P384():
			return crypto.SHA384, "ecdsa-p384", nil
		case elliptic.P521():
			return crypto.SHA512, "ecdsa-p521", nil
		}
		return 0, "", errors.New("the elliptic curve is not one of P-256, P-384 and P-521")
	case ed25519.PublicKey:
		return crypto.SHA512, "ed25519", nil
	}
	return 0, "", errors.New("the key is none of RSA, ECDSA and Ed25519")
}

func checkRSA(pub *rsa.PublicKey) error {
	if bits := pub.N.BitLen(); bits < minRSA || bits > maxRSA {
		return fmt.Errorf("the RSA key has %d bits; %d to %d are allowed", bits, minRSA, maxRSA)
	}
	return nil
}

// DefaultDigest is the digest that Sign takes for a certificate's key if the
// options name none; 0 if Sign would refuse the key.
func DefaultDigest(cert *x509.Certificate) crypto.Hash {
	digest, _, err := keyKind(cert)
	if err != nil {
		return 0
	}
	return digest
}

// SignatureAlgorithm names what Sign does with that certificate's key, for a
// report: "rsa2048-sha256", "rsa2048-pss-sha256", "ecdsa-p256-sha256", "ed25519".
// It is "unknown" if Sign would refuse.
func SignatureAlgorithm(cert *x509.Certificate, o SignOptions) string {
	a, err := algorithmFor(cert, o.Digest, o.PSS)
	if err != nil {
		return "unknown"
	}
	return a.name
}
