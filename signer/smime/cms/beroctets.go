package cms

import "io"

// Octets returns a reader of the content of the next value, an OCTET STRING
// whose tag, without the bit of constructed values, may be any. It may come in
// pieces, and pieces of pieces (X.690, Section 8.7). The content has to be read
// to its io.EOF before the Reader goes on.
func (r *Reader) Octets(tag byte) (io.Reader, error) {
	got, err := r.Peek()
	if err != nil {
		return nil, err
	}
	if err := r.expect(tag | got&TagConstructed); err != nil {
		return nil, err
	}
	o := &octets{r: r, base: r.depth}
	return o, o.begin()
}

// octets is the content of an OCTET STRING.
type octets struct {
	r    *Reader
	base int   // the depth outside of the string
	left int64 // octets of the piece that is being read
}

// shortPiece is the length, in octets, below which the pieces of a content count
// against the number of values. No program cuts so small, and a content of
// nothing else would cost much time.
const shortPiece = 16

// begin takes the header of a piece.
func (o *octets) begin() error {
	if o.r.length < shortPiece {
		if err := o.r.count(); err != nil {
			return err
		}
	}
	if o.r.tag&TagConstructed != 0 {
		return o.r.enter()
	}
	o.left = o.r.length
	return o.r.take()
}

// Read fills p unless the end comes before.
func (o *octets) Read(p []byte) (n int, err error) {
	for n < len(p) {
		switch {
		case o.r.err != nil:
			return n, o.r.err
		case o.left > 0:
			m, err := o.r.in.Read(p[n : n+int(min(o.left, int64(len(p)-n)))])
			n += m
			o.left -= int64(m)
			o.r.offset += int64(m)
			if err != nil {
				return n, o.r.fail(err)
			}
		case o.r.depth == o.base:
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		default:
			if err := o.next(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// next goes to the next piece, or out of pieces that are at their end.
func (o *octets) next() error {
	tag, err := o.r.Peek()
	switch {
	case err != nil:
		return err
	case tag == 0:
		return o.r.Leave()
	case tag&^TagConstructed != TagOctetString:
		return o.r.malformed("tag %#02x in an octet string", tag)
	}
	return o.begin()
}
