package signer

import (
	"encoding/base64"
	"encoding/binary"
	"io"
)

const (
	base64LineOctets = 57                  // what one encoded line holds
	base64LineChars  = 76                  // RFC 2045, Section 6.8
	base64Line       = base64LineChars + 2 // with its CRLF
	base64BlockLines = 420                 // lines that are written at once: 32 KiB
	base64PairsFrom  = 8 << 10             // octets in one write that are worth a table
)

// Base64Size returns how many bytes NewBase64Writer writes for n octets.
func Base64Size(n int64) int64 {
	chars := (n + 2) / 3 * 4
	lines := (chars + base64LineChars - 1) / base64LineChars
	return chars + 2*lines
}

// base64Writer collects whole lines, so that nothing is encoded in pieces.
type base64Writer struct {
	w     io.Writer
	out   []byte
	pairs *[1 << 12]uint16 // made for large writes: half as fast again
	held  [base64LineOctets]byte
	n     int // octets in held
	err   error
}

// NewBase64Writer returns a writer that encodes to w as RFC 2045, Section 6.8
// wants it: lines of 76 characters, each of them, the last one too, ended by
// CRLF. Close writes what is left and does not close w. It is not safe for
// concurrent use.
func NewBase64Writer(w io.Writer) io.WriteCloser {
	return &base64Writer{w: w}
}

// Write encodes the whole lines that p completes and keeps the rest.
func (b *base64Writer) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	taken := len(p)
	if b.n > 0 {
		n := copy(b.held[b.n:], p)
		b.n, p = b.n+n, p[n:]
		if b.n < len(b.held) {
			return taken, nil
		}
		if len(p) >= base64LineOctets {
			b.encode(b.held[:])
			b.n = 0
		}
	}
	for b.n == 0 && len(p) >= base64LineOctets {
		lines := min(len(p)/base64LineOctets, base64BlockLines)
		b.encode(p[:lines*base64LineOctets])
		p = p[lines*base64LineOctets:]
	}
	if b.n == len(b.held) {
		b.encode(b.held[:])
		b.n = 0
	}
	b.n += copy(b.held[b.n:], p)
	if b.err != nil {
		return 0, b.err
	}
	return taken, nil
}

// Close writes the last line. A second Close does nothing.
func (b *base64Writer) Close() error {
	if b.err == nil && b.n > 0 {
		b.encode(b.held[:b.n])
		b.n = 0
	}
	return b.err
}

// encode writes p as lines; p is whole lines or the last one.
func (b *base64Writer) encode(p []byte) {
	if b.err != nil {
		return
	}
	size := int(Base64Size(int64(len(p))))
	if cap(b.out) < size {
		b.out = make([]byte, size)
	}
	if b.pairs == nil && len(p) >= base64PairsFrom {
		b.pairs = newBase64Pairs()
	}
	out, at := b.out[:size], 0
	for len(p) > 0 {
		line := p[:min(len(p), base64LineOctets)]
		if b.pairs != nil && len(line) == base64LineOctets {
			encodeLine((*[base64Line]byte)(out[at:]), (*[base64LineOctets]byte)(line), b.pairs)
			at += base64Line
		} else {
			base64.StdEncoding.Encode(out[at:], line)
			at += base64.StdEncoding.EncodedLen(len(line))
			at += copy(out[at:], "\r\n")
		}
		p = p[len(line):]
	}
	_, b.err = b.w.Write(out)
}

// newBase64Pairs returns the two characters of each value of twelve bits, the
// first one in the low byte.
func newBase64Pairs() *[1 << 12]uint16 {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	pairs := new([1 << 12]uint16)
	for i := range pairs {
		pairs[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return pairs
}

// encodeLine encodes a whole line, six octets at a time and then the last three.
func encodeLine(out *[base64Line]byte, p *[base64LineOctets]byte, pairs *[1 << 12]uint16) {
	o := 0
	for i := 0; i+8 <= base64LineOctets; i += 6 {
		x := binary.BigEndian.Uint64(p[i:])
		binary.LittleEndian.PutUint64(out[o:], uint64(pairs[x>>52])|uint64(pairs[x>>40&0xFFF])<<16|
			uint64(pairs[x>>28&0xFFF])<<32|uint64(pairs[x>>16&0xFFF])<<48)
		o += 8
	}
	x := binary.BigEndian.Uint32(p[base64LineOctets-4:])
	binary.LittleEndian.PutUint32(out[o:], uint32(pairs[x>>12&0xFFF])|uint32(pairs[x&0xFFF])<<16)
	out[base64LineChars], out[base64LineChars+1] = '\r', '\n'
}
