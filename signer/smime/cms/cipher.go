package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Cipher is a content-encryption algorithm. Its zero value is AES256CBC, which
// every S/MIME program in use can decrypt.
type Cipher int

const (
	// AES256CBC is AES-256 in CBC mode, in EnvelopedData (RFC 3565).
	AES256CBC Cipher = iota
	// AES256GCM is AES-256 in GCM mode with a nonce of 12 and a tag of 16
	// octets, in AuthEnvelopedData (RFC 5083, RFC 5084).
	AES256GCM
)

// String returns the cipher's name, "aes256-cbc" or "aes256-gcm".
func (c Cipher) String() string {
	switch c {
	case AES256CBC:
		return "aes256-cbc"
	case AES256GCM:
		return "aes256-gcm"
	}
	return fmt.Sprintf("cipher %d", int(c))
}

const keySize = 32 // octets of an AES-256 key

// chunkSize is how much content is encrypted at a time, a multiple of the
// block size.
const chunkSize = 32 << 10

// contentCipher encrypts one content in order.
type contentCipher interface {
	// size is the length of the ciphertext of n octets of content.
	size(n int64) int64
	// encrypt encrypts a chunk of chunkSize octets in place.
	encrypt(chunk []byte)
	// last encrypts what remains, fewer than chunkSize octets and perhaps
	// none. It may append up to a block to chunk.
	last(chunk []byte) []byte
	// mac is the message authentication code, nil if there is none. It is
	// called after last.
	mac() []byte
}

// newContentCipher returns the cipher under that key, ready for one content,
// and its AlgorithmIdentifier. iv has ivSize octets.
func (c Cipher) newContentCipher(key, iv []byte) (contentCipher, []byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	var body contentCipher
	var oid asn1.ObjectIdentifier
	var parameters func(b *cryptobyte.Builder)
	switch c {
	case AES256CBC:
		body, oid = &cbc{mode: cipher.NewCBCEncrypter(block, iv)}, oidAES256CBC
		parameters = func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) }
	case AES256GCM:
		if body, err = newGCM(block, iv); err != nil {
			return nil, nil, err
		}
		oid = oidAES256GCM
		// GCMParameters (RFC 5084, Section 3.2). The tag's length has to be
		// stated, because its default is 12.
		parameters = func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(iv)
				b.AddASN1Int64(tagSize)
			})
		}
	}
	algorithm, err := build("content-encryption algorithm", func(b *cryptobyte.Builder) {
		addAlgorithm(b, oid, parameters)
	})
	return body, algorithm, err
}

// ivSize is the length of the initialization vector or nonce, or 0 for a
// cipher that is not known.
func (c Cipher) ivSize() int {
	switch c {
	case AES256CBC:
		return aes.BlockSize
	case AES256GCM:
		return nonceSize
	}
	return 0
}

// cbc is CBC mode with the padding of RFC 5652, Section 6.3.
type cbc struct{ mode cipher.BlockMode }

func (c *cbc) size(n int64) int64 { return n - n%aes.BlockSize + aes.BlockSize }

func (c *cbc) encrypt(chunk []byte) { c.mode.CryptBlocks(chunk, chunk) }

func (c *cbc) last(chunk []byte) []byte {
	pad := aes.BlockSize - len(chunk)%aes.BlockSize
	for range pad {
		chunk = append(chunk, byte(pad))
	}
	c.mode.CryptBlocks(chunk, chunk)
	return chunk
}

func (c *cbc) mac() []byte { return nil }
