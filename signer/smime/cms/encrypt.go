package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxContent is the longest content that one GCM key and nonce may encrypt, in
// octets (NIST SP 800-38D, Section 5.2.1.1). It holds for CBC too.
const maxContent = 1<<36 - 32

// EncryptOptions say how to encrypt. The zero value is what every S/MIME program
// can decrypt.
type EncryptOptions struct {
	Cipher Cipher
	// KeyTransport is what RSA keys are used with.
	KeyTransport KeyTransport
	// RecipientID is how the recipients are named.
	RecipientID RecipientID
	// UserKeyingMaterial goes into the derivation of keys for keys that agree on
	// one (RFC 5652, Section 6.2.2). Nothing needs it; nil leaves it out.
	UserKeyingMaterial []byte
}

func (o EncryptOptions) check() error {
	switch {
	case !o.Cipher.known():
		return fmt.Errorf("%v is not known", o.Cipher)
	case !suites[o.Cipher].written:
		return fmt.Errorf("%v is for reading old mail only", o.Cipher)
	case !o.KeyTransport.known():
		return fmt.Errorf("%v is not known", o.KeyTransport)
	case o.RecipientID != IssuerAndSerial && o.RecipientID != SubjectKeyID:
		return fmt.Errorf("%v is not known", o.RecipientID)
	}
	return nil
}

// NewEncrypter returns a writer that encrypts content of the given size, in
// octets, to the owners of the certificates. It writes a ContentInfo that holds
// EnvelopedData, or AuthEnvelopedData if the cipher authenticates. A certificate
// that is there twice is used once.
//
// All that can go wrong with certificates goes wrong here, before anything is
// written. Exactly size octets have to be written before Close, which ends the
// structure and leaves w open.
func NewEncrypter(w io.Writer, to []*x509.Certificate, o EncryptOptions, size int64) (io.WriteCloser, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if size < 0 || size > maxContent {
		return nil, fmt.Errorf("encrypt: a content of %d bytes is too long for one message", size)
	}
	suite := suites[o.Cipher]
	secret := make([]byte, suite.key+suite.ivSize())
	rand.Read(secret) // never fails
	key, iv := secret[:suite.key], secret[suite.key:]
	body, algorithm, err := suite.newContentCipher(key, iv)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	recipients, version, err := recipientInfos(to, key, o)
	if err != nil {
		return nil, err
	}
	head, err := envelopeHead(suite.gcm, version, recipients, algorithm, body.size(size))
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return &encrypter{w: w, body: body, head: head, left: size, buf: make([]byte, 0, min(size, chunkSize)+aes.BlockSize)}, nil
}

// recipientInfos returns the RecipientInfos, a SET OF in DER's order, and the
// version of the EnvelopedData that holds them (RFC 5652, Section 6.1).
func recipientInfos(to []*x509.Certificate, key []byte, o EncryptOptions) (set []byte, version byte, err error) {
	if len(to) == 0 {
		return nil, 0, errors.New("encrypt: no recipient")
	}
	seen := make(map[string]bool, len(to))
	var infos [][]byte
	for _, cert := range to {
		if seen[string(cert.Raw)] {
			continue
		}
		seen[string(cert.Raw)] = true
		info, version0, err := recipientInfo(cert, key, o)
		if err != nil {
			return nil, 0, fmt.Errorf("encrypt to certificate %x of %q: %w", cert.SerialNumber, cert.Subject, err)
		}
		if !version0 {
			version = 2
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, bytes.Compare)
	return open(casn1.SET, slices.Concat(infos...), 0), version, nil
}

// envelopeHead returns all that stands before the ciphertext. EnvelopedData
// (RFC 5652, Section 6.1) and AuthEnvelopedData (RFC 5083, Section 2.1) are the
// same but for the MAC at the end, and for the version, which is always 0 in the
// latter.
func envelopeHead(authenticated bool, version byte, recipients, algorithm []byte, ciphertext int64) ([]byte, error) {
	oid, tail := oidEnvelopedData, int64(0)
	if authenticated {
		oid, tail, version = oidAuthEnvelopedData, int64(len(macField(make([]byte, tagSize)))), 0
	}
	contentType, err := build("content type", func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
	if err != nil {
		return nil, err
	}
	outerType, err := build("content type", func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	if err != nil {
		return nil, err
	}
	content := slices.Concat(contentType, algorithm, open(tagImplicit0, nil, ciphertext))
	content = open(casn1.SEQUENCE, content, ciphertext)
	rest := ciphertext + tail
	envelope := open(casn1.SEQUENCE, slices.Concat([]byte{TagInteger, 1, version}, recipients, content), rest)
	return open(casn1.SEQUENCE, slices.Concat(outerType, open(tagExplicit0, envelope, rest)), rest), nil
}

// macField is the field mac of AuthEnvelopedData.
func macField(mac []byte) []byte { return open(casn1.OCTET_STRING, mac, 0) }

// encrypter collects content into chunks, encrypts them in place and passes
// them on.
type encrypter struct {
	w    io.Writer
	body contentCipher
	head []byte // not yet written
	buf  []byte // content not yet encrypted
	left int64  // octets of content still to come
	err  error  // what ended the stream
}

// Write encrypts the next piece of content.
func (e *encrypter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	if int64(len(p)) > e.left {
		e.err = errors.New("encrypt: the content is longer than announced")
		return 0, e.err
	}
	e.left -= int64(len(p))
	n := len(p)
	for len(p) > 0 {
		m := min(len(p), chunkSize-len(e.buf))
		e.buf = append(e.buf, p[:m]...)
		p = p[m:]
		if len(e.buf) == chunkSize {
			e.body.encrypt(e.buf)
			e.send(e.buf)
			e.buf = e.buf[:0]
		}
	}
	if e.err != nil {
		return 0, e.err
	}
	return n, nil
}

// Close encrypts what is left and ends the structure.
func (e *encrypter) Close() error {
	if e.err != nil {
		return e.err
	}
	if e.left != 0 {
		e.err = fmt.Errorf("encrypt: the content is %d bytes shorter than announced", e.left)
		return e.err
	}
	e.send(e.body.last(e.buf))
	if mac := e.body.mac(); mac != nil {
		e.send(macField(mac))
	}
	if e.err != nil {
		return e.err
	}
	e.err = errors.New("encrypt: already closed")
	return nil
}

// send writes to w, the head first, until an error ends the stream.
func (e *encrypter) send(p []byte) {
	if e.head != nil && e.err == nil {
		_, e.err = e.w.Write(e.head)
		e.head = nil
	}
	if e.err == nil {
		_, e.err = e.w.Write(p)
	}
}
