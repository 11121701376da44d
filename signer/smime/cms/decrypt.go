package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// DecryptOptions say what to accept.
type DecryptOptions struct {
	// Legacy accepts the ciphers that are read only, AES-192 and Triple DES, for
	// old mail.
	Legacy bool
	// Limits bound what is read.
	Limits Limits
}

// Decrypted says what was decrypted and how.
type Decrypted struct {
	Cipher Cipher
	// Authenticated says that the content is as the sender encrypted it. Without
	// it anybody on the way can have changed it.
	Authenticated bool
	// Recipient is the certificate whose key was used.
	Recipient *x509.Certificate
	// KeyTransport is what was done with the key: "rsa15", "oaep-sha256",
	// "ecdh-p256-sha256", "ecdh-x25519-hkdf-sha256" and so on.
	KeyTransport string
	// ContentType is what the content is: "data", which is a MIME entity in
	// mail, "signed-data", or an object identifier.
	ContentType string
}

// Decrypt decrypts EnvelopedData (RFC 5652, Section 6) or AuthEnvelopedData (RFC
// 5083) in BER, and writes the content to w while it reads. The content must not
// be used, by nobody and for nothing, before Decrypt has returned without an
// error.
//
// The error is ErrNoKey if no key belongs to a recipient, ErrDecrypt whatever is
// wrong with keys, padding or authentication, a *SyntaxError for what is no such
// message at all, an *UnsupportedError for another algorithm or content type.
// None of these tells anything about keys but ErrNoKey. Any other error is one
// of in, of w, or of a key that can't be used now.
func Decrypt(w io.Writer, in io.Reader, keys []Key, o DecryptOptions) (*Decrypted, error) {
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	r := NewReader(in, o.Limits)
	e, err := readEnvelope(r, ring)
	if err != nil {
		return nil, err
	}
	if !e.algorithm.written && !o.Legacy {
		return nil, &UnsupportedError{"content encryption", e.algorithm.name + ", which is not allowed here"}
	}
	key, used, err := contentKey(e.candidates, e.algorithm.key)
	if err != nil {
		return nil, err
	}
	body, err := e.algorithm.newContentReader(key)
	if err != nil {
		return nil, err
	}
	if err := body.decrypt(w, e.content); err != nil {
		return nil, err
	}
	attributes, mac, err := e.tail(r)
	if err != nil {
		return nil, err
	}
	if body.sound(attributes, mac) == 0 {
		return nil, ErrDecrypt
	}
	return &Decrypted{
		Cipher:        e.algorithm.Cipher,
		Authenticated: e.algorithm.gcm,
		Recipient:     used.key.Certificate,
		KeyTransport:  used.name,
		ContentType:   contentTypeName(e.contentType),
	}, nil
}

// envelope is the part of EnvelopedData or AuthEnvelopedData that stands before
// the content.
type envelope struct {
	authenticated bool
	candidates    []candidate
	contentType   asn1.ObjectIdentifier
	algorithm     contentAlgorithm
	content       io.Reader
}

// readEnvelope reads up to the content.
func readEnvelope(r *Reader, ring *keyring) (*envelope, error) {
	oid, err := r.enterContentInfo()
	if err != nil {
		return nil, err
	}
	e := &envelope{authenticated: oid.Equal(oidAuthEnvelopedData)}
	if !e.authenticated && !oid.Equal(oidEnvelopedData) {
		return nil, &UnsupportedError{"content type", contentTypeName(oid)}
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
	if e.candidates, err = ring.candidates(r); err != nil {
		return nil, err
	}
	if err := r.Enter(TagSequence); err != nil { // EncryptedContentInfo
		return nil, err
	}
	if e.contentType, err = r.objectIdentifier(); err != nil {
		return nil, err
	}
	algorithm, err := r.Element(TagSequence)
	if err != nil {
		return nil, err
	}
	if e.algorithm, err = parseContentAlgorithm(algorithm); err != nil {
		return nil, err
	}
	if e.algorithm.gcm != e.authenticated {
		return nil, r.malformed("%v is not for this content type", e.algorithm.Cipher)
	}
	e.content, err = r.Octets(TagContext)
	return e, err
}

// tail reads what stands behind the content. attributes are what was
// authenticated beside the content: the DER of authAttrs with the tag of a SET
// (RFC 5083, Section 2.2).
func (e *envelope) tail(r *Reader) (attributes, mac []byte, err error) {
	if err := r.Leave(); err != nil { // EncryptedContentInfo
		return nil, nil, err
	}
	const first, second = TagContext | TagConstructed | 1, TagContext | TagConstructed | 2
	if !e.authenticated {
		if err := r.skipOptional(first); err != nil { // unprotectedAttrs
			return nil, nil, err
		}
		return nil, nil, r.leaveContentInfo()
	}
	tag, err := r.Peek()
	if err != nil {
		return nil, nil, err
	}
	if tag == first {
		if attributes, err = r.Element(first); err != nil {
			return nil, nil, err
		}
		if attributes, err = e.sortAttributes(attributes); err != nil {
			return nil, nil, err
		}
	}
	element, err := r.Element(TagOctetString)
	if err != nil {
		return nil, nil, err
	}
	content := cryptobyte.String(element)
	if !content.ReadASN1((*cryptobyte.String)(&mac), casn1.OCTET_STRING) || len(mac) != e.algorithm.tag {
		return nil, nil, shapeError("the length of the authentication tag")
	}
	if err := r.skipOptional(second); err != nil { // unauthAttrs
		return nil, nil, err
	}
	return attributes, mac, r.leaveContentInfo()
}

// sortAttributes brings attributes into the order of DER and checks that the
// content type, if it is among them, is the content's.
func (e *envelope) sortAttributes(der []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var set cryptobyte.String
	if !in.ReadASN1(&set, tagExplicit1) {
		return nil, shapeError("the authenticated attributes")
	}
	var sorted [][]byte
	for !set.Empty() {
		var attribute, values cryptobyte.String
		if !set.ReadASN1Element(&attribute, casn1.SEQUENCE) {
			return nil, shapeError("an authenticated attribute")
		}
		sorted = append(sorted, attribute)
		var oid, value asn1.ObjectIdentifier
		if !attribute.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
			!attribute.ReadASN1(&values, casn1.SET) || !attribute.Empty() {
			return nil, shapeError("an authenticated attribute")
		}
		if oid.Equal(oidContentType) && (!values.ReadASN1ObjectIdentifier(&value) || !values.Empty() || !value.Equal(e.contentType)) {
			return nil, shapeError("the authenticated content type")
		}
	}
	slices.SortFunc(sorted, bytes.Compare)
	return open(casn1.SET, slices.Concat(sorted...), 0), nil
}

// maxAttempts is how many parts of recipients are tried: a private key takes
// milliseconds, and a message may name its owner many thousand times.
const maxAttempts = 4

// contentKey opens the content-encryption key. Where it can't be opened, the key
// that it returns is random and makes the content fail, so that all failures
// look the same. PKCS #1 v1.5 comes last, since one can't tell if it is right.
func contentKey(candidates []candidate, size int) (key []byte, used candidate, err error) {
	used, key = candidates[0], randomKey(size)
	attempts := 0
	for _, c := range candidates {
		if !c.checked || attempts == maxAttempts {
			continue
		}
		attempts++
		got, err := c.open(size)
		if err != nil {
			return nil, c, err
		}
		if len(got) == size {
			return got, c, nil
		}
	}
	if i := slices.IndexFunc(candidates, func(c candidate) bool { return !c.checked }); i >= 0 {
		used = candidates[i]
		key, err = used.open(size)
	}
	return key, used, err
}
