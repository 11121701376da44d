package smime

import (
	"bytes"
	"crypto"
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// method is a way to sign.
type method string

const (
	rsaPKCS1 method = "rsa"
	rsaPSS   method = "rsa-pss"
	ecdsaDSS method = "ecdsa"
	eddsa    method = "ed25519"
	dsaDSS   method = "dsa"
)

// scheme is a signature algorithm as a SignerInfo names it.
type scheme struct {
	method method
	hash   crypto.Hash // 0 if it does not say
	// Of RSASSA-PSS: the digest of MGF1, 0 if it is none that we know, the
	// salt's length, and whether the parameters are of the right form.
	mask      crypto.Hash
	salt      int
	malformed bool
}

// schemeOf knows the signature algorithms that are checked (RFC 3370, Section 3;
// RFC 4056; RFC 5754, Section 3; RFC 8419), also those that are too weak to count.
func schemeOf(a cms.Algorithm) (scheme, bool) {
	switch a.ID.String() {
	case "1.2.840.113549.1.1.1":
		return scheme{method: rsaPKCS1}, true
	case "1.2.840.113549.1.1.4":
		return scheme{method: rsaPKCS1, hash: crypto.MD5}, true
	case "1.2.840.113549.1.1.5":
		return scheme{method: rsaPKCS1, hash: crypto.SHA1}, true
	case "1.2.840.113549.1.1.14":
		return scheme{method: rsaPKCS1, hash: crypto.SHA224}, true
	case "1.2.840.113549.1.1.11":
		return scheme{method: rsaPKCS1, hash: crypto.SHA256}, true
	case "1.2.840.113549.1.1.12":
		return scheme{method: rsaPKCS1, hash: crypto.SHA384}, true
	case "1.2.840.113549.1.1.13":
		return scheme{method: rsaPKCS1, hash: crypto.SHA512}, true
	case oidPSS:
		return pssScheme(a.Parameters), true
	case "1.2.840.10045.2.1": // the key's; some programs write it
		return scheme{method: ecdsaDSS}, true
	case "1.2.840.10045.4.1":
		return scheme{method: ecdsaDSS, hash: crypto.SHA1}, true
	case "1.2.840.10045.4.3.1":
		return scheme{method: ecdsaDSS, hash: crypto.SHA224}, true
	case "1.2.840.10045.4.3.2":
		return scheme{method: ecdsaDSS, hash: crypto.SHA256}, true
	case "1.2.840.10045.4.3.3":
		return scheme{method: ecdsaDSS, hash: crypto.SHA384}, true
	case "1.2.840.10045.4.3.4":
		return scheme{method: ecdsaDSS, hash: crypto.SHA512}, true
	case "1.3.101.112":
		return scheme{method: eddsa}, true
	case "1.2.840.10040.4.1":
		return scheme{method: dsaDSS}, true
	case "1.2.840.10040.4.3":
		return scheme{method: dsaDSS, hash: crypto.SHA1}, true
	case "2.16.840.1.101.3.4.3.1":
		return scheme{method: dsaDSS, hash: crypto.SHA224}, true
	case "2.16.840.1.101.3.4.3.2":
		return scheme{method: dsaDSS, hash: crypto.SHA256}, true
	}
	return scheme{}, false
}

const (
	oidPSS  = "1.2.840.113549.1.1.10"
	oidMGF1 = "1.2.840.113549.1.1.8"
)

// pssScheme reads RSASSA-PSS-params (RFC 4055, Section 3.1) with their defaults.
func pssScheme(der []byte) scheme {
	s := scheme{method: rsaPSS, hash: crypto.SHA1, mask: crypto.SHA1, salt: 20}
	if der == nil {
		return s
	}
	in := cryptobyte.String(der)
	bad := scheme{method: rsaPSS, malformed: true}
	if !in.ReadASN1(&in, casn1.SEQUENCE) {
		return bad
	}
	var fields [4]cryptobyte.String
	var there [4]bool
	for i := range fields {
		if !in.ReadOptionalASN1(&fields[i], &there[i], casn1.Tag(i).ContextSpecific().Constructed()) {
			return bad
		}
	}
	if !in.Empty() {
		return bad
	}
	if there[0] {
		a, ok := cms.ReadAlgorithm(fields[0])
		if !ok {
			return bad
		}
		s.hash = hashOf(a.ID)
	}
	if there[1] {
		a, ok := cms.ReadAlgorithm(fields[1])
		if !ok {
			return bad
		}
		inner, ok := cms.ReadAlgorithm(a.Parameters)
		s.mask = hashOf(inner.ID)
		if !ok || a.ID.String() != oidMGF1 {
			s.mask = 0
		}
	}
	if there[2] && (!fields[2].ReadASN1Integer(&s.salt) || s.salt < 0 || s.salt > 4096) {
		return bad
	}
	trailer := 1
	if there[3] && !fields[3].ReadASN1Integer(&trailer) || trailer != 1 {
		return bad
	}
	return s
}

// publicKey is the key of a certificate.
type publicKey struct {
	key any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or *dsa.PublicKey
	// restricted is what an RSA key for RSASSA-PSS alone may be used with, and
	// its hash is 0 if that is anything (RFC 4055, Section 1.2).
	onlyPSS    bool
	restricted scheme
}

// readKey reads a SubjectPublicKeyInfo.
func readKey(der []byte) (*publicKey, error) {
	in := cryptobyte.String(der)
	var algorithm cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&in, casn1.SEQUENCE) || !in.ReadASN1Element(&algorithm, casn1.SEQUENCE) || !in.ReadASN1BitStringAsBytes(&bits) {
		return nil, errors.New("the certificate's key is malformed")
	}
	a, ok := cms.ReadAlgorithm(algorithm)
	if !ok {
		return nil, errors.New("the certificate's key is malformed")
	}
	// Two kinds of RSA keys that crypto/x509 does not know: those for RSASSA-PSS
	// alone, and those under the name of X.509 itself.
	if id := a.ID.String(); id == oidPSS || id == "2.5.8.1.1" {
		key, err := x509.ParsePKCS1PublicKey(bits)
		if err != nil {
			return nil, errors.New("the certificate's RSA key is malformed")
		}
		k := &publicKey{key: key, onlyPSS: id == oidPSS}
		if k.onlyPSS && a.Parameters != nil {
			k.restricted = pssScheme(a.Parameters)
		}
		return k, nil
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key, of algorithm %s, can't be used: %w", a.ID, err)
	}
	switch key := key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
	case *dsa.PublicKey:
		if key.P.BitLen() > 3072 || key.Q.BitLen() > 256 || key.Q.Sign() <= 0 || key.G.Sign() <= 0 {
			return nil, errors.New("the certificate's DSA key has sizes that no such key has")
		}
	default:
		return nil, fmt.Errorf("the certificate's key, of algorithm %s, can't sign", a.ID)
	}
	return &publicKey{key: key}, nil
}

// kind names the key, "rsa2048" or "ecdsa-p256".
func (k *publicKey) kind() string {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ecdsa-" + strings.ToLower(strings.ReplaceAll(key.Curve.Params().Name, "-", ""))
	case *dsa.PublicKey:
		return fmt.Sprintf("dsa%d", key.P.BitLen())
	}
	return "ed25519"
}

// algorithm names the signature as SignatureAlgorithm does.
func (k *publicKey) algorithm(s scheme, hash crypto.Hash) string {
	name := k.kind()
	if s.method == eddsa {
		return name
	}
	if s.method == rsaPSS {
		name += "-pss"
	}
	if hash != 0 {
		name += "-" + strings.ToLower(strings.ReplaceAll(hash.String(), "-", ""))
	}
	return name
}

// fits says whether a signature of that scheme and digest can be one of the key.
func (k *publicKey) fits(s scheme, hash crypto.Hash, attributes bool) signer.Finding {
	say := func(verdict signer.Verdict, reason string) signer.Finding {
		return signer.Finding{Verdict: verdict, Reason: reason}
	}
	var ok bool
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		ok = s.method == rsaPSS || s.method == rsaPKCS1 && !k.onlyPSS
		bits := key.N.BitLen()
		if bits > longestRSA || bits < weakestRSA && s.method == rsaPSS {
			return say(signer.Neutral, fmt.Sprintf("signatures of an RSA key of %d bits are not checked", bits))
		}
	case *ecdsa.PublicKey:
		ok = s.method == ecdsaDSS
	case *dsa.PublicKey:
		ok = s.method == dsaDSS
	case ed25519.PublicKey:
		ok = s.method == eddsa
	}
	switch {
	case s.malformed:
		return say(signer.PermError, "the parameters of RSASSA-PSS are malformed")
	case !ok:
		return say(signer.PermError, "the signature algorithm is not one of the certificate's key")
	case s.method == rsaPSS && (s.mask == 0 || s.mask != s.hash):
		return say(signer.Policy, "RSASSA-PSS with a mask function of another digest is not checked")
	case s.method == rsaPSS && k.restricted.hash != 0 && (k.restricted.hash != s.hash || s.salt < k.restricted.salt):
		return say(signer.PermError, "the certificate's key is for RSASSA-PSS with other parameters")
	case s.method == rsaPSS && s.hash != hash, s.hash != 0 && s.hash != hash:
		return say(signer.PermError, "the signature algorithm and the digest algorithm do not belong together")
	case s.method == eddsa && !attributes:
		return say(signer.Neutral, "Ed25519 without signed attributes is not supported")
	}
	return say(signer.Pass, "")
}

// verify does the arithmetic for a scheme that fits. digest is that of what is
// signed; Ed25519 wants the whole.
func (k *publicKey) verify(s scheme, hash crypto.Hash, digest, whole, signature []byte) bool {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		if s.method == rsaPSS {
			return rsa.VerifyPSS(key, hash, digest, signature, &rsa.PSSOptions{SaltLength: s.salt, Hash: hash}) == nil
		}
		if key.N.BitLen() < weakestRSA {
			return verifyShortRSA(key, hash, digest, signature)
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, whole, signature)
	case *dsa.PublicKey:
		var r, t big.Int
		in := cryptobyte.String(signature)
		if !in.ReadASN1(&in, casn1.SEQUENCE) || !in.ReadASN1Integer(&r) || !in.ReadASN1Integer(&t) || !in.Empty() {
			return false
		}
		return dsa.Verify(key, digest[:min(len(digest), (key.Q.BitLen()+7)/8)], &r, &t)
	}
	return false
}

// weakestRSA is the shortest key that crypto/rsa takes, in bits, and longestRSA
// the longest one that is worth the time.
const (
	weakestRSA = 1024
	longestRSA = 8192
)

// verifyShortRSA is RSASSA-PKCS1-v1_5 (RFC 8017, Section 8.2.2) for keys that
// crypto/rsa refuses. They never count, but old mail has them, and only a right
// signature is one that a rule stands against.
func verifyShortRSA(key *rsa.PublicKey, hash crypto.Hash, digest, signature []byte) bool {
	size := (key.N.BitLen() + 7) / 8
	s := new(big.Int).SetBytes(signature)
	if len(signature) != size || s.Cmp(key.N) >= 0 || key.N.Bit(0) == 0 {
		return false
	}
	id := map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.MD5:    {1, 2, 840, 113549, 2, 5},
		crypto.SHA1:   {1, 3, 14, 3, 2, 26},
		crypto.SHA224: {2, 16, 840, 1, 101, 3, 4, 2, 4},
	}[hash]
	if d, err := digestOf(hash); err == nil {
		id = d.oid
	}
	info, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.NullRawValue}, digest})
	padding := size - len(info) - 3
	if err != nil || padding < 8 {
		return false
	}
	want := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, padding), []byte{0}, info)
	got := s.Exp(s, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, size))
	return bytes.Equal(got, want)
}

// rule says which rule of ours stands against the key or the scheme, or "".
func (k *publicKey) rule(s scheme, hash crypto.Hash, minRSABits int) string {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return fmt.Sprintf("the RSA key has %d bits, fewer than %d", bits, minRSABits)
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return "the elliptic curve P-224 is too small"
		}
	case *dsa.PublicKey:
		return "DSA is not used for mail any more"
	case ed25519.PublicKey:
		if hash != crypto.SHA512 {
			return "Ed25519 goes with SHA-512 and not with " + hash.String() + " (RFC 8419)"
		}
	}
	return ""
}
