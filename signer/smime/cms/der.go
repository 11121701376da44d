package cms

import (
	"encoding/asn1"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Tags of the implicitly and explicitly tagged fields.
const (
	tagExplicit0 = casn1.Tag(0xa0) // [0], constructed
	tagExplicit1 = casn1.Tag(0xa1) // [1], constructed
	tagExplicit2 = casn1.Tag(0xa2) // [2], constructed
	tagImplicit0 = casn1.Tag(0x80) // [0], primitive
)

// open begins an element whose content is longer than what is at hand: it
// returns the identifier and length octets for len(prefix)+rest octets of
// content, followed by prefix. The rest octets are still to be written.
func open(tag casn1.Tag, prefix []byte, rest int64) []byte {
	out := make([]byte, 0, len(prefix)+10)
	out = appendHeader(out, byte(tag), uint64(len(prefix))+uint64(rest))
	return append(out, prefix...)
}

// appendHeader appends the identifier and length octets of an element with n
// octets of content.
func appendHeader(out []byte, tag byte, n uint64) []byte {
	out = append(out, tag)
	if n < 0x80 {
		return append(out, byte(n))
	}
	octets := headerSize(n) - 2
	out = append(out, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		out = append(out, byte(n>>(8*i)))
	}
	return out
}

// headerSize is how many octets appendHeader appends.
func headerSize(n uint64) int {
	if n < 0x80 {
		return 2
	}
	return 2 + (bits.Len64(n)+7)/8
}

// build runs f over an empty builder and returns what it built. What these
// builders are given is valid by construction, except where the caller passes
// on a certificate's parts; an error names what was being built.
func build(what string, f func(b *cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	f(&b)
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return out, nil
}

// addAlgorithm adds an AlgorithmIdentifier whose parameters, if any, are added
// by parameters.
func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, parameters func(b *cryptobyte.Builder)) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if parameters != nil {
			parameters(b)
		}
	})
}
