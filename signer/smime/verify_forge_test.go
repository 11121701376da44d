package smime

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of forgeries.
var (
	typeIDData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	typeIDSigned     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idSHA256         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	idSHA512         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	idSHA1           = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	idRSA            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	idSHA256WithRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	idSHA512WithRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	idContentType    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	idMessageDigest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	idSigningTime    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	idProtection     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 52}
	idCertificateV1  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	idCertificateV2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	idCounter        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}
	idEd25519        = asn1.ObjectIdentifier{1, 3, 101, 112}
	idECDSAandSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// der encodes what f adds; a test has nothing to say if that fails.
func der(f func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	f(&b)
	return b.BytesOrPanic()
}

// value marshals a Go value.
func value(v any) []byte {
	out, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

// set is a SET OF elements in the order given.
func set(elements ...[]byte) []byte {
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(elements, nil)) })
	})
}

// sequence is a SEQUENCE.
func sequence(elements ...[]byte) []byte {
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(elements, nil)) })
	})
}

// tagged is an element with another tag, or its content with a tag around.
func tagged(tag byte, content []byte) []byte {
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.Tag(tag), func(b *cryptobyte.Builder) { b.AddBytes(content) })
	})
}

// attribute is a signed attribute.
func attribute(id asn1.ObjectIdentifier, values ...[]byte) []byte {
	return sequence(value(id), set(values...))
}

// forger makes a signature with everything at its discretion. What newForger
// returns is a good one.
type forger struct {
	id          *identity
	content     []byte
	contentType asn1.ObjectIdentifier
	digests     [][]byte // AlgorithmIdentifiers
	digest      []byte
	hash        crypto.Hash
	algorithm   []byte
	sid         []byte
	attributes  [][]byte // nil: none
	signed      []byte   // what is signed, if it is something else
	sent        []byte   // the attributes as they are sent, if they are others
	unsigned    []byte
	certs       [][]byte
}

func newForger(id *identity, content string) *forger {
	hash := sha256.Sum256([]byte(content))
	f := &forger{
		id: id, content: []byte(content), contentType: typeIDData, hash: crypto.SHA256,
		digests: [][]byte{sequence(value(idSHA256))}, digest: sequence(value(idSHA256)), algorithm: sequence(value(idRSA), asn1.NullBytes),
		sid:   sequence(id.cert().RawIssuer, value(id.cert().SerialNumber)),
		certs: [][]byte{id.cert().Raw, id.chain[1].Raw},
		attributes: [][]byte{
			attribute(idContentType, value(typeIDData)),
			attribute(idMessageDigest, value(hash[:])),
		},
	}
	return f
}

// signerInfo signs.
func (f *forger) signerInfo(t testing.TB) []byte {
	t.Helper()
	slices.SortFunc(f.attributes, bytes.Compare)
	signed := f.content
	if f.attributes != nil {
		signed = set(f.attributes...)
	}
	if f.signed != nil {
		signed = f.signed
	}
	h := f.hash.New()
	h.Write(signed)
	input, opts := h.Sum(nil), crypto.SignerOpts(f.hash)
	if bytes.Contains(f.algorithm, value(idEd25519)) {
		input, opts = signed, crypto.Hash(0)
	}
	signature, err := f.id.key.Sign(rand.Reader, input, opts)
	if err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{value(1), f.sid, f.digest}
	switch {
	case f.sent != nil:
		parts = append(parts, f.sent)
	case f.attributes != nil:
		parts = append(parts, tagged(0xa0, bytes.Join(f.attributes, nil)))
	}
	parts = append(parts, f.algorithm, value(signature))
	if f.unsigned != nil {
		parts = append(parts, f.unsigned)
	}
	return sequence(parts...)
}

// data assembles SignedData with those SignerInfos.
func (f *forger) data(opaque bool, infos ...[]byte) []byte {
	encapsulated := [][]byte{value(f.contentType)}
	if opaque {
		encapsulated = append(encapsulated, tagged(0xa0, value(f.content)))
	}
	return sequence(value(typeIDSigned), tagged(0xa0, sequence(
		value(1), set(f.digests...), sequence(encapsulated...), tagged(0xa0, bytes.Join(f.certs, nil)), set(infos...),
	)))
}

// essCertificate is the value of a signing certificate attribute.
func essCertificate(hash []byte, algorithm ...[]byte) []byte {
	return sequence(sequence(sequence(append(algorithm, value(hash))...)))
}
