package cms

import (
	"crypto"
	"crypto/hkdf"
	"encoding/asn1"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// scheme is a key agreement algorithm: what is done with the shared secret.
type scheme struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
	hkdf bool // the KDF of RFC 8418, Section 2.2, else that of ANSI X9.63
	name string
}

// schemes are those of RFC 5753, Section 7.1.4, and RFC 8418, Section 2. The
// cofactor of the curves of NIST is 1, so that with cofactor is the same as
// without; we do not write it, nor SHA-1.
var schemes = []scheme{
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}, crypto.SHA256, false, "sha256"},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 2}, crypto.SHA384, false, "sha384"},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 11, 3}, crypto.SHA512, false, "sha512"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 19}, crypto.SHA256, true, "hkdf-sha256"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 20}, crypto.SHA384, true, "hkdf-sha384"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 21}, crypto.SHA512, true, "hkdf-sha512"},
	{asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 2}, crypto.SHA1, false, "sha1"},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 14, 1}, crypto.SHA256, false, "sha256"},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 14, 2}, crypto.SHA384, false, "sha384"},
	{asn1.ObjectIdentifier{1, 3, 132, 1, 14, 3}, crypto.SHA512, false, "sha512"},
	{asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 3}, crypto.SHA1, false, "sha1"},
}

func schemeOf(hash crypto.Hash, hkdf bool) scheme {
	return schemes[slices.IndexFunc(schemes, func(s scheme) bool { return s.hash == hash && s.hkdf == hkdf })]
}

// sharedInfo returns ECC-CMS-SharedInfo (RFC 5753, Section 7.2). wrap is the DER
// of the key wrap algorithm, ukm may be nil, size is that of the key-encryption
// key in octets.
func sharedInfo(wrap, ukm []byte, size int) ([]byte, error) {
	return build("shared info", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(wrap)
			if ukm != nil {
				b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
			}
			b.AddASN1(tagExplicit2, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(binary.BigEndian.AppendUint32(nil, uint32(size)*8))
			})
		})
	})
}

// derive returns the key-encryption key.
func (s scheme) derive(secret, wrap, ukm []byte, size int) ([]byte, error) {
	info, err := sharedInfo(wrap, ukm, size)
	if err != nil {
		return nil, err
	}
	if s.hkdf {
		// The keying material is the salt too (RFC 8418, Section 2.2).
		return hkdf.Key(s.hash.New, secret, ukm, string(info), size)
	}
	return x963KDF(s.hash, secret, info, size), nil
}

// x963KDF is the key derivation function of SEC 1, Section 3.6.1.
func x963KDF(hash crypto.Hash, secret, info []byte, size int) []byte {
	var out []byte
	for counter := uint32(1); len(out) < size; counter++ {
		h := hash.New()
		h.Write(secret)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(info)
		out = h.Sum(out)
	}
	return out[:size]
}
