package signer

import (
	"encoding/base64"
	"errors"
	"io"
)

var errBase64 = errors.New("malformed base64")

// base64Reader decodes base64 and takes nothing else but white space: the
// decoders of mail programs pass over other characters, and so over text.
type base64Reader struct {
	src    io.Reader
	raw    [4 << 10]byte
	text   [4<<10 + 4]byte // base64 without white space; first what is left over
	left   int
	out    [3<<10 + 3]byte
	ready  []byte // what of out has not been given out
	padded bool   // the last quantum has been seen
	err    error
}

func newBase64Reader(src io.Reader) *base64Reader { return &base64Reader{src: src} }

func (r *base64Reader) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// fill reads a block and decodes all whole quanta.
func (r *base64Reader) fill() {
	n, err := r.src.Read(r.raw[:])
	size := r.left
	for _, c := range r.raw[:n] {
		if c > ' ' {
			r.text[size] = c
			size++
		} else if !isSpace(c) {
			r.err = errBase64
			return
		}
	}
	if r.padded && size > 0 {
		r.err = errBase64
		return
	}
	whole := size / 4 * 4
	decoded, decodeErr := base64.StdEncoding.Strict().Decode(r.out[:], r.text[:whole])
	if decodeErr != nil {
		r.err = errBase64
		return
	}
	r.ready = r.out[:decoded]
	r.padded = r.padded || decoded < whole/4*3
	r.left = copy(r.text[:], r.text[whole:size])
	switch {
	case err == io.EOF && r.left > 0:
		r.err = errBase64
	case err != nil:
		r.err = err
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
