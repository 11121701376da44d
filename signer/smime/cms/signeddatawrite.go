package cms

import (
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidEncryptionKeyPreference = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 11}
	oidMGF1                    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
)

// PSSParameters returns RSASSA-PSS-params (RFC 4055, Section 3.1) for a digest
// and a salt of that many octets. The mask generation function is MGF1 with the
// same digest. The parameters of the digests are NULL, which all programs take.
func PSSParameters(digest asn1.ObjectIdentifier, salt int) ([]byte, error) {
	null := func(b *cryptobyte.Builder) { b.AddASN1NULL() }
	explicit := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }
	return build("parameters of RSASSA-PSS", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { addAlgorithm(b, digest, null) })
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
				addAlgorithm(b, oidMGF1, func(b *cryptobyte.Builder) { addAlgorithm(b, digest, null) })
			})
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(salt)) })
		})
	})
}

// IdentifyBySubjectKey takes a ContentInfo in DER that holds SignedData with one
// SignerInfo and returns it with the signer named by that subject key identifier
// instead of issuer and serial number, which makes both versions 3 (RFC 5652,
// Sections 5.1 and 5.3). No signature covers that name.
func IdentifyBySubjectKey(data, keyID []byte) ([]byte, error) {
	if len(keyID) == 0 {
		return nil, errors.New("name the signer: the certificate has no subject key identifier; name it by issuer and serial number")
	}
	var info, explicit, signed, version, before, infos, signer, old cryptobyte.String
	var contentType asn1.ObjectIdentifier
	in := cryptobyte.String(data)
	ok := in.ReadASN1(&info, casn1.SEQUENCE) && in.Empty() &&
		info.ReadASN1ObjectIdentifier(&contentType) && contentType.Equal(oidSignedData) &&
		info.ReadASN1(&explicit, tagExplicit0) && info.Empty() &&
		explicit.ReadASN1(&signed, casn1.SEQUENCE) && explicit.Empty() &&
		signed.ReadASN1Element(&version, casn1.INTEGER)
	if ok {
		// All fields up to the signerInfos stay as they are.
		before = signed
		for ok && !signed.Empty() {
			var tag casn1.Tag
			ok = signed.ReadAnyASN1Element(&infos, &tag)
		}
		before = before[:len(before)-len(infos)]
	}
	ok = ok && infos.ReadASN1(&infos, casn1.SET) &&
		infos.ReadASN1(&signer, casn1.SEQUENCE) && infos.Empty() &&
		signer.ReadASN1Element(&old, casn1.INTEGER) &&
		signer.ReadASN1Element(&old, casn1.SEQUENCE)
	if !ok {
		return nil, errors.New("name the signer by key identifier: not a SignedData with one signer")
	}
	return build("SignedData", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(contentType)
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(3)
					b.AddBytes(before)
					b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
						b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1Int64(3)
							b.AddASN1(tagImplicit0, func(b *cryptobyte.Builder) { b.AddBytes(keyID) })
							b.AddBytes(signer)
						})
					})
				})
			})
		})
	})
}
