package signer

import (
	"errors"
	"fmt"
	"io"
)

// cmsKind is a CMS content type, named as smime-type does (RFC 8551, Section
// 3.2.2) where that has a name.
type cmsKind string

const (
	cmsData          cmsKind = "data"
	cmsSigned        cmsKind = "signed-data"
	cmsEnveloped     cmsKind = "enveloped-data"
	cmsAuthEnveloped cmsKind = "authEnveloped-data"
	cmsCompressed    cmsKind = "compressed-data"
	cmsOther         cmsKind = "content of another type"
)

// cmsKindOf says what the content of an OBJECT IDENTIFIER stands for.
func cmsKindOf(oid string) cmsKind {
	const pkcs7, ct = "\x2a\x86\x48\x86\xf7\x0d\x01\x07", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01"
	switch oid {
	case pkcs7 + "\x01":
		return cmsData
	case pkcs7 + "\x02":
		return cmsSigned
	case pkcs7 + "\x03":
		return cmsEnveloped
	case ct + "\x17":
		return cmsAuthEnveloped
	case ct + "\x09":
		return cmsCompressed
	}
	return cmsOther
}

// cipherBlock is the size that encrypted content is a multiple of, for the
// content ciphers that hide anything today: not DES, RC2 or RC4.
func cipherBlock(oid string) (int64, bool) {
	const (
		nist     = "\x60\x86\x48\x01\x65\x03\x04\x01"             // RFC 3565, RFC 5084
		camellia = "\x2a\x83\x08\x8c\x9a\x4b\x3d\x01\x01\x01"     // RFC 3657
		rsadsi   = "\x2a\x86\x48\x86\xf7\x0d\x03"                 // RFC 3370
		smimeAlg = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x12" // RFC 8103
	)
	switch oid {
	case nist + "\x02", nist + "\x16", nist + "\x2a", // AES-CBC
		camellia + "\x02", camellia + "\x03", camellia + "\x04": // Camellia-CBC
		return 16, true
	case rsadsi + "\x07": // 3DES-CBC
		return 8, true
	case nist + "\x06", nist + "\x1a", nist + "\x2e", // AES-GCM
		nist + "\x07", nist + "\x1b", nist + "\x2f", // AES-CCM
		smimeAlg: // ChaCha20-Poly1305
		return 1, true
	}
	return 0, false
}

// cmsOutline is what a CMS structure holds.
type cmsOutline struct {
	kind       cmsKind
	content    int64 // bytes of signed or encrypted content; -1 if there is none
	recipients int
	signers    int
}

// readCMS reads a ContentInfo (RFC 5652, Section 3), which must be all there is.
// What it returns is complete in its outline: each field is there, in its place
// and of its kind. It keeps nothing of it in memory.
func readCMS(r io.Reader) (cmsOutline, error) {
	b := newBERReader(r)
	o := cmsOutline{content: -1}
	if err := b.enter(berSequence); err != nil {
		return o, err
	}
	oid, err := b.oid()
	if err != nil {
		return o, err
	}
	if err := b.enter(berContext | berConstructed); err != nil {
		return o, err
	}
	switch o.kind = cmsKindOf(oid); o.kind {
	case cmsSigned:
		err = o.signedData(b)
	case cmsEnveloped, cmsAuthEnveloped:
		err = o.envelopedData(b)
	default:
		return o, nil // nothing that protects
	}
	if err != nil {
		return o, fmt.Errorf("%s: %w", o.kind, err)
	}
	for range 2 {
		if err := b.leave(); err != nil {
			return o, err
		}
	}
	return o, b.end()
}

// envelopedData reads an EnvelopedData or AuthEnvelopedData (RFC 5652, Section
// 6.1; RFC 5083, Section 2.1).
func (o *cmsOutline) envelopedData(b *berReader) error {
	if err := b.enter(berSequence); err != nil {
		return err
	}
	if _, err := b.pass(berInteger); err != nil {
		return err
	}
	v, more, err := b.next()
	if err == nil && more && v.tag == berContext|berConstructed { // originatorInfo
		if _, err = b.skip(v); err == nil {
			v, more, err = b.next()
		}
	}
	if err != nil {
		return err
	}
	if !more || v.tag != berSet {
		return errShape
	}
	if err := o.recipientInfos(b, v); err != nil {
		return err
	}
	if err := o.encryptedContent(b); err != nil {
		return err
	}
	// Enveloped: unprotectedAttrs. AuthEnveloped: authAttrs, mac, unauthAttrs.
	fields := []byte{berContext | berConstructed | 1}
	if o.kind == cmsAuthEnveloped {
		fields = []byte{berContext | berConstructed | 1, berOctets, berContext | berConstructed | 2}
	}
	found, err := b.optional(fields)
	switch {
	case err != nil:
		return err
	case o.kind == cmsAuthEnveloped && !found[1]:
		return errors.New("no message authentication code")
	case b.offset-o.content > maxEnvelope:
		return errors.New("too much beside the encrypted content")
	}
	return nil
}

// recipientInfos reads the SET OF RecipientInfo (RFC 5652, Section 6.2).
func (o *cmsOutline) recipientInfos(b *berReader, set berValue) error {
	if err := b.open(set); err != nil {
		return err
	}
	for {
		v, more, err := b.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		switch v.tag {
		case berSequence:
			err = keyTransRecipient(b, v)
		case berContext | berConstructed | 1, berContext | berConstructed | 2,
			berContext | berConstructed | 3, berContext | berConstructed | 4:
			var size int64
			if size, err = b.skip(v); err == nil && size == 0 {
				err = errShape
			}
		default:
			err = errShape
		}
		if err != nil {
			return err
		}
		o.recipients++
	}
	if o.recipients == 0 {
		return errors.New("no recipients")
	}
	return nil
}

// keyTransRecipient reads a KeyTransRecipientInfo (RFC 5652, Section 6.2.1).
func keyTransRecipient(b *berReader, v berValue) error {
	if err := b.open(v); err != nil {
		return err
	}
	if _, err := b.pass(berInteger); err != nil {
		return err
	}
	if err := passIdentifier(b); err != nil {
		return err
	}
	if _, err := b.pass(berSequence); err != nil {
		return err
	}
	key, err := b.pass(berOctets)
	if err != nil {
		return err
	}
	if key == 0 {
		return errors.New("recipient without a key")
	}
	return b.leave()
}

// passIdentifier reads over what names a certificate: issuer and serial number,
// or the subject's key identifier.
func passIdentifier(b *berReader) error {
	v, more, err := b.next()
	if err == nil && (!more || v.tag != berSequence && v.tag != berContext) {
		err = errShape
	}
	if err != nil {
		return err
	}
	_, err = b.skip(v)
	return err
}

// encryptedContent reads an EncryptedContentInfo (RFC 5652, Section 6.1).
func (o *cmsOutline) encryptedContent(b *berReader) error {
	if err := b.enter(berSequence); err != nil {
		return err
	}
	if _, err := b.oid(); err != nil {
		return err
	}
	if err := b.enter(berSequence); err != nil {
		return err
	}
	algorithm, err := b.oid()
	if err != nil {
		return err
	}
	if err := b.rest(); err != nil {
		return err
	}
	block, known := cipherBlock(algorithm)
	if !known {
		return errors.New("content cipher is weak or unknown")
	}
	v, more, err := b.next()
	if err == nil && (!more || v.tag&^berConstructed != berContext) {
		err = errors.New("no encrypted content")
	}
	if err != nil {
		return err
	}
	if o.content, err = b.octets(v); err != nil {
		return err
	}
	if o.content == 0 || o.content%block != 0 {
		return errors.New("encrypted content has a length that its cipher does not make")
	}
	return b.leave()
}

// signedData reads a SignedData (RFC 5652, Section 5.1).
func (o *cmsOutline) signedData(b *berReader) error {
	if err := b.enter(berSequence); err != nil {
		return err
	}
	if _, err := b.pass(berInteger); err != nil {
		return err
	}
	if _, err := b.pass(berSet); err != nil {
		return err
	}
	if err := o.encapsulatedContent(b); err != nil {
		return err
	}
	for last := byte(0); ; {
		v, more, err := b.next()
		if err != nil {
			return err
		}
		if !more || last == berSet {
			return errShape
		}
		switch v.tag {
		case berContext | berConstructed, berContext | berConstructed | 1: // certificates, crls
			if v.tag <= last {
				return errShape
			}
			last = v.tag
			if _, err := b.skip(v); err != nil {
				return err
			}
		case berSet:
			if err := o.signerInfos(b, v); err != nil {
				return err
			}
			return b.leave()
		default:
			return errShape
		}
	}
}

// encapsulatedContent reads an EncapsulatedContentInfo (RFC 5652, Section 5.2).
func (o *cmsOutline) encapsulatedContent(b *berReader) error {
	if err := b.enter(berSequence); err != nil {
		return err
	}
	if _, err := b.oid(); err != nil {
		return err
	}
	v, more, err := b.next()
	if err != nil || !more {
		return err // detached
	}
	if v.tag != berContext|berConstructed {
		return errShape
	}
	if err := b.open(v); err != nil {
		return err
	}
	v, more, err = b.next()
	if err == nil && (!more || v.tag&^berConstructed != berOctets) {
		err = errShape
	}
	if err != nil {
		return err
	}
	if o.content, err = b.octets(v); err != nil {
		return err
	}
	if err := b.leave(); err != nil {
		return err
	}
	return b.leave()
}

// signerInfos reads the SET OF SignerInfo (RFC 5652, Section 5.3).
func (o *cmsOutline) signerInfos(b *berReader, set berValue) error {
	if err := b.open(set); err != nil {
		return err
	}
	for {
		v, more, err := b.next()
		if err != nil || !more {
			return err
		}
		if v.tag != berSequence {
			return errShape
		}
		if err := signerInfo(b, v); err != nil {
			return err
		}
		o.signers++
	}
}

func signerInfo(b *berReader, v berValue) error {
	if err := b.open(v); err != nil {
		return err
	}
	if _, err := b.pass(berInteger); err != nil {
		return err
	}
	if err := passIdentifier(b); err != nil {
		return err
	}
	if _, err := b.pass(berSequence); err != nil { // digestAlgorithm
		return err
	}
	v, more, err := b.next()
	if err == nil && more && v.tag == berContext|berConstructed { // signedAttrs
		if _, err = b.skip(v); err == nil {
			v, more, err = b.next()
		}
	}
	if err == nil && (!more || v.tag != berSequence) { // signatureAlgorithm
		err = errShape
	}
	if err != nil {
		return err
	}
	if _, err := b.skip(v); err != nil {
		return err
	}
	switch signature, err := b.pass(berOctets); {
	case err != nil:
		return err
	case signature == 0:
		return errors.New("signer without a signature")
	}
	v, more, err = b.next()
	if err != nil || !more {
		return err
	}
	if v.tag != berContext|berConstructed|1 { // unsignedAttrs
		return errShape
	}
	if _, err := b.skip(v); err != nil {
		return err
	}
	return b.leave()
}
