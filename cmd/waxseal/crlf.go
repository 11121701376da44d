package main

import (
	"bufio"
	"io"
)

// crlfReader gives a message file the line ends that mail has on its way: a
// bare LF becomes CRLF, everything else stays.
type crlfReader struct {
	r    *bufio.Reader
	last byte
	lf   bool // an LF is still to be given
}

func (c *crlfReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if c.lf {
			p[n], c.last, c.lf = '\n', '\n', false
			n++
			continue
		}
		b, err := c.r.ReadByte()
		if err != nil {
			if n > 0 && err == io.EOF {
				return n, nil
			}
			return n, err
		}
		if b == '\n' && c.last != '\r' {
			b, c.lf = '\r', true
		}
		p[n], c.last = b, b
		n++
	}
	return n, nil
}
