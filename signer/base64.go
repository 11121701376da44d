package signer

import (
	"encoding/base64"
	"io"
)

const (
	base64LineOctets = 57                  // what one encoded line holds
	base64LineChars  = 76                  // RFC 2045, Section 6.8
	base64Line       = base64LineChars + 2 // with its CRLF
	base64BlockLines = 420                 // lines that are written at once: 32 KiB
)

// Base64Size returns how many bytes NewBase64Writer writes for n octets.
func Base64Size(n int64) int64 {
	chars := (n + 2) / 3 * 4
	lines := (chars + base64LineChars - 1) / base64LineChars
	return chars + 2*lines
}

// base64Writer collects whole lines, so that nothing is encoded in pieces.
type base64Writer struct {
	w    io.Writer
	out  []byte
	held [base64LineOctets]byte
	n    int // octets in held
	err  error
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
	out, at := b.out[:size], 0
	for len(p) > 0 {
		line := p[:min(len(p), base64LineOctets)]
		base64.StdEncoding.Encode(out[at:], line)
		at += base64.StdEncoding.EncodedLen(len(line))
		at += copy(out[at:], "\r\n")
		p = p[len(line):]
	}
	_, b.err = b.w.Write(out)
}
