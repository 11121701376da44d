package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/asn1"
	"encoding/binary"
)

// wrapIV is the initial value of RFC 3394, Section 2.2.3.1.
const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrapKeySize is the length of the key of a key-wrap algorithm, in octets, or 0
// for one that is not known.
func wrapKeySize(oid asn1.ObjectIdentifier) int {
	switch {
	case oid.Equal(oidAES128Wrap):
		return 16
	case oid.Equal(oidAES192Wrap):
		return 24
	case oid.Equal(oidAES256Wrap):
		return 32
	}
	return 0
}

// wrapKey encrypts a key of 16 octets or more, a multiple of 8, with AES key wrap
// (RFC 3394, Section 2.2.1).
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	n := len(key) / 8
	out := make([]byte, 8, 8+len(key))
	out = append(out, key...)
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], wrapIV)
	for t := 1; t <= 6*n; t++ {
		r := out[8*((t-1)%n+1):][:8]
		copy(b[8:], r)
		block.Encrypt(b[:], b[:])
		binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])^uint64(t))
		copy(r, b[8:])
	}
	copy(out, b[:8])
	return out, nil
}

// unwrapKey is the reverse (RFC 3394, Section 2.2.2). It returns nil if the
// wrapped key is not one that was wrapped with kek.
func unwrapKey(kek, wrapped []byte) []byte {
	block, err := aes.NewCipher(kek)
	if err != nil || len(wrapped) < 24 || len(wrapped)%8 != 0 {
		return nil
	}
	n := len(wrapped)/8 - 1
	out := append([]byte(nil), wrapped[8:]...)
	var b [aes.BlockSize]byte
	copy(b[:], wrapped[:8])
	for t := 6 * n; t > 0; t-- {
		r := out[8*((t-1)%n):][:8]
		binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])^uint64(t))
		copy(b[8:], r)
		block.Decrypt(b[:], b[:])
		copy(r, b[8:])
	}
	var want [8]byte
	binary.BigEndian.PutUint64(want[:], wrapIV)
	if subtle.ConstantTimeCompare(b[:8], want[:]) == 0 {
		return nil
	}
	return out
}
