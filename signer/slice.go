package signer

import (
	"fmt"
	"strings"
)

// What Slice accepts. A message beyond one of these is a LimitError.
const (
	// MaxDepth is how deep multiparts and messages may stand in one another.
	MaxDepth = 50
	// MaxParts is how many parts a message may have, multiparts included.
	MaxParts = 2000
	// MaxPartHeader is the size of one part's header block in bytes.
	MaxPartHeader = 256 << 10
	// MaxHeaders is the size of the header blocks of all parts in bytes.
	MaxHeaders = 1 << 20
	// MaxBoundary is the length of a boundary. RFC 2046, Section 5.1.1 says
	// 70; programs that write longer ones exist.
	MaxBoundary = 250
)

// LimitError says which bound a message is beyond.
type LimitError struct {
	// What is the bound, in words: "parts in one message".
	What string
	// Limit is the most that is accepted.
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("more than %d %s", e.Limit, e.What)
}

// Range is a run of bytes of a Source: from Start up to, not including, End.
type Range struct{ Start, End int64 }

// Len is the number of bytes.
func (r Range) Len() int64 { return r.End - r.Start }

// Part is a MIME entity as it stands in a message's body: what its fields say
// and where its bytes are. All offsets count from the start of the body.
type Part struct {
	// Header holds the part's own fields; the root's are the message's. Their
	// line ends are CRLF even if the body has others.
	Header Header
	// Offset is where the part's header block begins; for the root 0.
	Offset int64
	// BodyStart is where its body begins, after the empty line.
	BodyStart int64
	// BodyEnd is where its body ends. The line end before a boundary belongs
	// to the boundary (RFC 2046, Section 5.1.1).
	BodyEnd int64

	// MediaType is "type/subtype" in small letters, with the defaults of
	// RFC 2045, Section 5.2 and RFC 2046, Section 5.1.5 where the field is
	// missing or has no meaning.
	MediaType string
	// Params are the parameters of Content-Type by name in small letters,
	// RFC 2231 undone. Of two with one name the first counts.
	Params map[string]string
	// Encoding is the Content-Transfer-Encoding in small letters; "7bit" if
	// there is none.
	Encoding string

	// Parts are the parts of a multipart, or the one message in a
	// message/rfc822 or message/global that is not itself encoded.
	Parts []*Part
	// Preamble and Epilogue are what stands in a multipart before the first
	// boundary and after the closing one, without the line ends that belong
	// to the boundaries.
	Preamble, Epilogue Range
	// Closed says that a multipart has its closing boundary.
	Closed bool

	boundary  string // of a multipart whose boundary can be looked for
	delimiter delimiter
	closing   delimiter
	ambiguous string // why programs may read this part differently, in words
	plain     bool   // the header block is the fields' Raw and an empty line
}

// IsMultipart reports whether the part is a multipart, with parts or not.
func (p *Part) IsMultipart() bool { return strings.HasPrefix(p.MediaType, "multipart/") }

// IsMessage reports whether the part holds a message: its Parts are that one.
func (p *Part) IsMessage() bool { return !p.IsMultipart() && len(p.Parts) > 0 }

// IsLeaf reports whether the part has no parts of its own.
func (p *Part) IsLeaf() bool { return len(p.Parts) == 0 }

// Walk calls f for the part and all parts below, in the order of the message,
// until f returns false.
func (p *Part) Walk(f func(*Part) bool) bool {
	if !f(p) {
		return false
	}
	for _, q := range p.Parts {
		if !q.Walk(f) {
			return false
		}
	}
	return true
}

// Slice finds the parts of a message whose header is h. It reads the body once,
// in blocks, and keeps the parts' header fields and offsets alone in memory: at
// most MaxHeaders bytes and some 600 bytes a part. Malformed messages are
// sliced as mail programs commonly do it; an error is a *LimitError or one of
// the Source's.
//
// Slice works on the bytes as they came, because libraries that build a tree
// and write it again lose some of them: of ten thousand real messages every
// second came out changed.
func Slice(h Header, body Source) (*Part, error) {
	root, _, err := slice(h, body)
	return root, err
}

// slice is Slice, and reports whether a line of the body ends with CRLF.
func slice(h Header, body Source) (root *Part, crlf bool, err error) {
	s := &slicer{lines: newLineReader(body, Range{0, body.Size()})}
	root = &Part{Header: h, plain: true}
	if err = s.open(root, "text/plain"); err == nil {
		err = s.run()
	}
	if err != nil {
		return nil, false, fmt.Errorf("slice message: %w", err)
	}
	return root, s.crlf, nil
}
