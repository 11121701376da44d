package trust

import (
	"bytes"
	"crypto"
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // for authorities that are allowed it
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRSABits is the longest RSA key. The time that a signature takes grows with
// its square.
const maxRSABits = 8192

// kind is what makes signatures of a kind.
type kind int

const (
	rsaPKCS1 kind = iota
	rsaPSS
	ecdsaKind
	ed25519Kind
	dsaKind
)

// algorithm is a signature algorithm.
type algorithm struct {
	kind kind
	hash crypto.Hash
	salt int // octets, of RSASSA-PSS
}

var errAlgorithm = errors.New("unknown signature algorithm")

// parseAlgorithm reads the AlgorithmIdentifier of a signature.
func parseAlgorithm(der []byte) (algorithm, error) {
	input := cryptobyte.String(der)
	var sequence, oid cryptobyte.String
	if !input.ReadASN1(&sequence, casn1.SEQUENCE) || !sequence.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) {
		return algorithm{}, errAlgorithm
	}
	switch text := oidText(oid); text {
	case "1.2.840.113549.1.1.10":
		return parsePSS(sequence)
	case "1.2.840.113549.1.1.5":
		return algorithm{kind: rsaPKCS1, hash: crypto.SHA1}, nil
	case "1.2.840.113549.1.1.11":
		return algorithm{kind: rsaPKCS1, hash: crypto.SHA256}, nil
	case "1.2.840.113549.1.1.12":
		return algorithm{kind: rsaPKCS1, hash: crypto.SHA384}, nil
	case "1.2.840.113549.1.1.13":
		return algorithm{kind: rsaPKCS1, hash: crypto.SHA512}, nil
	case "1.2.840.10045.4.1":
		return algorithm{kind: ecdsaKind, hash: crypto.SHA1}, nil
	case "1.2.840.10045.4.3.2":
		return algorithm{kind: ecdsaKind, hash: crypto.SHA256}, nil
	case "1.2.840.10045.4.3.3":
		return algorithm{kind: ecdsaKind, hash: crypto.SHA384}, nil
	case "1.2.840.10045.4.3.4":
		return algorithm{kind: ecdsaKind, hash: crypto.SHA512}, nil
	case "1.3.101.112":
		return algorithm{kind: ed25519Kind}, nil
	case "1.2.840.10040.4.3":
		return algorithm{kind: dsaKind, hash: crypto.SHA1}, nil
	case "2.16.840.1.101.3.4.3.2":
		return algorithm{kind: dsaKind, hash: crypto.SHA256}, nil
	default:
		return algorithm{}, fmt.Errorf("%w %s", errAlgorithm, text)
	}
}

// parsePSS reads the parameters of RSASSA-PSS (RFC 4055, Section 3.1). Only one
// hash for both of its uses is taken, and no shorter salt than the hash, as
// RFC 4056 and the CA/Browser Forum demand.
func parsePSS(params cryptobyte.String) (algorithm, error) {
	malformed := errors.New("malformed or unusual RSASSA-PSS parameters")
	tag := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }
	var content, hash, mask, maskOID, maskHash cryptobyte.String
	var salt int
	var hasHash, hasMask bool
	if !params.ReadASN1(&content, casn1.SEQUENCE) ||
		!content.ReadOptionalASN1(&hash, &hasHash, tag(0)) || !content.ReadOptionalASN1(&mask, &hasMask, tag(1)) ||
		!content.ReadOptionalASN1Integer(&salt, tag(2), 20) || !hasHash || !hasMask {
		return algorithm{}, malformed
	}
	trailer := 1
	if !content.ReadOptionalASN1Integer(&trailer, tag(3), 1) || trailer != 1 || !content.Empty() {
		return algorithm{}, malformed
	}
	if !mask.ReadASN1(&mask, casn1.SEQUENCE) || !mask.ReadASN1(&maskOID, casn1.OBJECT_IDENTIFIER) ||
		oidText(maskOID) != "1.2.840.113549.1.1.8" || !mask.ReadASN1Element(&maskHash, casn1.SEQUENCE) {
		return algorithm{}, malformed
	}
	h, ok := parseHash(hash)
	if h2, ok2 := parseHash(maskHash); !ok || !ok2 || h != h2 || salt < h.Size() || salt > 2*h.Size() {
		return algorithm{}, malformed
	}
	return algorithm{kind: rsaPSS, hash: h, salt: salt}, nil
}

// parseHash reads the AlgorithmIdentifier of a digest.
func parseHash(der cryptobyte.String) (crypto.Hash, bool) {
	var sequence, oid cryptobyte.String
	if !der.ReadASN1(&sequence, casn1.SEQUENCE) || !sequence.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) {
		return 0, false
	}
	switch oidText(oid) {
	case "2.16.840.1.101.3.4.2.1":
		return crypto.SHA256, true
	case "2.16.840.1.101.3.4.2.2":
		return crypto.SHA384, true
	case "2.16.840.1.101.3.4.2.3":
		return crypto.SHA512, true
	}
	return 0, false
}

// weakness says in words what the rules have against an algorithm; "" if
// nothing.
func (r *Rules) weakness(a algorithm) string {
	switch {
	case a.hash == crypto.SHA1 && !r.AllowSHA1:
		return "signed with SHA-1"
	case a.kind == dsaKind && !r.AllowDSA:
		return "signed with DSA"
	}
	return ""
}

// weakKey says in words what the rules have against a key; "" if nothing.
func (r *Rules) weakKey(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < r.minRSABits() {
			return fmt.Sprintf("has an RSA key of only %d bits", bits)
		} else if bits > maxRSABits {
			return fmt.Sprintf("has an RSA key of %d bits, more than %d", bits, maxRSABits)
		}
	case *dsa.PublicKey:
		if !r.AllowDSA {
			return "has a DSA key"
		}
	}
	return ""
}

// SignatureCost is about how long it takes to check a signature with a key, in times of one
// with 2048 bits of RSA. Else a message could bring keys that take very long.
func SignatureCost(key crypto.PublicKey) int {
	switch key := key.(type) {
	case *rsa.PublicKey:
		n := (key.N.BitLen() + 2047) / 2048
		n *= n
		if key.E > 1<<17 { // 65537 is what all have
			n *= 4
		}
		return max(n, 1)
	case *ecdsa.PublicKey:
		switch bits := key.Curve.Params().BitSize; {
		case bits > 384:
			return 12
		case bits > 256:
			return 6
		}
	case *dsa.PublicKey:
		return 10
	}
	return 1
}

var errSignature = errors.New("the signature is wrong")

// verify checks a signature with that key.
func (a algorithm) verify(key crypto.PublicKey, signedBytes, signature []byte) error {
	mismatch := errors.New("the signature's algorithm does not fit the key")
	digest := signedBytes
	if a.hash != 0 {
		h := a.hash.New()
		h.Write(signedBytes)
		digest = h.Sum(nil)
	}
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() > maxRSABits {
			return errors.New("the RSA key is too long")
		}
		switch a.kind {
		case rsaPKCS1:
			ok = rsa.VerifyPKCS1v15(key, a.hash, digest, signature) == nil
		case rsaPSS:
			ok = rsa.VerifyPSS(key, a.hash, digest, signature, &rsa.PSSOptions{SaltLength: a.salt}) == nil
		default:
			return mismatch
		}
	case *ecdsa.PublicKey:
		if a.kind != ecdsaKind {
			return mismatch
		}
		ok = ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		if a.kind != ed25519Kind {
			return mismatch
		}
		ok = ed25519.Verify(key, signedBytes, signature)
	case *dsa.PublicKey:
		if a.kind != dsaKind {
			return mismatch
		}
		ok = verifyDSA(key, digest, signature)
	default:
		return errors.New("the authority's key is of an unknown kind")
	}
	if !ok {
		return errSignature
	}
	return nil
}

// verifyDSA checks a DSA signature, whose sizes are bounded first.
func verifyDSA(key *dsa.PublicKey, digest, signature []byte) bool {
	const longestP, longestQ = 3072, 256 // FIPS 186-4
	if key.P.BitLen() > longestP || key.Q.BitLen() > longestQ || key.Q.Sign() <= 0 || key.Y.Cmp(key.P) >= 0 || key.G.Cmp(key.P) >= 0 {
		return false
	}
	r, s := new(big.Int), new(big.Int)
	input := cryptobyte.String(signature)
	var sequence cryptobyte.String
	if !input.ReadASN1(&sequence, casn1.SEQUENCE) || !input.Empty() ||
		!sequence.ReadASN1Integer(r) || !sequence.ReadASN1Integer(s) || !sequence.Empty() {
		return false
	}
	return dsa.Verify(key, digest[:min(len(digest), key.Q.BitLen()/8)], r, s)
}

// inheritKey gives a certificate whose DSA key has no parameters those of its
// issuer's key (RFC 3279, Section 2.3.2).
func inheritKey(spki []byte, issuer crypto.PublicKey) crypto.PublicKey {
	parent, ok := issuer.(*dsa.PublicKey)
	if !ok {
		return nil
	}
	input := cryptobyte.String(spki)
	var sequence, algorithm, oid, bits cryptobyte.String
	var key []byte
	if !input.ReadASN1(&sequence, casn1.SEQUENCE) || !sequence.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!algorithm.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) || oidText(oid) != "1.2.840.10040.4.1" ||
		!(algorithm.Empty() || bytes.Equal(algorithm, []byte{5, 0})) ||
		!sequence.ReadASN1BitStringAsBytes(&key) {
		return nil
	}
	bits = key
	y := new(big.Int)
	if !bits.ReadASN1Integer(y) || !bits.Empty() || y.Sign() <= 0 {
		return nil
	}
	return &dsa.PublicKey{Parameters: parent.Parameters, Y: y}
}
