package signer

import (
	"bytes"
	"errors"
	"io"
)

const blockSize = 64 << 10 // what is read from a Source at once

// line is a line or, if it is longer than a block, a piece of one.
type line struct {
	text  []byte // without the line end; valid until the next call
	start int64  // where text begins
	first bool   // text begins the line
	last  bool   // text ends the line
	eol   int    // length of the line end: 2 CRLF, 1 LF, 0 end of the source
}

// next is where the next line begins, if this is the last piece of one.
func (l line) next() int64 { return l.start + int64(len(l.text)+l.eol) }

// lineReader cuts a run of a Source into lines. Lines end with CRLF or, in
// files that never saw SMTP, with LF; a CR elsewhere is a byte like others.
type lineReader struct {
	src    Source
	at     int64 // where buf begins in src
	end    int64
	block  []byte
	buf    []byte // what is read and not yet given out
	middle bool   // buf begins within a line
}

func newLineReader(src Source, r Range) *lineReader {
	return &lineReader{src: src, at: r.Start, end: r.End, block: make([]byte, min(blockSize, max(r.Len(), 1)))}
}

// read returns the next line or piece, or io.EOF.
func (r *lineReader) read() (line, error) {
	i := bytes.IndexByte(r.buf, '\n')
	if i < 0 {
		if err := r.fill(); err != nil {
			return line{}, err
		}
		if len(r.buf) == 0 {
			return line{}, io.EOF
		}
		i = bytes.IndexByte(r.buf, '\n')
	}
	l := line{start: r.at, first: !r.middle, last: true}
	n := i + 1
	switch {
	case i > 0 && r.buf[i-1] == '\r':
		l.text, l.eol = r.buf[:i-1], 2
	case i >= 0:
		l.text, l.eol = r.buf[:i], 1
	default:
		n = len(r.buf)
		l.last = r.at+int64(n) == r.end
		if !l.last && r.buf[n-1] == '\r' {
			n-- // its LF may come in the next block
		}
		l.text = r.buf[:n]
	}
	r.middle = !l.last
	r.buf = r.buf[n:]
	r.at += int64(n)
	return l, nil
}

// fill moves what is left to the front and reads on.
func (r *lineReader) fill() error {
	n := copy(r.block, r.buf)
	want := min(int64(len(r.block)-n), r.end-r.at-int64(n))
	if want > 0 {
		if err := readFull(r.src, r.block[n:n+int(want)], r.at+int64(n)); err != nil {
			return err
		}
	}
	r.buf = r.block[:n+int(max(want, 0))]
	return nil
}

// readFull reads len(p) bytes at off. A Source that ends early breaks its word
// about its Size.
func readFull(src Source, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
