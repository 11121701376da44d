package pgpmime

import (
	"encoding/base64"
	"fmt"
	"io"

	"waxseal/signer"
)

// armorBlock is how much is encoded at once: whole lines of base64.
const armorBlock = 57 * 420

// armorWriter writes ASCII armor (RFC 9580, Section 6.2) with CRLF line ends
// and, always, the CRC-24: without it GnuPG 2.2 and RNP reject armor whose
// base64 has no padding.
type armorWriter struct {
	w     io.Writer
	kind  string
	lines io.WriteCloser
	crc   crc24
	block []byte
}

// newArmorWriter begins armor of that kind, such as "PGP MESSAGE". Close ends
// it and does not close w.
func newArmorWriter(w io.Writer, kind string) (*armorWriter, error) {
	if _, err := fmt.Fprintf(w, "-----BEGIN %s-----\r\n\r\n", kind); err != nil {
		return nil, err
	}
	return &armorWriter{w: w, kind: kind, lines: signer.NewBase64Writer(w), crc: crc24Start}, nil
}

// Write encodes p.
func (a *armorWriter) Write(p []byte) (int, error) {
	taken := len(p)
	for len(p) > 0 {
		n := min(len(p), armorBlock-len(a.block))
		a.block, p = append(a.block, p[:n]...), p[n:]
		if len(a.block) == armorBlock {
			if err := a.flush(); err != nil {
				return 0, err
			}
		}
	}
	return taken, nil
}

func (a *armorWriter) flush() error {
	a.crc = a.crc.update(a.block)
	_, err := a.lines.Write(a.block)
	a.block = a.block[:0]
	return err
}

// Close writes what is left, the checksum and the tail line.
func (a *armorWriter) Close() error {
	if err := a.flush(); err != nil {
		return err
	}
	if err := a.lines.Close(); err != nil {
		return err
	}
	sum := base64.StdEncoding.EncodeToString(a.crc.sum())
	_, err := fmt.Fprintf(a.w, "=%s\r\n-----END %s-----\r\n", sum, a.kind)
	return err
}

// crc24 is the checksum of RFC 9580, Section 6.1, in the upper three bytes.
type crc24 uint32

const (
	crc24Start crc24 = 0xb704ce << 8
	crc24Poly  crc24 = 0x864cfb << 8
)

// crc24Tables holds in row i what a byte does to the checksum i bytes later.
var crc24Tables = func() (t [8][256]crc24) {
	for b := range t[0] {
		c := crc24(b) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ crc24Poly
			} else {
				c <<= 1
			}
		}
		t[0][b] = c
	}
	for i := 1; i < len(t); i++ {
		for b := range t[i] {
			c := t[i-1][b]
			t[i][b] = c<<8 ^ t[0][c>>24]
		}
	}
	return t
}()

// update returns the checksum after p, eight bytes at a time.
func (c crc24) update(p []byte) crc24 {
	t := &crc24Tables
	for len(p) >= 8 {
		c ^= crc24(p[0])<<24 | crc24(p[1])<<16 | crc24(p[2])<<8 | crc24(p[3])
		c = t[7][c>>24] ^ t[6][c>>16&0xff] ^ t[5][c>>8&0xff] ^ t[4][c&0xff] ^
			t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	for _, b := range p {
		c = c<<8 ^ t[0][byte(c>>24)^b]
	}
	return c
}

// sum returns the checksum as it is encoded.
func (c crc24) sum() []byte { return []byte{byte(c >> 24), byte(c >> 16), byte(c >> 8)} }
