package cms

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxOutlined is how many recipients an outline names.
const maxOutlined = 100

// Outline is what everybody can see of EnvelopedData or AuthEnvelopedData.
type Outline struct {
	// ContentType is "enveloped-data" or "auth-enveloped-data".
	ContentType string
	// Cipher is the content-encryption algorithm by name, or its object
	// identifier.
	Cipher string
	// Recipients are the first of them, MoreRecipients the number of the others.
	Recipients     []Recipient
	MoreRecipients int
}

// Recipient says for whom a message is encrypted. It has an issuer and a serial
// number, or a key identifier, or neither.
type Recipient struct {
	// Kind is "key transport", "key agreement", "symmetric key" or "password".
	Kind string
	// Issuer is the name of the certificate's authority as in RFC 4514; Serial
	// and KeyID are hexadecimal.
	Issuer, Serial, KeyID string
}

// ReadOutline reads an encrypted message up to its content. The error is a
// *SyntaxError or *UnsupportedError for what is none, or one of in.
func ReadOutline(in io.Reader) (*Outline, error) {
	r := NewReader(in, Limits{})
	oid, err := r.enterContentInfo()
	if err != nil {
		return nil, err
	}
	if !oid.Equal(oidEnvelopedData) && !oid.Equal(oidAuthEnvelopedData) {
		return nil, &UnsupportedError{"content type", contentTypeName(oid)}
	}
	o := &Outline{ContentType: "enveloped-data"}
	if oid.Equal(oidAuthEnvelopedData) {
		o.ContentType = "auth-enveloped-data"
	}
	if err := r.Enter(TagSequence); err != nil {
		return nil, err
	}
	if err := r.Skip(TagInteger); err != nil { // version
		return nil, err
	}
	if err := r.skipOptional(TagContext | TagConstructed); err != nil { // originatorInfo
		return nil, err
	}
	if err := r.Enter(TagSet); err != nil {
		return nil, err
	}
	for {
		tag, err := r.Peek()
		if err != nil {
			return nil, err
		}
		if tag == 0 {
			break
		}
		der, err := r.Element(0)
		if err != nil {
			return nil, err
		}
		o.add(der)
	}
	if err := r.Leave(); err != nil {
		return nil, err
	}
	if err := r.Enter(TagSequence); err != nil { // EncryptedContentInfo
		return nil, err
	}
	if err := r.Skip(TagOID); err != nil {
		return nil, err
	}
	der, err := r.Element(TagSequence)
	if err != nil {
		return nil, err
	}
	algorithm, err := parseContentAlgorithm(der)
	var unsupported *UnsupportedError
	switch {
	case err == nil:
		o.Cipher = algorithm.Cipher.String()
	case errors.As(err, &unsupported):
		o.Cipher = unsupported.Name
	default:
		return nil, err
	}
	return o, nil
}

// add reads a RecipientInfo (RFC 5652, Section 6.2), as far as it can be read.
func (o *Outline) add(der []byte) {
	if len(o.Recipients) >= maxOutlined {
		o.MoreRecipients++
		return
	}
	in := cryptobyte.String(der)
	var info cryptobyte.String
	var tag casn1.Tag
	if !in.ReadAnyASN1(&info, &tag) {
		return
	}
	switch tag {
	case casn1.SEQUENCE:
		one := Recipient{Kind: "key transport"}
		if info.SkipASN1(casn1.INTEGER) {
			one.read(&info)
		}
		o.Recipients = append(o.Recipients, one)
	case casn1.Tag(1).ContextSpecific().Constructed():
		var recipients cryptobyte.String
		if !info.SkipASN1(casn1.INTEGER) || !info.SkipASN1(tagExplicit0) || !info.SkipOptionalASN1(tagExplicit1) ||
			!info.SkipASN1(casn1.SEQUENCE) || !info.ReadASN1(&recipients, casn1.SEQUENCE) {
			return
		}
		for !recipients.Empty() {
			one := Recipient{Kind: "key agreement"}
			var r cryptobyte.String
			if !recipients.ReadASN1(&r, casn1.SEQUENCE) {
				return
			}
			if len(o.Recipients) >= maxOutlined {
				o.MoreRecipients++
				continue
			}
			one.read(&r)
			o.Recipients = append(o.Recipients, one)
		}
	case casn1.Tag(2).ContextSpecific().Constructed():
		o.Recipients = append(o.Recipients, Recipient{Kind: "symmetric key"})
	case casn1.Tag(3).ContextSpecific().Constructed():
		o.Recipients = append(o.Recipients, Recipient{Kind: "password"})
	default:
		o.Recipients = append(o.Recipients, Recipient{Kind: "of another kind"})
	}
}

// read reads an identifier: of a certificate, or of a key, plain ([0] IMPLICIT
// OCTET STRING) or with a date and more (RecipientKeyIdentifier).
func (one *Recipient) read(in *cryptobyte.String) {
	var content cryptobyte.String
	var tag casn1.Tag
	if !in.ReadAnyASN1(&content, &tag) {
		return
	}
	switch tag {
	case casn1.SEQUENCE:
		var issuer cryptobyte.String
		var serial cryptobyte.String
		if !content.ReadASN1Element(&issuer, casn1.SEQUENCE) || !content.ReadASN1(&serial, casn1.INTEGER) {
			return
		}
		var name pkix.RDNSequence
		if _, err := asn1.Unmarshal(issuer, &name); err == nil {
			one.Issuer = name.String()
		}
		one.Serial = hex.EncodeToString(serial)
	case casn1.Tag(0).ContextSpecific():
		one.KeyID = hex.EncodeToString(content)
	case tagExplicit0:
		var id cryptobyte.String
		if content.ReadASN1(&id, casn1.OCTET_STRING) {
			one.KeyID = hex.EncodeToString(id)
		}
	}
}
