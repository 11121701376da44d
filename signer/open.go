package signer

import (
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
)

// ErrEncoding says that a body is not in the transfer encoding that its part
// announces.
var ErrEncoding = errors.New("malformed transfer encoding")

// Ambiguous says in words why programs may read the part differently, or is "".
func (p *Part) Ambiguous() string { return p.ambiguous }

// Open returns the data of a leaf's body in src, its transfer encoding undone.
// Base64 with anything else in it is malformed: programs that pass over it pass
// over text. An error of the reader is one of src, or wraps ErrEncoding.
func (p *Part) Open(src Source) io.Reader {
	raw := &rawReader{r: io.NewSectionReader(src, p.BodyStart, p.BodyEnd-p.BodyStart)}
	switch {
	case p.Encoding == "base64":
		return &decodedReader{raw: raw, r: newBase64Reader(raw)}
	case p.Encoding == "quoted-printable":
		return &decodedReader{raw: raw, r: quotedprintable.NewReader(raw)}
	case identity(p.Encoding):
		return raw
	}
	return &decodedReader{raw: raw, r: brokenEncoding{}}
}

// rawReader remembers what went wrong with the source.
type rawReader struct {
	r   io.Reader
	err error
}

func (r *rawReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// decodedReader tells errors of the encoding from those of the source.
type decodedReader struct {
	raw *rawReader
	r   io.Reader
}

func (d *decodedReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	switch {
	case err == nil || err == io.EOF:
	case d.raw.err != nil:
		err = d.raw.err
	default:
		err = fmt.Errorf("%w: %v", ErrEncoding, err)
	}
	return n, err
}
