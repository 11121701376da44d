package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
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
	// AES128CBC is AES256CBC with a key of 128 bits.
	AES128CBC
	// AES128GCM is AES256GCM with a key of 128 bits.
	AES128GCM
	// AES192CBC is AES256CBC with a key of 192 bits. It is read only.
	AES192CBC
	// AES192GCM is AES256GCM with a key of 192 bits. It is read only.
	AES192GCM
	// TripleDESCBC is Triple DES with three keys in CBC mode (RFC 3370, Section
	// 5.1), of use for old mail alone. It is read only.
	TripleDESCBC
)

// suite is what a Cipher stands for. Sizes are in octets.
type suite struct {
	name      string
	oid       asn1.ObjectIdentifier
	key       int
	gcm       bool
	tripleDES bool
	written   bool
}

// suites has a row for each Cipher.
var suites = [...]suite{
	AES256CBC:    {name: "aes256-cbc", oid: oidAES256CBC, key: 32, written: true},
	AES256GCM:    {name: "aes256-gcm", oid: oidAES256GCM, key: 32, gcm: true, written: true},
	AES128CBC:    {name: "aes128-cbc", oid: oidAES128CBC, key: 16, written: true},
	AES128GCM:    {name: "aes128-gcm", oid: oidAES128GCM, key: 16, gcm: true, written: true},
	AES192CBC:    {name: "aes192-cbc", oid: oidAES192CBC, key: 24},
	AES192GCM:    {name: "aes192-gcm", oid: oidAES192GCM, key: 24, gcm: true},
	TripleDESCBC: {name: "des-ede3-cbc", oid: oidTripleDESCBC, key: 24, tripleDES: true},
}

func (c Cipher) known() bool { return c >= 0 && int(c) < len(suites) }

// String returns the cipher's name, "aes256-cbc" for example.
func (c Cipher) String() string {
	if c.known() {
		return suites[c].name
	}
	return fmt.Sprintf("cipher %d", int(c))
}

// ParseCipher returns the cipher of that name, one that can be written.
func ParseCipher(name string) (Cipher, error) {
	for c, s := range suites {
		if s.name == name && s.written {
			return Cipher(c), nil
		}
	}
	return 0, fmt.Errorf("unknown cipher %q; there are aes128-cbc, aes256-cbc, aes128-gcm and aes256-gcm", name)
}

// Authenticates reports whether the cipher shows that content was changed.
func (c Cipher) Authenticates() bool { return c.known() && suites[c].gcm }

// chunkSize is how much content is encrypted at a time, a multiple of the
// block size.
const chunkSize = 32 << 10

// block returns the block cipher under that key, which has the right length.
func (s suite) block(key []byte) (cipher.Block, error) {
	if s.tripleDES {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

// ivSize is the length of the initialization vector or nonce.
func (s suite) ivSize() int {
	switch {
	case s.gcm:
		return nonceSize
	case s.tripleDES:
		return des.BlockSize
	}
	return aes.BlockSize
}

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
func (s suite) newContentCipher(key, iv []byte) (contentCipher, []byte, error) {
	block, err := s.block(key)
	if err != nil {
		return nil, nil, err
	}
	var body contentCipher
	var parameters func(b *cryptobyte.Builder)
	if s.gcm {
		if body, err = newGCM(block, iv); err != nil {
			return nil, nil, err
		}
		// GCMParameters (RFC 5084, Section 3.2). The tag's length has to be
		// stated, because its default is 12.
		parameters = func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(iv)
				b.AddASN1Int64(tagSize)
			})
		}
	} else {
		body = &cbc{mode: cipher.NewCBCEncrypter(block, iv)}
		parameters = func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) }
	}
	algorithm, err := build("content-encryption algorithm", func(b *cryptobyte.Builder) {
		addAlgorithm(b, s.oid, parameters)
	})
	return body, algorithm, err
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
