package signer

import (
	"errors"
	"io"
)

// errAfterPadding says that base64 goes on behind its padding, where some
// programs stop and others read on.
var errAfterPadding = errors.New("base64 goes on after its end")

// base64Decoder decodes base64 as mail programs do: characters of no meaning
// are passed over (RFC 2045, Section 6.8), and missing padding is forgiven.
type base64Decoder struct {
	w     io.WriteCloser
	value [256]int8 // of a character, or -1
	bits  uint32
	n     int // characters in bits
	ended bool
	out   []byte
}

// newBase64Decoder returns a decoder with a buffer of that size, 3 at least.
func newBase64Decoder(w io.WriteCloser, buffer int) *base64Decoder {
	d := &base64Decoder{w: w, out: make([]byte, 0, buffer)}
	for i := range d.value {
		d.value[i] = -1
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(alphabet) {
		d.value[alphabet[i]] = int8(i)
	}
	return d
}

// Write decodes p. The error is errAfterPadding or one of the writer below.
func (d *base64Decoder) Write(p []byte) (int, error) {
	for _, c := range p {
		v := d.value[c]
		switch {
		case v >= 0 && d.ended:
			return 0, errAfterPadding
		case v >= 0:
			d.bits = d.bits<<6 | uint32(v)
			if d.n++; d.n == 4 {
				d.out = append(d.out, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
				d.n = 0
			}
		case c == '=' && d.n >= 2:
			d.rest()
			d.ended = true
		}
		if cap(d.out)-len(d.out) < 3 {
			if err := d.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// rest takes a last group of two or three characters.
func (d *base64Decoder) rest() {
	switch d.n {
	case 2:
		d.out = append(d.out, byte(d.bits>>4))
	case 3:
		d.out = append(d.out, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.n = 0
}

func (d *base64Decoder) flush() error {
	_, err := d.w.Write(d.out)
	d.out = d.out[:0]
	return err
}

// Close writes what is left and closes the writer below.
func (d *base64Decoder) Close() error {
	d.rest()
	if err := d.flush(); err != nil {
		return err
	}
	return d.w.Close()
}
