package signer

import (
	"bufio"
	"errors"
	"io"
	"math"
)

// maxBERDepth is how deep BER values may be nested. CMS with certificates needs
// about 15.
const maxBERDepth = 32

// Identifier octets (X.690, Section 8.1.2). Context-specific ones are 0x80 plus
// the number, with berConstructed if they hold other values.
const (
	berInteger     = 0x02
	berOctets      = 0x04
	berOID         = 0x06
	berSequence    = 0x30
	berSet         = 0x31
	berContext     = 0x80
	berConstructed = 0x20
)

var (
	errBER      = errors.New("malformed BER")
	errBERDepth = errors.New("BER nested too deep")
	errShape    = errors.New("not the structure that its type has")
)

// berValue is the beginning of a BER value: what it is and how long it is.
type berValue struct {
	tag    byte
	length int64 // -1 for the indefinite form
}

func (v berValue) constructed() bool { return v.tag&berConstructed != 0 }

// berReader walks through a BER structure of any size from front to back. It
// holds nothing but its place.
type berReader struct {
	r      *bufio.Reader
	offset int64
	depth  int
	ends   [maxBERDepth]int64 // where each open value ends; -1 for indefinite
	limits [maxBERDepth]int64 // where each open value ends at the latest
}

func newBERReader(r io.Reader) *berReader { return &berReader{r: bufio.NewReader(r)} }

func (b *berReader) readByte() (byte, error) {
	c, err := b.r.ReadByte()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	b.offset++
	return c, err
}

// limit is where what is read next must end at the latest.
func (b *berReader) limit() int64 {
	if b.depth == 0 {
		return math.MaxInt64
	}
	return b.limits[b.depth-1]
}

// next reads the beginning of the next value within the one that is open. There
// is none, and more is false, at the end of the open value, which is then
// closed.
func (b *berReader) next() (v berValue, more bool, err error) {
	if b.depth > 0 && b.ends[b.depth-1] == b.offset {
		b.depth--
		return v, false, nil
	}
	if v.tag, err = b.readByte(); err != nil {
		return v, false, err
	}
	if v.tag&0x1f == 0x1f {
		return v, false, errBER // numbers above 30 occur nowhere in CMS
	}
	if v.length, err = b.readLength(); err != nil {
		return v, false, err
	}
	switch {
	case v.tag == 0 && v.length == 0 && b.depth > 0 && b.ends[b.depth-1] < 0:
		if b.offset > b.limit() {
			return v, false, errBER
		}
		b.depth--
		return v, false, nil
	case v.tag == 0, v.length < 0 && !v.constructed():
		return v, false, errBER
	case b.offset > b.limit(), v.length > b.limit()-b.offset:
		return v, false, errBER
	}
	return v, true, nil
}

func (b *berReader) readLength() (int64, error) {
	c, err := b.readByte()
	switch {
	case err != nil:
		return 0, err
	case c < 0x80:
		return int64(c), nil
	case c == 0x80:
		return -1, nil
	case c > 0x87: // 7 bytes are more than any mail
		return 0, errBER
	}
	length := int64(0)
	for range c & 0x7f {
		if c, err = b.readByte(); err != nil {
			return 0, err
		}
		length = length<<8 | int64(c)
	}
	return length, nil
}

// open steps into a constructed value.
func (b *berReader) open(v berValue) error {
	if b.depth == maxBERDepth {
		return errBERDepth
	}
	end, limit := int64(-1), b.limit()
	if v.length >= 0 {
		end = b.offset + v.length
		limit = end
	}
	b.ends[b.depth], b.limits[b.depth] = end, limit
	b.depth++
	return nil
}

// expect reads the beginning of the next value, which must have that tag.
func (b *berReader) expect(tag byte) (berValue, error) {
	v, more, err := b.next()
	if err == nil && (!more || v.tag != tag) {
		err = errShape
	}
	return v, err
}

// enter steps into the next value, which must have that tag.
func (b *berReader) enter(tag byte) error {
	v, err := b.expect(tag)
	if err != nil {
		return err
	}
	return b.open(v)
}

// leave steps out of the open value, which must be at its end.
func (b *berReader) leave() error {
	_, more, err := b.next()
	if err == nil && more {
		err = errShape
	}
	return err
}

// pass reads over the next value, which must have that tag, and returns how many
// bytes of primitive content it has.
func (b *berReader) pass(tag byte) (int64, error) {
	v, err := b.expect(tag)
	if err != nil {
		return 0, err
	}
	return b.skip(v)
}

// optional reads fields in that order, each of which may be missing, up to the
// end of the open value and says which there were.
func (b *berReader) optional(tags []byte) ([]bool, error) {
	found := make([]bool, len(tags))
	for i := 0; ; i++ {
		v, more, err := b.next()
		if err != nil || !more {
			return found, err
		}
		for i < len(tags) && tags[i] != v.tag {
			i++
		}
		if i == len(tags) {
			return found, errShape
		}
		found[i] = true
		if _, err := b.skip(v); err != nil {
			return found, err
		}
	}
}

// rest reads over what is left of the open value.
func (b *berReader) rest() error {
	for {
		v, more, err := b.next()
		if err != nil || !more {
			return err
		}
		if _, err := b.skip(v); err != nil {
			return err
		}
	}
}

// skip reads over the content of a value and returns how many bytes of primitive
// content it has. Everything in it must be BER.
func (b *berReader) skip(v berValue) (int64, error) {
	return b.walk(v, func(berValue) bool { return true })
}

// octets is skip for an OCTET STRING, primitive or in pieces (X.690, Section
// 8.7), whatever its own tag is.
func (b *berReader) octets(v berValue) (int64, error) {
	return b.walk(v, func(piece berValue) bool { return piece.tag&^berConstructed == berOctets })
}

// walk reads over the content of a value whose inner values must all be allowed.
func (b *berReader) walk(v berValue, allowed func(berValue) bool) (int64, error) {
	if !v.constructed() {
		return v.length, b.discard(v.length)
	}
	base, size := b.depth, int64(0)
	if err := b.open(v); err != nil {
		return 0, err
	}
	for b.depth > base {
		v, more, err := b.next()
		switch {
		case err != nil:
			return 0, err
		case !more:
			continue
		case !allowed(v):
			return 0, errShape
		case v.constructed():
			err = b.open(v)
		default:
			size += v.length
			err = b.discard(v.length)
		}
		if err != nil {
			return 0, err
		}
	}
	return size, nil
}

func (b *berReader) discard(n int64) error {
	b.offset += n
	for n > 0 {
		m, err := b.r.Discard(int(min(n, 1<<20)))
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}

// oid reads the next value, an OBJECT IDENTIFIER, and returns its content.
func (b *berReader) oid() (string, error) {
	v, err := b.expect(berOID)
	if err != nil {
		return "", err
	}
	if v.length == 0 || v.length > 64 {
		return "", errShape
	}
	content := make([]byte, v.length)
	if _, err := io.ReadFull(b.r, content); err != nil {
		return "", err
	}
	b.offset += v.length
	return string(content), nil
}

// end checks that nothing follows.
func (b *berReader) end() error {
	switch _, err := b.r.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return errors.New("data after its end")
	default:
		return err
	}
}
