package cms

import (
	"bytes"
	"io"
	"slices"
)

// block is how much is taken from the input at a time, so that a length is not
// believed before its content is there.
const block = 32 << 10

// Element returns the next value, which must have that tag (0 for any), whole
// and with its header. Its lengths are those of DER, and OCTET STRINGs are in
// one piece; all else in it is as it came, so a value in DER comes out
// unchanged. Nobody else holds the slice.
func (r *Reader) Element(tag byte) ([]byte, error) {
	if err := r.expect(tag); err != nil {
		return nil, err
	}
	r.copying, r.raw = true, nil
	found, err := r.survey()
	raw := r.raw
	r.copying, r.raw = false, nil
	if err != nil || !found.loose {
		return raw, err
	}
	return transcode(raw, found.constructed)
}

// Skip passes over the next value, which must have that tag (0 for any). What
// it holds has to be well-formed, and counts against the number of values.
func (r *Reader) Skip(tag byte) error {
	if err := r.expect(tag); err != nil {
		return err
	}
	_, err := r.survey()
	return err
}

// Normalise returns one BER value with the lengths of DER and with OCTET STRINGs
// in one piece, in linear time. All else is as it came; a value in DER is
// returned itself.
func Normalise(ber []byte, l Limits) ([]byte, error) {
	l = l.withDefaults()
	l.Size = min(l.Size, l.Held)
	r := NewReader(bytes.NewReader(ber), l)
	if err := r.expect(0); err != nil {
		return nil, err
	}
	found, err := r.survey()
	if err == nil {
		err = r.End()
	}
	if err != nil || !found.loose {
		return ber, err
	}
	return transcode(ber, found.constructed)
}

// keep appends to what Element returns.
func (r *Reader) keep(p []byte) error {
	if err := r.hold(int64(len(p))); err != nil {
		return err
	}
	r.grow(len(p))
	r.raw = append(r.raw, p...)
	return nil
}

// hold counts octets that are held.
func (r *Reader) hold(n int64) error {
	if n > r.limits.Held-r.held {
		return r.malformed("more than %d octets to hold", r.limits.Held)
	}
	r.held += n
	return nil
}

// grow makes room in raw. It doubles, so that all it allocates is a small
// multiple of what was read.
func (r *Reader) grow(n int) {
	if len(r.raw)+n > cap(r.raw) {
		r.raw = slices.Grow(r.raw, max(n, cap(r.raw), 64))
	}
}

// content reads the content of the primitive value whose header has been taken.
func (r *Reader) content(n int64) error {
	if !r.copying {
		return r.discard(n)
	}
	if err := r.hold(n); err != nil {
		return err
	}
	for n > 0 {
		m := int(min(n, block))
		r.grow(m)
		at := len(r.raw)
		r.raw = r.raw[:at+m]
		got, err := io.ReadFull(r.in, r.raw[at:])
		r.offset += int64(got)
		if err != nil {
			return r.fail(err)
		}
		n -= int64(m)
	}
	return nil
}

func (r *Reader) discard(n int64) error {
	for n > 0 {
		m, err := r.in.Discard(int(min(n, block)))
		r.offset += int64(m)
		if err != nil {
			return r.fail(err)
		}
		n -= int64(m)
	}
	return nil
}

// visitor is told what walk meets. piece says that it is a piece of an OCTET
// STRING. value has to take the value and its content.
type visitor interface {
	enter(tag byte, piece bool)
	leave()
	value(tag byte, length int64, piece bool) error
}

// form is what survey finds in a value.
type form struct {
	r           *Reader
	constructed int  // values that hold others
	loose       bool // not in the form that Element returns
}

// survey reads over the next value.
func (r *Reader) survey() (form, error) {
	f := &form{r: r}
	err := r.walk(f)
	return *f, err
}

func (f *form) enter(tag byte, _ bool) {
	f.constructed++
	f.loose = f.loose || f.r.loose || tag == tagPieces
}

func (f *form) leave() {}

func (f *form) value(_ byte, length int64, _ bool) error {
	f.loose = f.loose || f.r.loose
	if err := f.r.take(); err != nil {
		return err
	}
	return f.r.content(length)
}

// walk goes through the next value.
func (r *Reader) walk(v visitor) error {
	base := r.depth
	var strings [MaxDepth + 1]bool // which of the open values are OCTET STRINGs
	for {
		tag, err := r.Peek()
		if err != nil {
			return err
		}
		piece := strings[r.depth] && r.depth > base
		if tag != 0 {
			if err := r.count(); err != nil {
				return err
			}
		}
		switch {
		case tag == 0:
			v.leave()
			err = r.Leave()
		case piece && tag&^TagConstructed != TagOctetString:
			err = r.malformed("tag %#02x in an octet string", tag)
		case tag&TagConstructed != 0:
			v.enter(tag, piece)
			if err = r.enter(); err == nil {
				strings[r.depth] = tag == tagPieces
			}
		default:
			err = v.value(tag, r.length, piece)
		}
		if err != nil || r.depth == base {
			return err
		}
	}
}

// transcode writes a value that survey has gone through anew. It goes through
// it twice: for the lengths, and to write.
func transcode(ber []byte, constructed int) ([]byte, error) {
	l := Limits{Size: int64(len(ber)), Elements: len(ber)}
	m := &measure{r: NewReader(bytes.NewReader(ber), l), lengths: make([]uint32, 1, constructed+1)}
	if err := m.r.walk(m); err != nil {
		return nil, err
	}
	w := &rewrite{r: NewReader(bytes.NewReader(ber), l), ber: ber, lengths: m.lengths[1:], out: make([]byte, 0, m.lengths[0])}
	err := w.r.walk(w)
	return w.out, err
}

// measure finds the lengths of the contents of constructed values, in their
// order. The first is that of the whole.
type measure struct {
	r       *Reader
	lengths []uint32
	depth   int
	open    [MaxDepth + 1]struct {
		index int
		piece bool
	}
}

func (m *measure) add(n int, piece bool) {
	if !piece {
		n += headerSize(uint64(n))
	}
	m.lengths[m.open[m.depth].index] += uint32(n)
}

func (m *measure) enter(_ byte, piece bool) {
	m.depth++
	m.open[m.depth].index, m.open[m.depth].piece = len(m.lengths), piece
	m.lengths = append(m.lengths, 0)
}

func (m *measure) leave() {
	closed := m.open[m.depth]
	m.depth--
	m.add(int(m.lengths[closed.index]), closed.piece)
}

func (m *measure) value(_ byte, length int64, piece bool) error {
	m.add(int(length), piece)
	m.r.peeked = false
	return m.r.discard(length)
}

// rewrite writes with the lengths that measure has found.
type rewrite struct {
	r       *Reader
	ber     []byte
	lengths []uint32
	out     []byte
}

func (w *rewrite) enter(tag byte, piece bool) {
	if tag == tagPieces {
		tag = TagOctetString
	}
	if !piece {
		w.out = appendHeader(w.out, tag, uint64(w.lengths[0]))
	}
	w.lengths = w.lengths[1:]
}

func (w *rewrite) leave() {}

func (w *rewrite) value(tag byte, length int64, piece bool) error {
	if !piece {
		w.out = appendHeader(w.out, tag, uint64(length))
	}
	w.r.peeked = false
	w.out = append(w.out, w.ber[w.r.offset:w.r.offset+length]...)
	return w.r.discard(length)
}
