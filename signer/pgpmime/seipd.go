package pgpmime

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// seipdChunk is the length of the parts of an encrypted packet that is
	// written before its end is known; a power of two (RFC 9580, Section
	// 4.2.1.4).
	seipdChunkBits = 15
	seipdChunk     = 1 << seipdChunkBits
	// aeadChunk is how much version 2 authenticates at once, RFC 9580,
	// Section 5.13.2. Receivers hold one in memory.
	aeadChunk = 1 << 16
)

// newSEIPD begins a Symmetrically Encrypted and Integrity Protected Data packet
// with AES-256, in version 2 or 1.
func newSEIPD(w io.Writer, form dataForm, sessionKey []byte, config *packet.Config) (io.WriteCloser, error) {
	if form.version != 2 {
		return newSEIPD1(w, sessionKey, config.Random())
	}
	settings := *config
	settings.AEADConfig = &packet.AEADConfig{DefaultMode: form.mode, ChunkSize: aeadChunk}
	suite := packet.CipherSuite{Cipher: packet.CipherAES256, Mode: form.mode}
	return packet.SerializeSymmetricallyEncrypted(w, packet.CipherAES256, true, suite, sessionKey, &settings)
}

// seipd1 writes version 1 (RFC 9580, Section 5.13.1): CFB with an initial
// vector of zeros, a random prefix, and a SHA-1 of all in a Modification
// Detection Code packet. The library's writer encrypts byte by byte and
// allocates a copy of everything.
type seipd1 struct {
	w     io.Writer
	block cipher.Block
	mdc   hash.Hash
	// buf begins with the encrypted part of the chunk; its bytes from plain on
	// have still to be hashed and encrypted.
	buf   []byte
	plain int
	// register is the key stream of the current block; its first used bytes
	// have become ciphertext.
	register [aes.BlockSize]byte
	used     int
}

func newSEIPD1(w io.Writer, sessionKey []byte, random io.Reader) (*seipd1, error) {
	block, err := aes.NewCipher(sessionKey)
	if err != nil {
		return nil, err
	}
	s := &seipd1{w: w, block: block, mdc: sha1.New(), used: aes.BlockSize}
	// The version is not encrypted.
	s.buf, s.plain = append(s.buf, 1), 1
	prefix := make([]byte, aes.BlockSize+2)
	if _, err := io.ReadFull(random, prefix[:aes.BlockSize]); err != nil {
		return nil, fmt.Errorf("choose a random prefix: %w", err)
	}
	copy(prefix[aes.BlockSize:], prefix[aes.BlockSize-2:])
	if _, err := w.Write([]byte{0xc0 | 18}); err != nil {
		return nil, err
	}
	_, err = s.Write(prefix)
	return s, err
}

// Write encrypts p.
func (s *seipd1) Write(p []byte) (int, error) {
	taken := len(p)
	for len(p) > 0 {
		if len(s.buf) == seipdChunk {
			s.seal(len(s.buf))
			if _, err := s.w.Write([]byte{0xe0 | seipdChunkBits}); err != nil {
				return 0, err
			}
			if _, err := s.w.Write(s.buf); err != nil {
				return 0, err
			}
			s.buf, s.plain = s.buf[:0], 0
		}
		n := min(len(p), seipdChunk-len(s.buf))
		s.buf, p = append(s.buf, p[:n]...), p[n:]
	}
	return taken, nil
}

// Close writes the last part with the Modification Detection Code.
func (s *seipd1) Close() error {
	s.buf = append(s.buf, 0xd3, sha1.Size)
	s.seal(len(s.buf))
	s.buf = s.mdc.Sum(s.buf)
	s.encrypt(s.buf[s.plain:])
	length := binary.BigEndian.AppendUint32([]byte{0xff}, uint32(len(s.buf)))
	if _, err := s.w.Write(length); err != nil {
		return err
	}
	_, err := s.w.Write(s.buf)
	return err
}

// seal hashes and encrypts the buffer up to end.
func (s *seipd1) seal(end int) {
	s.mdc.Write(s.buf[s.plain:end])
	s.encrypt(s.buf[s.plain:end])
	s.plain = end
}

// encrypt is CFB mode: the key stream of a block is the ciphertext of the one
// before it, encrypted once more. RFC 9580, Section 12.9.
func (s *seipd1) encrypt(p []byte) {
	r := &s.register
	for len(p) > 0 {
		if s.used == aes.BlockSize {
			s.block.Encrypt(r[:], r[:])
			s.used = 0
		}
		if s.used == 0 && len(p) >= aes.BlockSize {
			a, b := binary.NativeEndian.Uint64(r[:8]), binary.NativeEndian.Uint64(r[8:])
			a ^= binary.NativeEndian.Uint64(p[:8])
			b ^= binary.NativeEndian.Uint64(p[8:16])
			binary.NativeEndian.PutUint64(r[:8], a)
			binary.NativeEndian.PutUint64(r[8:], b)
			copy(p, r[:])
			p = p[aes.BlockSize:]
			s.used = aes.BlockSize
			continue
		}
		r[s.used] ^= p[0]
		p[0] = r[s.used]
		p = p[1:]
		s.used++
	}
}
