package smime

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// typeData is id-data, the type of a content that is a MIME entity (RFC 8551,
// Section 2.4.1).
const typeData = "1.2.840.113549.1.7.1"

// The signed attributes that matter for verification.
const (
	attrContentType          = "1.2.840.113549.1.9.3"       // RFC 5652, Section 11.1
	attrMessageDigest        = "1.2.840.113549.1.9.4"       // Section 11.2
	attrSigningTime          = "1.2.840.113549.1.9.5"       // Section 11.3
	attrAlgorithmProtection  = "1.2.840.113549.1.9.52"      // RFC 6211
	attrSigningCertificate   = "1.2.840.113549.1.9.16.2.12" // RFC 2634, Section 5.4
	attrSigningCertificateV2 = "1.2.840.113549.1.9.16.2.47" // RFC 5035, Section 3
)

// attributes are the signed attributes that matter, each of which may be there
// once and with one value (RFC 5652, Section 11; RFC 5035, Section 3; RFC 6211,
// Section 2).
type attributes struct {
	values   map[string][]byte // by type, in DER
	repeated string            // the type of one that is there more than once
	signedAt time.Time
}

// readAttributes picks the attributes that matter.
func readAttributes(s *cms.SignerInfo) *attributes {
	a := &attributes{values: map[string][]byte{}}
	for _, attribute := range s.Attributes {
		id := attribute.Type.String()
		switch id {
		case attrContentType, attrMessageDigest, attrSigningTime, attrAlgorithmProtection, attrSigningCertificate, attrSigningCertificateV2:
		default:
			continue
		}
		if _, ok := a.values[id]; ok || len(attribute.Values) != 1 {
			a.repeated = id
			continue
		}
		a.values[id] = attribute.Values[0]
	}
	if rest, err := asn1.Unmarshal(a.values[attrSigningTime], &a.signedAt); err != nil || len(rest) > 0 {
		a.signedAt = time.Time{}
	}
	return a
}

// check compares the attributes with the content, its type and its digest.
func (a *attributes) check(contentType cms.OID, digest []byte, bareLF bool) signer.Finding {
	malformed := func(reason string) signer.Finding { return signer.Finding{Verdict: signer.PermError, Reason: reason} }
	if a.repeated != "" {
		return malformed("signed attribute " + a.repeated + " does not have one value")
	}
	var signedType, signedDigest cryptobyte.String
	value, ok := a.values[attrContentType]
	in := cryptobyte.String(value)
	switch {
	case !ok:
		return malformed("the signed attributes lack the content type")
	case !in.ReadASN1(&signedType, casn1.OBJECT_IDENTIFIER) || !in.Empty():
		return malformed("the signed content type is none")
	case cms.OID(signedType) != contentType:
		return signer.Finding{Verdict: signer.Fail, Reason: "what is signed is content of another type, " + cms.OID(signedType).String()}
	}
	value, ok = a.values[attrMessageDigest]
	in = cryptobyte.String(value)
	switch {
	case !ok:
		return malformed("the signed attributes lack the message digest")
	case !in.ReadASN1(&signedDigest, casn1.OCTET_STRING) || !in.Empty():
		return malformed("the signed message digest is none")
	case subtle.ConstantTimeCompare(signedDigest, digest) == 1:
		return signer.Finding{Verdict: signer.Pass}
	case bareLF:
		return signer.Finding{Verdict: signer.Fail, Reason: "the content is not the one that was signed: its lines do not end with CRLF"}
	}
	return signer.Finding{Verdict: signer.Fail, Reason: "the content is not the one that was signed"}
}

// names checks the attribute that binds the signature to one certificate, if it
// is there, so that no other with the same key takes its place.
func (a *attributes) names(c *cms.Certificate) signer.Finding {
	if value, ok := a.values[attrSigningCertificateV2]; ok {
		return namesCertificate(value, c, crypto.SHA256, true)
	}
	if value, ok := a.values[attrSigningCertificate]; ok {
		return namesCertificate(value, c, crypto.SHA1, false)
	}
	return signer.Finding{Verdict: signer.Pass}
}

// namesCertificate reads a SigningCertificate or SigningCertificateV2, whose first
// entry is the signer's, and compares its hash.
func namesCertificate(value []byte, c *cms.Certificate, hash crypto.Hash, v2 bool) signer.Finding {
	malformed := signer.Finding{Verdict: signer.PermError, Reason: "the attribute that names the certificate is malformed"}
	in := cryptobyte.String(value)
	var certs, id, certHash, element cryptobyte.String
	if !in.ReadASN1(&in, casn1.SEQUENCE) || !in.ReadASN1(&certs, casn1.SEQUENCE) || !certs.ReadASN1(&id, casn1.SEQUENCE) {
		return malformed
	}
	if v2 && id.PeekASN1Tag(casn1.SEQUENCE) {
		id.ReadASN1Element(&element, casn1.SEQUENCE)
		algorithm, ok := cms.ReadAlgorithm(element)
		if !ok {
			return malformed
		}
		if hash = hashOf(algorithm.ID); hash == 0 {
			return signer.Finding{Verdict: signer.Neutral, Reason: "the certificate is named with an unknown digest, " + algorithm.ID.String()}
		}
	}
	if !id.ReadASN1(&certHash, casn1.OCTET_STRING) {
		return malformed
	}
	h := hash.New()
	h.Write(c.Raw)
	if !bytes.Equal(certHash, h.Sum(nil)) {
		return signer.Finding{Verdict: signer.Fail, Reason: "the signature names another certificate"}
	}
	return signer.Finding{Verdict: signer.Pass}
}

// protects compares the attribute that repeats the algorithms, if it is there,
// with those of the SignerInfo (RFC 6211, Section 3).
func (a *attributes) protects(s *cms.SignerInfo) signer.Finding {
	value, ok := a.values[attrAlgorithmProtection]
	if !ok {
		return signer.Finding{Verdict: signer.Pass}
	}
	malformed := signer.Finding{Verdict: signer.PermError, Reason: "the attribute that protects the algorithms is malformed"}
	in := cryptobyte.String(value)
	var digest, signature cryptobyte.String
	if !in.ReadASN1(&in, casn1.SEQUENCE) || !in.ReadASN1Element(&digest, casn1.SEQUENCE) ||
		!in.ReadASN1(&signature, casn1.Tag(1).ContextSpecific().Constructed()) || !in.Empty() {
		return malformed
	}
	protectedDigest, ok := cms.ReadAlgorithm(digest)
	if !ok {
		return malformed
	}
	// The signature algorithm is tagged implicitly.
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: signature})
	if err != nil {
		return malformed
	}
	protectedSignature, ok := cms.ReadAlgorithm(der)
	if !ok {
		return malformed
	}
	if !sameAlgorithm(protectedDigest, s.Digest) || !sameAlgorithm(protectedSignature, s.Algorithm) {
		return signer.Finding{Verdict: signer.Fail, Reason: "the algorithms are not those that were signed"}
	}
	return signer.Finding{Verdict: signer.Pass}
}

// sameAlgorithm compares algorithms. Parameters that are NULL are none.
func sameAlgorithm(a, b cms.Algorithm) bool {
	return a.ID == b.ID && bytes.Equal(withoutNull(a.Parameters), withoutNull(b.Parameters))
}

func withoutNull(parameters []byte) []byte {
	if bytes.Equal(parameters, asn1.NullBytes) {
		return nil
	}
	return parameters
}

// sortSet returns a SET OF with its elements in DER's order (X.690, Section
// 11.6), or nil if they are already.
func sortSet(der []byte) []byte {
	in := cryptobyte.String(der)
	if !in.ReadASN1(&in, casn1.SET) {
		return nil
	}
	header := der[:len(der)-len(in)]
	var elements [][]byte
	for !in.Empty() {
		var element cryptobyte.String
		var tag casn1.Tag
		if !in.ReadAnyASN1Element(&element, &tag) {
			return nil
		}
		elements = append(elements, element)
	}
	if slices.IsSortedFunc(elements, bytes.Compare) {
		return nil
	}
	slices.SortFunc(elements, bytes.Compare)
	return append(slices.Clone(header), bytes.Join(elements, nil)...)
}
