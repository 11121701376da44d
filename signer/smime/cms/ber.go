package cms

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
)

// MaxDepth is how deep BER values may be nested. CMS with certificates needs
// about 15.
const MaxDepth = 32

// Limits bound what a Reader takes. The zero value of a field is its default.
type Limits struct {
	// Size is the longest input, in octets; 1 GiB.
	Size int64
	// Held is the most that all values taken whole may have together, in
	// octets; 4 MiB, and never more than 1 GiB. Content that is streamed does not
	// count.
	Held int64
	// Elements is the most values in the input; 262,144. The pieces of content
	// that is streamed do not count, unless they are tiny.
	Elements int
}

func (l Limits) withDefaults() Limits {
	if l.Size <= 0 {
		l.Size = 1 << 30
	}
	if l.Held <= 0 {
		l.Held = 4 << 20
	}
	l.Held = min(l.Held, 1<<30)
	if l.Elements <= 0 {
		l.Elements = 1 << 18
	}
	return l
}

// SyntaxError says that something is not BER, or not the structure that it
// should be, or beyond a limit.
type SyntaxError struct {
	// Offset is where, in octets from the beginning of the input, or 0 if that
	// is not known.
	Offset int64
	// Reason is what is wrong, in words.
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Offset == 0 {
		return "malformed CMS: " + e.Reason
	}
	return fmt.Sprintf("malformed CMS at octet %d: %s", e.Offset, e.Reason)
}

// Tags as they stand in the input (X.690, Section 8.1.2): one identifier octet,
// with the bit of constructed values in it.
const (
	TagInteger     = 0x02
	TagBitString   = 0x03
	TagOctetString = 0x04
	TagNull        = 0x05
	TagOID         = 0x06
	TagSequence    = 0x30
	TagSet         = 0x31
	// TagContext is the class of the tags [0], [1] and so on, to be added to the
	// number.
	TagContext = 0x80
	// TagConstructed is the bit of values that hold other values.
	TagConstructed = 0x20

	tagPieces = TagOctetString | TagConstructed // an OCTET STRING in pieces
)

// Reader walks through a BER structure (X.690) of any size from front to back,
// in linear time, without recursion, and holds nothing but its place. Lengths
// may be definite or not. It is at a value, or at the end of the open value;
// Peek says which.
//
// An error of the input is returned as it is, any other is a *SyntaxError. After
// an error a Reader is at its end: every call returns that error. It is not safe
// for concurrent use.
type Reader struct {
	in       *bufio.Reader
	offset   int64
	limits   Limits
	elements int
	held     int64
	err      error

	depth int
	open  [MaxDepth]span

	// The value or end that Peek has read the beginning of.
	peeked bool
	tag    byte // 0 at the end of the open value
	length int64
	header []byte // the identifier and length octets
	loose  bool   // the length is not as DER wants it
	bytes  [10]byte

	copying bool   // what is read is kept in raw
	raw     []byte // what Element has read so far
}

// span is where an open value ends, and where it must have ended at the latest.
type span struct{ end, limit int64 } // end is -1 for the indefinite form

// NewReader returns a Reader that is at the first value of in.
func NewReader(in io.Reader, l Limits) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 16<<10), limits: l.withDefaults()}
}

func (r *Reader) malformed(format string, args ...any) error {
	return r.fail(&SyntaxError{r.offset, fmt.Sprintf(format, args...)})
}

func (r *Reader) fail(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = &SyntaxError{r.offset, "it is cut off"}
	}
	if r.err == nil {
		r.err = err
	}
	return r.err
}

// limit is where what is read next must end at the latest.
func (r *Reader) limit() int64 {
	if r.depth == 0 {
		return r.limits.Size
	}
	return r.open[r.depth-1].limit
}

// Peek returns the tag of the next value of the open value, or 0 at the open
// value's end.
func (r *Reader) Peek() (tag byte, err error) {
	if r.err != nil || r.peeked {
		return r.tag, r.err
	}
	r.header, r.loose = r.bytes[:0], false
	indefinite := r.depth > 0 && r.open[r.depth-1].end < 0
	if r.depth > 0 && r.open[r.depth-1].end == r.offset {
		r.peeked, r.tag, r.length = true, 0, 0
		return 0, nil
	}
	if r.tag, err = r.octet(); err != nil {
		return 0, err
	}
	if r.length, err = r.readLength(); err != nil {
		return 0, err
	}
	limit := r.limit()
	switch {
	case r.tag == 0 && r.length == 0 && indefinite && !r.loose && r.offset <= limit:
		// end-of-contents (X.690, Section 8.1.5)
	case r.tag == 0:
		return 0, r.malformed("a tag is missing")
	case r.tag&0x1f == 0x1f:
		return 0, r.malformed("a tag's number is above 30, which occurs nowhere in CMS")
	case r.length < 0 && r.tag&TagConstructed == 0:
		return 0, r.malformed("a primitive value has no length")
	case r.depth == 0 && (r.offset > limit || r.length > limit-r.offset):
		return 0, r.malformed("it is longer than %d octets", limit)
	case r.offset > limit || r.length > limit-r.offset:
		return 0, r.malformed("a value is longer than the one that it is in")
	}
	r.peeked = true
	return r.tag, nil
}

// octet reads one octet of a header.
func (r *Reader) octet() (byte, error) {
	c, err := r.in.ReadByte()
	if err != nil {
		return 0, r.fail(err)
	}
	r.offset++
	r.header = append(r.header, c)
	return c, nil
}

// readLength returns -1 for the indefinite form.
func (r *Reader) readLength() (int64, error) {
	c, err := r.octet()
	switch {
	case err != nil:
		return 0, err
	case c < 0x80:
		return int64(c), nil
	case c == 0x80:
		r.loose = true
		return -1, nil
	case c > 0x88:
		return 0, r.malformed("a length has %d octets", c&0x7f)
	}
	length := uint64(0)
	for range c & 0x7f {
		b, err := r.octet()
		if err != nil {
			return 0, err
		}
		length = length<<8 | uint64(b)
	}
	if length > math.MaxInt64 {
		return 0, r.malformed("a length is absurd")
	}
	r.loose = length < 0x80 || r.header[2] == 0
	return int64(length), nil
}

// expect checks the tag of the next value; 0 stands for any.
func (r *Reader) expect(tag byte) error {
	got, err := r.Peek()
	switch {
	case err != nil:
		return err
	case got == 0:
		return r.malformed("a value is missing")
	case tag != 0 && got != tag:
		return r.malformed("tag %#02x where %#02x should be", got, tag)
	}
	return nil
}

// count counts values.
func (r *Reader) count() error {
	if r.elements++; r.elements > r.limits.Elements {
		return r.malformed("more than %d values", r.limits.Elements)
	}
	return nil
}

// Enter steps into the next value, which must have that tag and be constructed.
func (r *Reader) Enter(tag byte) error {
	if err := r.expect(tag); err != nil {
		return err
	}
	if err := r.count(); err != nil {
		return err
	}
	return r.enter()
}

func (r *Reader) enter() error {
	if r.tag&TagConstructed == 0 {
		return r.malformed("tag %#02x where a constructed value should be", r.tag)
	}
	if r.depth == MaxDepth {
		return r.malformed("values nested deeper than %d", MaxDepth)
	}
	s := span{-1, r.limit()}
	if r.length >= 0 {
		s.end = r.offset + r.length
		s.limit = s.end
	}
	r.open[r.depth] = s
	r.depth++
	return r.take()
}

// Leave steps out of the open value, which must be at its end.
func (r *Reader) Leave() error {
	tag, err := r.Peek()
	switch {
	case err != nil:
		return err
	case tag != 0:
		return r.malformed("tag %#02x where nothing should be", tag)
	case r.depth == 0:
		return r.fail(errors.New("leave a value that was not entered"))
	}
	r.depth--
	return r.take()
}

// take is done with the header that Peek has read.
func (r *Reader) take() error {
	r.peeked = false
	if r.copying {
		return r.keep(r.header)
	}
	return nil
}

// End checks that nothing follows the structure.
func (r *Reader) End() error {
	if r.err != nil {
		return r.err
	}
	if r.depth > 0 || r.peeked {
		return r.malformed("a value where nothing should be")
	}
	switch _, err := r.in.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return r.malformed("data after the end")
	default:
		return r.fail(err)
	}
}
