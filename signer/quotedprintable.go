package signer

import (
	"bufio"
	"bytes"
	"io"
)

const (
	quotedLine  = 75      // characters before the = that breaks a line
	quotedAhead = 1 << 10 // bytes that are looked at before one is written
	upperHex    = "0123456789ABCDEF"
)

// quotedWriter encodes as quoted-printable (RFC 2045, Section 6.7). What it
// writes is safe for PGP/MIME too, where no line may end with white space or
// begin with "From " (RFC 3156, Section 5), and holds no line that could be
// taken for a boundary.
type quotedWriter struct {
	w   *bufio.Writer
	buf []byte
	col int // characters of the line so far

	// unix says that a bare LF ends a line, too.
	unix bool
	// repair says that the input is quoted-printable already: what is encoded
	// stays as it is, and the rest becomes what it should be.
	repair bool
}

// newQuotedWriter returns a writer that writes through a buffer of that size.
func newQuotedWriter(w io.Writer, buffer int, unix, repair bool) *quotedWriter {
	return &quotedWriter{w: bufio.NewWriterSize(w, buffer), unix: unix || repair, repair: repair}
}

// Write encodes p but for the last bytes, whose meaning is not known yet.
func (q *quotedWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), blockSize/2)
		q.buf = append(q.buf, p[:k]...)
		p = p[k:]
		done, err := q.encode(len(q.buf) - quotedAhead)
		if err != nil {
			return 0, err
		}
		q.buf = q.buf[:copy(q.buf, q.buf[done:])]
	}
	return n, nil
}

// Close encodes what is left and does not close the writer below.
func (q *quotedWriter) Close() error {
	if _, err := q.encode(len(q.buf)); err != nil {
		return err
	}
	q.buf = nil
	return q.w.Flush()
}

// encode encodes what begins before end and returns how far it came.
func (q *quotedWriter) encode(end int) (int, error) {
	i := 0
	for i < end {
		if n := q.plain(i); n > 0 {
			q.w.Write(q.buf[i : i+n])
			q.col += n
			i += n
			continue
		}
		switch c := q.buf[i]; {
		case q.lineEnd(i) > 0:
			q.w.WriteString("\r\n")
			q.col = 0
			i += q.lineEnd(i)
		case c == '=' && q.repair:
			i += q.repairEqual(i)
		case c == ' ' || c == '\t':
			i += q.space(i)
		case !isPlain(c) || q.col == 0 && q.risky(i):
			q.escape(c)
			i++
		default:
			q.breakLine()
		}
	}
	_, err := q.w.Write(nil) // the error that one of the writes above met
	return i, err
}

func isPlain(c byte) bool { return c > ' ' && c <= '~' && c != '=' }

// plain returns how many bytes from i on can be written as they are in the
// line that has begun.
func (q *quotedWriter) plain(i int) int {
	if q.col == 0 && q.risky(i) {
		return 0
	}
	rest := q.buf[i:min(len(q.buf), i+quotedLine-q.col)]
	n := 0
	for n < len(rest) {
		c := rest[n]
		if !isPlain(c) && !(c == ' ' && n+1 < len(rest) && isPlain(rest[n+1])) {
			break
		}
		n++
	}
	return n
}

// risky reports whether what begins at i may not stand at the front of a line.
func (q *quotedWriter) risky(i int) bool {
	rest := q.buf[i:]
	return rest[0] == '-' && (len(rest) == 1 || rest[1] == '-') || bytes.HasPrefix(rest, []byte("From "))
}

// lineEnd returns the length of the line end that begins at i, or 0.
func (q *quotedWriter) lineEnd(i int) int {
	switch {
	case i+1 < len(q.buf) && q.buf[i] == '\r' && q.buf[i+1] == '\n':
		return 2
	case q.unix && i < len(q.buf) && q.buf[i] == '\n':
		return 1
	}
	return 0
}

// breakLine breaks the line softly.
func (q *quotedWriter) breakLine() {
	q.w.WriteString("=\r\n")
	q.col = 0
}

// room breaks the line if n characters don't fit any more.
func (q *quotedWriter) room(n int) {
	if q.col+n > quotedLine {
		q.breakLine()
	}
	q.col += n
}

func (q *quotedWriter) escape(c byte) {
	q.room(3)
	q.w.WriteByte('=')
	q.w.WriteByte(upperHex[c>>4])
	q.w.WriteByte(upperHex[c&15])
}

// space writes the white space at i and returns its length. At the end of a
// line it is encoded; in what was encoded before it means nothing there.
func (q *quotedWriter) space(i int) int {
	n := q.spaces(i)
	last := i+n == len(q.buf) || q.lineEnd(i+n) > 0
	if last && q.repair {
		return n
	}
	for k, c := range q.buf[i : i+n] {
		if last && k == n-1 {
			q.escape(c)
			break
		}
		q.room(1)
		q.w.WriteByte(c)
	}
	return n
}

// spaces returns how much white space stands at i, up to what can be seen.
func (q *quotedWriter) spaces(i int) int {
	n := 0
	for i+n < len(q.buf) && n < quotedAhead/2 && (q.buf[i+n] == ' ' || q.buf[i+n] == '\t') {
		n++
	}
	return n
}

// repairEqual writes the = at i and what belongs to it, and returns how much
// that is in the input.
func (q *quotedWriter) repairEqual(i int) int {
	rest := q.buf[i+1:]
	if len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]) {
		q.room(3)
		q.w.Write(q.buf[i : i+3])
		return 3
	}
	n := 1 + q.spaces(i+1)
	if i+n == len(q.buf) {
		q.col++
		q.w.WriteByte('=') // a soft break whose line end stands outside
		return n
	}
	if end := q.lineEnd(i + n); end > 0 {
		q.breakLine()
		return n + end
	}
	q.escape('=')
	return 1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}
