package pgpmime

import (
	"crypto"
	_ "crypto/sha1" // weak digests are recognized, and reported as such
	_ "crypto/sha3"
	"fmt"
	"hash"
	"io"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// digestByID returns the digest of an OpenPGP number (RFC 9580, Section 9.5)
// and its name; 0 if signatures with it can't be verified here.
func digestByID(id byte) (crypto.Hash, string) {
	switch id {
	case 1:
		return 0, "md5"
	case 2:
		return crypto.SHA1, "sha1"
	case 3:
		return 0, "ripemd160"
	case 8:
		return crypto.SHA256, "sha256"
	case 9:
		return crypto.SHA384, "sha384"
	case 10:
		return crypto.SHA512, "sha512"
	case 11:
		return crypto.SHA224, "sha224"
	case 12:
		return crypto.SHA3_256, "sha3-256"
	case 14:
		return crypto.SHA3_512, "sha3-512"
	}
	return 0, fmt.Sprintf("digest%d", id)
}

// digestID returns the OpenPGP number of a digest that is used for signing.
func digestID(digest crypto.Hash) byte {
	switch digest {
	case crypto.SHA384:
		return 9
	case crypto.SHA512:
		return 10
	}
	return 8
}

// isWeakDigest reports whether collisions of a digest are known. RFC 9580,
// Section 9.5.
func isWeakDigest(id byte) bool { return id >= 1 && id <= 3 }

// digestKey is what decides how a document is hashed for a signature.
type digestKey struct {
	id   byte
	text bool   // a signature over text, with CRLF line ends
	salt string // of a v6 signature
}

// runningDigest is one that a document is written to.
type runningDigest struct {
	state hash.Hash
	write io.Writer // to state, with CRLF line ends if it is text
}

// digests hashes a document for all its signatures at once.
type digests map[digestKey]runningDigest

// add begins a digest, unless it is there or not known. There are few: more
// signatures than that are not verified.
func (d digests) add(k digestKey) {
	h, _ := digestByID(k.id)
	if _, ok := d[k]; ok || h == 0 || !h.Available() || len(d) == maxSignaturesOfOne {
		return
	}
	state := h.New()
	state.Write([]byte(k.salt))
	running := runningDigest{state, state}
	if k.text {
		running.write = openpgp.NewCanonicalTextHash(state)
	}
	d[k] = running
}

// Write hashes p; it never fails.
func (d digests) Write(p []byte) (int, error) {
	for _, running := range d {
		running.write.Write(p)
	}
	return len(p), nil
}

// state returns a copy of a digest's state; nil if there is none.
func (d digests) state(k digestKey) hash.Hash {
	running, ok := d[k]
	if !ok {
		return nil
	}
	cloner, ok := running.state.(hash.Cloner)
	if !ok {
		return nil
	}
	clone, err := cloner.Clone()
	if err != nil {
		return nil
	}
	return clone
}
