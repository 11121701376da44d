package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// nonceSize and tagSize are in octets. The standard library's default sizes
// are the same (NIST SP 800-38D).
const (
	nonceSize = 12
	tagSize   = 16
)

// gcm is Galois/Counter Mode over content of any length. The standard
// library's AEAD wants the whole content at once, so counter mode runs as a
// stream of its own and the authentication is folded together chunk by chunk.
// We write no additional authenticated data: AuthEnvelopedData without
// authenticated attributes has none (RFC 5083, Section 2.2).
type gcm struct {
	ctr    cipher.Stream
	hash   ghash
	length int64
}

func newGCM(block cipher.Block, nonce []byte) (*gcm, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	g := &gcm{hash: ghash{aead: aead, nonce: nonce}}

	var b [aes.BlockSize]byte
	block.Encrypt(b[:], b[:])
	g.hash.h = load(b[:])
	g.hash.chunkPower = g.hash.h.power(chunkSize / aes.BlockSize)

	// J0, the counter block that masks the tag; the content's is the next.
	copy(b[:], nonce)
	binary.BigEndian.PutUint32(b[nonceSize:], 1)
	var mask [aes.BlockSize]byte
	block.Encrypt(mask[:], b[:])
	g.hash.mask = load(mask[:])
	binary.BigEndian.PutUint32(b[nonceSize:], 2)
	g.ctr = cipher.NewCTR(block, b[:])
	return g, nil
}

func (g *gcm) size(n int64) int64 { return n }

func (g *gcm) encrypt(chunk []byte) {
	g.ctr.XORKeyStream(chunk, chunk)
	g.hash.fold(chunk)
	g.length += int64(len(chunk))
}

func (g *gcm) last(chunk []byte) []byte {
	g.encrypt(chunk)
	return chunk
}

func (g *gcm) mac() []byte { return g.macWith(nil) }

// macWith is mac with additional authenticated data. The data come before the
// content in GHASH, but after it in the message: their part of the polynomial is
// computed by itself and raised by the blocks of the content.
func (g *gcm) macWith(data []byte) []byte {
	ahead := g.hash
	ahead.sum = element{}
	for rest := data; len(rest) > 0; {
		n := min(len(rest), chunkSize)
		ahead.fold(rest[:n])
		rest = rest[n:]
	}
	if blocks := int((g.length + aes.BlockSize - 1) / aes.BlockSize); blocks > 0 {
		ahead.sum = ahead.sum.mul(g.hash.h.power(blocks))
	}
	lengths := element{hi: uint64(len(data)) * 8, lo: uint64(g.length) * 8}
	tag := make([]byte, tagSize)
	ahead.sum.add(g.hash.sum).add(lengths.mul(g.hash.h)).add(g.hash.mask).store(tag)
	return tag
}

// ghash computes GHASH (NIST SP 800-38D, Section 6.4) of a long text with the
// one-shot AEAD of the standard library, which has it in constant-time
// assembly, and a few multiplications of our own for each chunk.
//
// GHASH is a polynomial in the secret H, the encryption of the zero block. For
// blocks X1 to Xm let S(X) = X1 H^m + ... + Xm H. The AEAD's tag for no
// plaintext and the additional data X is
//
//	tag(X) = (S(X) + L) H + mask, where L = the length of X in bits, and 0
//
// so S(X) H = tag(X) + mask + L H. A text X, Y whose Y has n blocks has
// S(X, Y) H = S(X) H H^n + S(Y) H, and its tag as a ciphertext comes from
// S(X, Y) H in the same way. These inner tags never leave the process, so that
// they share a nonce gives nothing away.
type ghash struct {
	aead       cipher.AEAD
	nonce      []byte
	h, mask    element
	chunkPower element // H to the number of blocks in chunkSize
	sum        element // S of all that was folded in, times H
	tag        [tagSize]byte
}

// fold appends a chunk to the text. Every chunk but the last is a multiple of
// the block size; the last is filled up with zeros, as GHASH does.
func (g *ghash) fold(chunk []byte) {
	if len(chunk) == 0 {
		return
	}
	power := g.chunkPower
	if len(chunk) != chunkSize {
		power = g.h.power((len(chunk) + aes.BlockSize - 1) / aes.BlockSize)
	}
	g.aead.Seal(g.tag[:0], g.nonce, nil, chunk)
	lengths := element{hi: uint64(len(chunk)) * 8}
	g.sum = g.sum.mul(power).add(load(g.tag[:])).add(g.mask).add(lengths.mul(g.h))
}

// element is an element of the field GF(2^128) in the bit order of GCM: the
// most significant bit of hi is the coefficient of x^0.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (e element) store(b []byte) {
	binary.BigEndian.PutUint64(b, e.hi)
	binary.BigEndian.PutUint64(b[8:], e.lo)
}

func (e element) add(f element) element { return element{e.hi ^ f.hi, e.lo ^ f.lo} }

// mul multiplies in constant time: shift and add, with masks and no branches
// or look-ups that depend on the elements (NIST SP 800-38D, Section 6.3).
func (e element) mul(f element) element {
	var z element
	for i := range 128 {
		word := e.hi
		if i >= 64 {
			word = e.lo
		}
		bit := -(word >> (63 - i%64) & 1)
		z.hi ^= f.hi & bit
		z.lo ^= f.lo & bit
		carry := -(f.lo & 1)
		f.lo = f.lo>>1 | f.hi<<63
		f.hi = f.hi>>1 ^ carry&(0xe1<<56)
	}
	return z
}

// power returns e to the n, for n of 1 or more. Its time depends on n alone.
func (e element) power(n int) element {
	out := e
	for bit := bitsBelowTop(n); bit != 0; bit >>= 1 {
		out = out.mul(out)
		if n&bit != 0 {
			out = out.mul(e)
		}
	}
	return out
}

// bitsBelowTop returns the value of the bit below the highest one set in n.
func bitsBelowTop(n int) int {
	bit := 1
	for bit<<1 <= n {
		bit <<= 1
	}
	return bit >> 1
}
