package cms

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What ReadSignedData keeps. What is beyond it is passed over and counted.
const (
	MaxSigners      = 32
	MaxCertificates = 100
	maxDigests      = 32
)

// OID is an object identifier as its content octets in DER, so that it can be
// compared and be of any length.
type OID string

// String is the dotted form, or the octets in hexadecimal if they are not one.
func (o OID) String() string {
	var oid x509.OID
	if len(o) > 64 || oid.UnmarshalBinary([]byte(o)) != nil {
		return hex.EncodeToString([]byte(o[:min(len(o), 64)]))
	}
	return oid.String()
}

// Algorithm is an AlgorithmIdentifier (RFC 5280, Section 4.1.1.2).
type Algorithm struct {
	ID OID
	// Parameters is a DER value, or nil if there is none.
	Parameters []byte
}

// SignedData is all of a SignedData (RFC 5652, Section 5.1) but its content.
// Values in it are DER as far as their lengths go.
type SignedData struct {
	ContentType OID
	// Digests are the digest algorithms that are announced before the content.
	Digests []Algorithm
	// Detached says that the content is not there.
	Detached     bool
	Certificates [][]byte
	Signers      []SignerInfo
	// MoreSigners and MoreCertificates are how many were passed over.
	MoreSigners, MoreCertificates int
}

// SignerInfo is one signature (RFC 5652, Section 5.3). Its unsigned attributes,
// which anybody can add and change, are left out.
type SignerInfo struct {
	// Issuer and Serial name the certificate, or KeyID does: a Name, the content
	// of an INTEGER, and a SubjectKeyIdentifier.
	Issuer, Serial, KeyID []byte
	Digest                Algorithm
	// Signed are the signed attributes as they are signed: with the tag SET OF,
	// in the order in which they came. Nil means that there are none.
	Signed     []byte
	Attributes []SignedAttribute
	Algorithm  Algorithm
	Signature  []byte
	// Err says why the SignerInfo is malformed; then other fields may be empty.
	Err error
}

// SignedAttribute is a signed attribute as it came.
type SignedAttribute struct {
	Type OID
	// Values are DER values.
	Values [][]byte
}

// ReadSignedData reads a ContentInfo that holds SignedData. If the content is in
// it, content is called with a reader for it, which it has to read to its end,
// and with what stands before. Certificates, signers and all else beside the
// content are bounded by the limits, whose zero value suits mail.
//
// What is malformed, as a whole, is a *SyntaxError; other errors are those of in
// and of content.
func ReadSignedData(in io.Reader, l Limits, content func(before *SignedData, r io.Reader) error) (*SignedData, error) {
	r := NewReader(in, l)
	s := &SignedData{}
	if err := r.Enter(TagSequence); err != nil {
		return nil, err
	}
	if id, err := r.oid(); err != nil {
		return nil, err
	} else if id.String() != oidSignedData.String() {
		return nil, r.malformed("it is of type %s and not SignedData", id)
	}
	for _, step := range []func(*Reader) error{
		func(r *Reader) error { return r.Enter(TagContext | TagConstructed) },
		func(r *Reader) error { return r.Enter(TagSequence) },
		func(r *Reader) error { return r.Skip(TagInteger) },
		s.readDigests,
		func(r *Reader) error { return s.readContent(r, content) },
		s.readCertificates,
		s.passCRLs,
		s.readSigners,
		(*Reader).Leave, (*Reader).Leave, (*Reader).Leave, (*Reader).End,
	} {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// oid reads the next value as an object identifier.
func (r *Reader) oid() (OID, error) {
	der, err := r.Element(TagOID)
	if err != nil {
		return "", err
	}
	value := cryptobyte.String(der)
	if !value.ReadASN1(&value, casn1.OBJECT_IDENTIFIER) {
		return "", r.malformed("an object identifier is not one")
	}
	return OID(value), nil
}

func (s *SignedData) readDigests(r *Reader) error {
	if err := r.Enter(TagSet); err != nil {
		return err
	}
	for {
		tag, err := r.Peek()
		if err != nil {
			return err
		}
		if tag == 0 {
			return r.Leave()
		}
		if len(s.Digests) == maxDigests {
			return r.malformed("more than %d digest algorithms", maxDigests)
		}
		der, err := r.Element(TagSequence)
		if err != nil {
			return err
		}
		in := cryptobyte.String(der)
		algorithm, ok := readAlgorithm(&in)
		if !ok {
			return r.malformed("a digest algorithm is none")
		}
		s.Digests = append(s.Digests, algorithm)
	}
}

// readContent reads the EncapsulatedContentInfo (RFC 5652, Section 5.2).
func (s *SignedData) readContent(r *Reader, content func(*SignedData, io.Reader) error) error {
	if err := r.Enter(TagSequence); err != nil {
		return err
	}
	var err error
	if s.ContentType, err = r.oid(); err != nil {
		return err
	}
	tag, err := r.Peek()
	if err != nil {
		return err
	}
	if tag == 0 {
		s.Detached = true
		return r.Leave()
	}
	if err := r.Enter(TagContext | TagConstructed); err != nil {
		return err
	}
	octets, err := r.Octets(TagOctetString)
	if err != nil {
		return err
	}
	if err := content(s, octets); err != nil {
		return err
	}
	if err := r.Leave(); err != nil {
		return err
	}
	return r.Leave()
}

// readCertificates keeps the X.509 certificates of the CertificateSet (RFC 5652,
// Section 10.2.3), unread.
func (s *SignedData) readCertificates(r *Reader) error {
	tag, err := r.Peek()
	if err != nil || tag != TagContext|TagConstructed {
		return err
	}
	if err := r.Enter(tag); err != nil {
		return err
	}
	for {
		tag, err := r.Peek()
		switch {
		case err != nil:
			return err
		case tag == 0:
			return r.Leave()
		case tag != TagSequence: // an attribute certificate, for example
			err = r.Skip(tag)
		case len(s.Certificates) == MaxCertificates:
			s.MoreCertificates++
			err = r.Skip(tag)
		default:
			var der []byte
			der, err = r.Element(tag)
			s.Certificates = append(s.Certificates, der)
		}
		if err != nil {
			return err
		}
	}
}

// passCRLs passes over the revocation lists: what is known of revocation comes
// from elsewhere.
func (s *SignedData) passCRLs(r *Reader) error {
	const crls = TagContext | TagConstructed | 1
	tag, err := r.Peek()
	if err != nil || tag != crls {
		return err
	}
	return r.Skip(crls)
}

func (s *SignedData) readSigners(r *Reader) error {
	if err := r.Enter(TagSet); err != nil {
		return err
	}
	for {
		tag, err := r.Peek()
		switch {
		case err != nil:
			return err
		case tag == 0:
			return r.Leave()
		case len(s.Signers) == MaxSigners:
			s.MoreSigners++
			err = r.Skip(TagSequence)
		default:
			var der []byte
			if der, err = r.Element(TagSequence); err == nil {
				s.Signers = append(s.Signers, readSigner(der))
			}
		}
		if err != nil {
			return err
		}
	}
}

// readSigner reads one SignerInfo of which is known that it is well-formed BER.
func readSigner(der []byte) SignerInfo {
	var s SignerInfo
	malformed := func(what string) SignerInfo {
		s.Err = errors.New("malformed SignerInfo: " + what)
		return s
	}
	in := cryptobyte.String(der)
	var version cryptobyte.String
	if !in.ReadASN1(&in, casn1.SEQUENCE) || !in.ReadASN1(&version, casn1.INTEGER) {
		return malformed("no version")
	}
	var name, keyID cryptobyte.String
	switch {
	case in.PeekASN1Tag(casn1.SEQUENCE):
		var issuer, serial cryptobyte.String
		if !in.ReadASN1(&name, casn1.SEQUENCE) || !name.ReadASN1Element(&issuer, casn1.SEQUENCE) ||
			!name.ReadASN1(&serial, casn1.INTEGER) || !name.Empty() || len(serial) == 0 {
			return malformed("no issuer and serial number")
		}
		s.Issuer, s.Serial = issuer, serial
	case in.ReadASN1(&keyID, tagImplicit0) && len(keyID) > 0:
		s.KeyID = keyID
	default:
		return malformed("nothing names the signer")
	}
	var ok bool
	if s.Digest, ok = readAlgorithm(&in); !ok {
		return malformed("no digest algorithm")
	}
	if in.PeekASN1Tag(tagExplicit0) {
		var attributes cryptobyte.String
		if !in.ReadASN1Element(&attributes, tagExplicit0) || !s.readAttributes(attributes) {
			return malformed("signed attributes that are none")
		}
	}
	if s.Algorithm, ok = readAlgorithm(&in); !ok {
		return malformed("no signature algorithm")
	}
	var signature, unsigned cryptobyte.String
	if !in.ReadASN1(&signature, casn1.OCTET_STRING) || len(signature) == 0 {
		return malformed("no signature")
	}
	s.Signature = signature
	if !in.Empty() && !in.ReadASN1(&unsigned, casn1.Tag(TagContext|TagConstructed|1)) || !in.Empty() {
		return malformed("data after the signature")
	}
	return s
}

// readAttributes reads the signed attributes, whose tag is [0] in a SignerInfo
// and SET OF where they are signed (RFC 5652, Section 5.4).
func (s *SignerInfo) readAttributes(der []byte) bool {
	s.Signed = append([]byte{TagSet}, der[1:]...)
	in := cryptobyte.String(s.Signed)
	if !in.ReadASN1(&in, casn1.SET) || in.Empty() {
		return false
	}
	for !in.Empty() {
		var attribute, id, set cryptobyte.String
		if !in.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1(&id, casn1.OBJECT_IDENTIFIER) ||
			!attribute.ReadASN1(&set, casn1.SET) || !attribute.Empty() {
			return false
		}
		a := SignedAttribute{Type: OID(id)}
		for !set.Empty() {
			var value cryptobyte.String
			var tag casn1.Tag
			if !set.ReadAnyASN1Element(&value, &tag) {
				return false
			}
			a.Values = append(a.Values, value)
		}
		s.Attributes = append(s.Attributes, a)
	}
	return true
}

// ReadAlgorithm reads an AlgorithmIdentifier that is all of der.
func ReadAlgorithm(der []byte) (Algorithm, bool) {
	in := cryptobyte.String(der)
	a, ok := readAlgorithm(&in)
	return a, ok && in.Empty()
}

func readAlgorithm(in *cryptobyte.String) (Algorithm, bool) {
	var sequence, id, parameters cryptobyte.String
	if !in.ReadASN1(&sequence, casn1.SEQUENCE) || !sequence.ReadASN1(&id, casn1.OBJECT_IDENTIFIER) {
		return Algorithm{}, false
	}
	a := Algorithm{ID: OID(id)}
	if !sequence.Empty() {
		var tag casn1.Tag
		if !sequence.ReadAnyASN1Element(&parameters, &tag) || !sequence.Empty() {
			return Algorithm{}, false
		}
		a.Parameters = parameters
	}
	return a, true
}
