package signer

import "io"

// NewContent returns a Content that holds the bytes themselves; they must not
// be changed afterwards.
func NewContent(b []byte) Content { return bytesContent(b) }

type bytesContent []byte

func (b bytesContent) Size() int64 { return int64(len(b)) }

func (b bytesContent) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

// Concat returns the contents one after the other, without copying them.
func Concat(contents ...Content) Content { return rope(contents) }

type rope []Content

func (r rope) Size() int64 {
	var n int64
	for _, c := range r {
		n += c.Size()
	}
	return n
}

func (r rope) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for _, c := range r {
		m, err := c.WriteTo(w)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
