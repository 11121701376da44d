package smime

import (
	"bytes"
	"crypto"
	_ "crypto/md5"  // for crypto.MD5
	_ "crypto/sha1" // for crypto.SHA1
	"hash"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"waxseal/signer/smime/cms"
)

// startSize is how much of a content is kept to look at: enough for the header
// of a mail.
const startSize = 8 << 10

// sum is a digest whose value is computed once.
type sum struct {
	hash.Hash
	final []byte
}

func (s *sum) value() []byte {
	if s.final == nil {
		s.final = s.Sum(nil)
	}
	return s.final
}

// digests computes the digests of a content that is written to it, those that
// the SignedData announces and that are known.
type digests struct {
	hashes map[crypto.Hash]*sum
	n      int64
	start  []byte
}

// newDigests takes the digests that are announced before the content. Unknown
// ones are left out; a signer who uses one is told so. So are those that no
// signer uses, if the signers are known already.
func newDigests(s *cms.SignedData) *digests {
	d := &digests{hashes: map[crypto.Hash]*sum{}}
	for _, a := range s.Digests {
		used := s.Signers == nil || slices.ContainsFunc(s.Signers, func(i cms.SignerInfo) bool { return i.Digest.ID == a.ID })
		if h := hashOf(a.ID); h != 0 && d.hashes[h] == nil && used {
			d.hashes[h] = &sum{Hash: h.New()}
		}
	}
	return d
}

// Write never fails.
func (d *digests) Write(p []byte) (int, error) {
	if room := startSize - len(d.start); room > 0 {
		d.start = append(d.start, p[:min(room, len(p))]...)
	}
	for _, h := range d.hashes {
		h.Write(p)
	}
	d.n += int64(len(p))
	return len(p), nil
}

// of returns the content's digest; it is nil if that was not announced.
func (d *digests) of(h crypto.Hash) []byte {
	if s := d.hashes[h]; s != nil {
		return s.value()
	}
	return nil
}

// bareLF reports whether the content begins with lines that do not end with
// CRLF. No signature is made over such lines, so somebody has changed them on
// the way here.
func (d *digests) bareLF() bool {
	at := bytes.IndexByte(d.start, '\n')
	return at == 0 || at > 0 && d.start[at-1] != '\r'
}

// looksSigned reports whether the content may be the signed attributes of
// another signature: a SET OF SEQUENCE that begins with an object identifier and
// ends where the content does. A signature over attributes would be taken for
// one over them as a content if the SignerInfo hid that there were any.
func (d *digests) looksSigned() bool {
	in := cryptobyte.String(d.start)
	if d.n <= int64(len(d.start)) {
		var set, sequence, id cryptobyte.String
		return in.ReadASN1(&set, casn1.SET) && in.Empty() &&
			set.ReadASN1(&sequence, casn1.SEQUENCE) && sequence.ReadASN1(&id, casn1.OBJECT_IDENTIFIER)
	}
	// It is too long to be held. No mail begins like a SET of that size, so that
	// is enough.
	return d.start[0] == cms.TagSet && d.start[1] > 0x80
}

// hashOf knows the digests that are computed, also those that are too weak to
// count (RFC 5754, Section 2; RFC 3370, Section 2). It is 0 for others.
func hashOf(id cms.OID) crypto.Hash {
	switch id.String() {
	case "1.2.840.113549.2.5":
		return crypto.MD5
	case "1.3.14.3.2.26":
		return crypto.SHA1
	case "2.16.840.1.101.3.4.2.4":
		return crypto.SHA224
	case "2.16.840.1.101.3.4.2.1":
		return crypto.SHA256
	case "2.16.840.1.101.3.4.2.2":
		return crypto.SHA384
	case "2.16.840.1.101.3.4.2.3":
		return crypto.SHA512
	}
	return 0
}

// weak says what is wrong with a digest, or "" (RFC 8551, Section 2.1).
func weak(h crypto.Hash) string {
	switch h {
	case crypto.MD5, crypto.SHA1:
		return h.String() + " is broken, so that others can have the same signature"
	case crypto.SHA224:
		return h.String() + " is too short"
	}
	return ""
}
