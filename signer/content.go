package signer

import "io"

// Source is a message body as it arrived: any number of readers may read it at
// the same time. *bytes.Reader, *io.SectionReader and the milter's spool are
// Sources.
type Source interface {
	io.ReaderAt
	// Size is the length in bytes.
	Size() int64
}

// Content is a run of bytes that can be written out any number of times and is
// the same each time. It holds little of itself in memory: the bytes come from
// a Source or are computed while they are written.
type Content interface {
	io.WriterTo
	// Size is the number of bytes that WriteTo writes.
	Size() int64
}

// Message is a mail message: its header fields, in order, and its body.
type Message struct {
	Header Header
	Body   Source
}

// Entity is a MIME entity (RFC 2045, Section 2.4): the fields that describe a
// body, all of them Content-* or MIME-Version, and that body.
type Entity struct {
	Header Header
	Body   Content
}

// WriteTo writes the entity as it stands in a message: its fields, an empty
// line, its body.
func (e *Entity) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for _, f := range e.Header {
		m, err := w.Write(f.Raw)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	m, err := io.WriteString(w, "\r\n")
	n += int64(m)
	if err != nil {
		return n, err
	}
	b, err := e.Body.WriteTo(w)
	return n + b, err
}

// Size is the number of bytes that WriteTo writes.
func (e *Entity) Size() int64 {
	n := int64(len("\r\n"))
	for _, f := range e.Header {
		n += int64(len(f.Raw))
	}
	return n + e.Body.Size()
}
