package cms

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
)

// enterContentInfo steps into the content of ContentInfo (RFC 5652, Section 3)
// and returns its type.
func (r *Reader) enterContentInfo() (asn1.ObjectIdentifier, error) {
	if err := r.Enter(TagSequence); err != nil {
		return nil, err
	}
	oid, err := r.objectIdentifier()
	if err != nil {
		return nil, err
	}
	return oid, r.Enter(TagContext | TagConstructed)
}

// leaveContentInfo steps out of the structure in ContentInfo, and out of
// ContentInfo, and checks that nothing follows.
func (r *Reader) leaveContentInfo() error {
	for range 3 {
		if err := r.Leave(); err != nil {
			return err
		}
	}
	return r.End()
}

// objectIdentifier reads the next value, an OBJECT IDENTIFIER.
func (r *Reader) objectIdentifier() (asn1.ObjectIdentifier, error) {
	der, err := r.Element(TagOID)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1ObjectIdentifier(&oid) {
		return nil, r.malformed("an object identifier is none")
	}
	return oid, nil
}

// skipOptional passes over the next value if it has that tag.
func (r *Reader) skipOptional(tag byte) error {
	got, err := r.Peek()
	if err != nil || got != tag {
		return err
	}
	return r.Skip(tag)
}

// contentTypeName names a content type as smime-type does (RFC 8551, Section
// 3.2.2), where that has a name for it.
func contentTypeName(oid asn1.ObjectIdentifier) string {
	switch {
	case oid.Equal(oidData):
		return "data"
	case oid.Equal(oidSignedData):
		return "signed-data"
	case oid.Equal(oidEnvelopedData):
		return "enveloped-data"
	case oid.Equal(oidAuthEnvelopedData):
		return "authEnveloped-data"
	case oid.Equal(oidCompressedData):
		return "compressed-data"
	}
	return oid.String()
}
