package signer

import (
	"io"
	"strings"
)

// Whole returns a message's Content-* fields and body as they came. It is what
// is encrypted and not signed: encryption hides it from whatever alters mail on
// its way, so nothing has to be changed, and a signature that it may have
// within stays good. A message without Content-Type is given that of RFC 2045,
// Section 5.2, less the charset, which nobody has told.
func Whole(m *Message) *Entity {
	e := &Entity{Body: whole{m.Body}}
	for _, f := range m.Header {
		if isContentField(f) {
			e.Header = append(e.Header, f)
		}
	}
	if len(e.Header.Fields("Content-Type")) == 0 {
		e.Header = append(Header{{Name: "Content-Type", Raw: []byte("Content-Type: text/plain\r\n")}}, e.Header...)
	}
	return e
}

// isContentField reports whether a field describes the body: RFC 2045, Section
// 9 gives those whose names begin with Content-.
func isContentField(f Field) bool {
	const prefix = "Content-"
	return len(f.Name) > len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix)
}

// whole is a Source as Content.
type whole struct{ Source }

// WriteTo writes all of the Source, through a buffer of 64 KiB at most.
func (c whole) WriteTo(w io.Writer) (int64, error) {
	n := &counter{w: w}
	err := copyRange(n, c.Source, Range{0, c.Size()}, make([]byte, min(blockSize, max(c.Size(), 1))))
	return n.n, err
}
