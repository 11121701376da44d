package signer

import (
	"bufio"
	"bytes"
	"io"
)

// lineEndWriter writes each LF that has no CR before it as CRLF.
type lineEndWriter struct {
	w  *bufio.Writer
	cr bool // the last byte was a CR
}

// newLineEndWriter returns a writer that writes through a buffer of that size.
func newLineEndWriter(w io.Writer, buffer int) *lineEndWriter {
	return &lineEndWriter{w: bufio.NewWriterSize(w, buffer)}
}

func (l *lineEndWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.w.Write(p)
			l.cr = p[len(p)-1] == '\r'
			break
		}
		l.w.Write(p[:i])
		if i > 0 && p[i-1] == '\r' || i == 0 && l.cr {
			l.w.WriteByte('\n')
		} else {
			l.w.WriteString("\r\n")
		}
		l.cr = false
		p = p[i+1:]
	}
	if _, err := l.w.Write(nil); err != nil { // the error of one of the writes above
		return 0, err
	}
	return n, nil
}

// Close writes what is left and does not close the writer below.
func (l *lineEndWriter) Close() error { return l.w.Flush() }
