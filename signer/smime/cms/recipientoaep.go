package cms

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // for crypto.SHA1, the default of RSAES-OAEP-params
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// KeyTransport is how a content-encryption key is encrypted with RSA. Its zero
// value is RSA15, which every S/MIME program in use can read.
type KeyTransport int

const (
	// RSA15 is RSAES-PKCS1-v1_5 (RFC 3370, Section 4.2.1).
	RSA15 KeyTransport = iota
	// OAEPSHA256 is RSAES-OAEP (RFC 3560) with SHA-256 as hash and in MGF1.
	OAEPSHA256
	// OAEPSHA1 is RSAES-OAEP with SHA-1, its default parameters.
	OAEPSHA1
	// OAEPSHA384 is RSAES-OAEP with SHA-384.
	OAEPSHA384
	// OAEPSHA512 is RSAES-OAEP with SHA-512.
	OAEPSHA512
)

// transports has a row for each KeyTransport. RSA15 needs no hash.
var transports = [...]struct {
	name string
	hash crypto.Hash
}{
	RSA15:      {"rsa15", 0},
	OAEPSHA256: {"oaep-sha256", crypto.SHA256},
	OAEPSHA1:   {"oaep-sha1", crypto.SHA1},
	OAEPSHA384: {"oaep-sha384", crypto.SHA384},
	OAEPSHA512: {"oaep-sha512", crypto.SHA512},
}

func (k KeyTransport) known() bool { return k >= 0 && int(k) < len(transports) }

// String returns the name, "oaep-sha256" for example.
func (k KeyTransport) String() string {
	if k.known() {
		return transports[k].name
	}
	return fmt.Sprintf("key transport %d", int(k))
}

// ParseKeyTransport returns the key transport of that name.
func ParseKeyTransport(name string) (KeyTransport, error) {
	for k, t := range transports {
		if t.name == name {
			return KeyTransport(k), nil
		}
	}
	return 0, fmt.Errorf("unknown key transport %q; there are rsa15, oaep-sha1, oaep-sha256, oaep-sha384 and oaep-sha512", name)
}

// oaepDigests are the digests of OAEP (RFC 3370, Section 2.1; RFC 5754, Section
// 2).
var oaepDigests = [...]struct {
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
	name string
}{
	{crypto.SHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, "sha1"},
	{crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, "sha256"},
	{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, "sha384"},
	{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, "sha512"},
}

// addOAEP adds the AlgorithmIdentifier of OAEP with that hash, for MGF1 too, and
// no label (RFC 4055, Section 4.1). What is default stays out, as DER wants it.
func addOAEP(b *cryptobyte.Builder, hash crypto.Hash) {
	addHash := func(b *cryptobyte.Builder) {
		for _, d := range oaepDigests {
			if d.hash == hash {
				addAlgorithm(b, d.oid, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			}
		}
	}
	addAlgorithm(b, oidRSAESOAEP, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if hash == crypto.SHA1 {
				return
			}
			b.AddASN1(tagExplicit0, addHash)
			b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { addAlgorithm(b, oidMGF1, addHash) })
		})
	})
}

// parseOAEP reads RSAES-OAEP-params (RFC 4055, Section 4.1) and names them.
func parseOAEP(parameters cryptobyte.String) (*rsa.OAEPOptions, string, error) {
	o := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	name, mgfName := "sha1", "sha1"
	var seq, hash, mgf, source cryptobyte.String
	var hasHash, hasMGF, hasSource bool
	if !parameters.ReadASN1(&seq, casn1.SEQUENCE) || !parameters.Empty() ||
		!seq.ReadOptionalASN1(&hash, &hasHash, tagExplicit0) ||
		!seq.ReadOptionalASN1(&mgf, &hasMGF, tagExplicit1) ||
		!seq.ReadOptionalASN1(&source, &hasSource, tagExplicit2) || !seq.Empty() {
		return nil, "", shapeError("the parameters of OAEP")
	}
	var err error
	if hasHash {
		if o.Hash, name, err = oaepDigest(hash); err != nil {
			return nil, "", err
		}
	}
	if hasMGF {
		oid, inner, ok := parseAlgorithm(mgf)
		if !ok {
			return nil, "", shapeError("the parameters of OAEP")
		}
		if !oid.Equal(oidMGF1) {
			return nil, "", &UnsupportedError{"mask generation", oid.String()}
		}
		if o.MGFHash, mgfName, err = oaepDigest(inner); err != nil {
			return nil, "", err
		}
	}
	if hasSource {
		oid, inner, ok := parseAlgorithm(source)
		if !ok || !oid.Equal(oidPSpecified) || !inner.ReadASN1((*cryptobyte.String)(&o.Label), casn1.OCTET_STRING) || !inner.Empty() {
			return nil, "", shapeError("the label of OAEP")
		}
	}
	if mgfName != name {
		name += "-mgf1-" + mgfName
	}
	return o, "oaep-" + name, nil
}

// oaepDigest reads a HashAlgorithm.
func oaepDigest(der []byte) (crypto.Hash, string, error) {
	oid, _, ok := parseAlgorithm(der)
	if !ok {
		return 0, "", shapeError("the parameters of OAEP")
	}
	for _, d := range oaepDigests {
		if d.oid.Equal(oid) {
			return d.hash, d.name, nil
		}
	}
	return 0, "", &UnsupportedError{"digest of OAEP", oid.String()}
}
