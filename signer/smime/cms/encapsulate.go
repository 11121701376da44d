package cms

import (
	"encoding/asn1"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Encapsulate takes a ContentInfo that holds SignedData without its content and
// returns what to write before and after size octets of content, so that the
// SignedData holds them (eContent of RFC 5652, Section 5.2).
func Encapsulate(detached []byte, size int64) (head, tail []byte, err error) {
	var info, explicit, signed, version, digests, encap cryptobyte.String
	var contentType, eContentType asn1.ObjectIdentifier
	in := cryptobyte.String(detached)
	if !in.ReadASN1(&info, casn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1ObjectIdentifier(&contentType) || !contentType.Equal(oidSignedData) ||
		!info.ReadASN1(&explicit, tagExplicit0) || !info.Empty() ||
		!explicit.ReadASN1(&signed, casn1.SEQUENCE) || !explicit.Empty() ||
		!signed.ReadASN1Element(&version, casn1.INTEGER) ||
		!signed.ReadASN1Element(&digests, casn1.SET) ||
		!signed.ReadASN1(&encap, casn1.SEQUENCE) ||
		!encap.ReadASN1ObjectIdentifier(&eContentType) || !encap.Empty() {
		return nil, nil, errors.New("put content into SignedData: not a SignedData without content")
	}
	tail = signed // certificates and signerInfos

	outerType, err := build("content type", func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(contentType) })
	if err != nil {
		return nil, nil, err
	}
	innerType, err := build("content type", func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(eContentType) })
	if err != nil {
		return nil, nil, err
	}
	eContent := open(tagExplicit0, open(casn1.OCTET_STRING, nil, size), size)
	content := open(casn1.SEQUENCE, slices.Concat(innerType, eContent), size)
	rest := size + int64(len(tail))
	data := open(casn1.SEQUENCE, slices.Concat(version, digests, content), rest)
	return open(casn1.SEQUENCE, slices.Concat(outerType, open(tagExplicit0, data, rest)), rest), tail, nil
}
