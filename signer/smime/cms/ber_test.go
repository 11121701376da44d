package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// tree is a value to encode: content, or values that it holds.
type tree struct {
	tag    byte
	data   []byte
	values []tree
}

// der encodes as DER does.
func (v tree) der() []byte {
	content := v.data
	for _, inner := range v.values {
		content = append(content, inner.der()...)
	}
	return append(appendHeader(nil, v.tag, uint64(len(content))), content...)
}

// ber encodes in a way that BER allows, chosen at random.
func (v tree) ber(r *rand.Rand) []byte {
	if v.tag == TagOctetString && r.IntN(2) == 0 {
		return pieces(r, v.data, r.IntN(3))
	}
	content := v.data
	for _, inner := range v.values {
		content = append(content, inner.ber(r)...)
	}
	return wrap(r, v.tag, content)
}

// pieces cuts an OCTET STRING.
func pieces(r *rand.Rand, data []byte, depth int) []byte {
	var content []byte
	for len(data) > 0 {
		n := 1 + r.IntN(len(data))
		if depth > 0 && r.IntN(2) == 0 {
			content = append(content, pieces(r, data[:n], depth-1)...)
		} else {
			content = append(content, wrap(r, TagOctetString, data[:n])...)
		}
		data = data[n:]
	}
	return wrap(r, tagPieces, content)
}

// wrap puts content into a value with one of the forms of lengths.
func wrap(r *rand.Rand, tag byte, content []byte) []byte {
	n := len(content)
	switch {
	case tag&TagConstructed != 0 && r.IntN(2) == 0:
		return append(append([]byte{tag, 0x80}, content...), 0, 0)
	case r.IntN(4) == 0:
		return append([]byte{tag, 0x85, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, content...)
	}
	return append(appendHeader(nil, tag, uint64(n)), content...)
}

// grown is a random tree.
func grown(r *rand.Rand, depth int) tree {
	data := func() []byte {
		b := make([]byte, []int{0, 1, 5, 126, 127, 128, 300, 70000}[min(r.IntN(8), r.IntN(8), r.IntN(8))])
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	if depth == 0 || r.IntN(3) == 0 {
		return tree{tag: []byte{TagOctetString, TagInteger, 0x80, 0x13}[r.IntN(4)], data: data()}
	}
	v := tree{tag: []byte{TagSequence, TagSet, 0xa0, 0x61}[r.IntN(4)]}
	for range r.IntN(5) {
		v.values = append(v.values, grown(r, depth-1))
	}
	return v
}

// TestNormalise has many encodings of the same values all become DER.
func TestNormalise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		v := grown(r, 6)
		want := v.der()
		for range 3 {
			in := v.ber(r)
			kept := bytes.Clone(in)
			got, err := Normalise(in, Limits{})
			if err != nil {
				t.Fatalf("%x: %v", in, err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%.200x: got %.200x, want %.200x", in, got, want)
			}
			element, err := NewReader(iotest.OneByteReader(bytes.NewReader(in)), Limits{}).Element(0)
			if err != nil || !bytes.Equal(element, want) {
				t.Fatalf("%.200x: Element gives %.200x, %v", in, element, err)
			}
			if !bytes.Equal(in, kept) {
				t.Fatal("the input was changed")
			}
		}
		if same, err := Normalise(want, Limits{}); err != nil || !bytes.Equal(same, want) {
			t.Fatalf("DER is changed: %v", err)
		}
	}
}

// TestReader walks through a structure in several forms.
func TestReader(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	big := bytes.Repeat([]byte("0123456789"), 9999)
	v := tree{tag: TagSequence, values: []tree{
		{tag: TagInteger, data: []byte{3}},
		{tag: 0xa0, values: []tree{{tag: TagOctetString, data: big}}},
		{tag: TagSet, values: []tree{{tag: TagNull}, {tag: TagOctetString, data: []byte("whole")}}},
		{tag: 0xa1, values: []tree{{tag: TagSequence, values: []tree{{tag: TagNull}}}}},
	}}
	for range 50 {
		in := NewReader(iotest.HalfReader(bytes.NewReader(v.ber(r))), Limits{Held: 1000})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(in.Enter(TagSequence))
		version, err := in.Element(TagInteger)
		must(err)
		must(in.Enter(0xa0))
		content, err := in.Octets(TagOctetString)
		must(err)
		must(iotest.TestReader(content, big))
		must(in.Leave())
		set, err := in.Element(TagSet)
		must(err)
		must(in.Skip(0xa1))
		tag, err := in.Peek()
		must(err)
		must(in.Leave())
		must(in.End())
		if tag != 0 || !bytes.Equal(set, v.values[2].der()) || !bytes.Equal(version, []byte{2, 1, 3}) {
			t.Errorf("tag %x, set %x, version %x", tag, set, version)
		}
	}
}

// TestImplicitOctets has content under another tag than OCTET STRING's, as
// encryptedContent has.
func TestImplicitOctets(t *testing.T) {
	for _, in := range []string{
		"8003616263", "a0 80 0403616263 0000", "a0 05 0403616263", "a0 80 0401 61 2480 0401 62 0400 0000 2403 0401 63 0000", "80 8103 616263",
	} {
		r := NewReader(bytes.NewReader(unhex(t, strings.ReplaceAll(in, " ", ""))), Limits{})
		content, err := r.Octets(0x80)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, err := io.ReadAll(content); err != nil || string(got) != "abc" {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
		if err := r.End(); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// TestMalformed has inputs that are not BER, for all ways to read.
func TestMalformed(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "cut off"},
		{"30", "cut off"},
		{"3005", "cut off"},
		{"30050201", "cut off"},
		{"3080", "cut off"},
		{"308002010100", "cut off"},
		{"0000", "tag is missing"},
		{"30020000", "tag is missing"},
		{"3003000100", "tag is missing"},
		{"3080008100", "tag is missing"},
		{"0480000000", "primitive value has no length"},
		{"1f8101", "number is above 30"},
		{"3003020201", "longer than the one"},
		{"30023080", "cut off|longer than the one"},
		{"3004308002010000", "longer than the one"},
		{"3089010000000000000000", "length has 9 octets"},
		{"3088ffffffffffffffff", "absurd"},
		{"30887fffffffffffffff", "longer than"},
		{"048400100000", "cut off"},
		{"30840010000004", "cut off"},
		{"24040101ff00", "in an octet string"},
		{"2480 30800000 0000", "in an octet string"},
		{"30020500ff", "data after the end"},
		{"30800000 0000", "data after the end"},
	} {
		in := unhex(t, strings.ReplaceAll(tc.in, " ", ""))
		_, err := Normalise(in, Limits{})
		r := NewReader(bytes.NewReader(in), Limits{})
		_, second := r.Element(0)
		if second == nil {
			second = r.End()
		}
		for _, err := range []error{err, second} {
			var syntax *SyntaxError
			first, other, _ := strings.Cut(tc.want, "|")
			if !errors.As(err, &syntax) || !strings.Contains(err.Error(), first) && (other == "" || !strings.Contains(err.Error(), other)) {
				t.Errorf("%s: got %v, want a SyntaxError with %q", tc.in, err, tc.want)
			}
		}
	}
}

// TestLimits has each limit met and exceeded by one.
func TestLimits(t *testing.T) {
	nested := func(n int) []byte {
		v := tree{tag: TagNull}
		for range n {
			v = tree{tag: TagSequence, values: []tree{v}}
		}
		return v.der()
	}
	row := tree{tag: TagSequence, values: make([]tree, 99)}
	for i := range row.values {
		row.values[i].tag = TagNull
	}
	for _, tc := range []struct {
		name  string
		in    []byte
		l     Limits
		fails string
	}{
		{"depth", nested(MaxDepth), Limits{}, ""},
		{"deeper", nested(MaxDepth + 1), Limits{}, "deeper than 32"},
		{"count", row.der(), Limits{Elements: 100}, ""},
		{"more", row.der(), Limits{Elements: 99}, "more than 99 values"},
		{"size", row.der(), Limits{Size: int64(len(row.der()))}, ""},
		{"longer", row.der(), Limits{Size: int64(len(row.der()) - 1)}, "longer than"},
		{"held", row.der(), Limits{Held: int64(len(row.der()))}, ""},
		{"fuller", row.der(), Limits{Held: int64(len(row.der()) - 1)}, "octets"},
	} {
		_, first := Normalise(tc.in, tc.l)
		_, second := NewReader(bytes.NewReader(tc.in), tc.l).Element(0)
		for _, err := range []error{first, second} {
			if tc.fails == "" && err != nil || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
				t.Errorf("%s: got %v, want %q", tc.name, err, tc.fails)
			}
		}
	}
}

// TestHeldTogether has many values, none of them too long, exceed the limit.
func TestHeldTogether(t *testing.T) {
	r := NewReader(bytes.NewReader(bytes.Repeat([]byte{4, 2, 1, 2}, 100)), Limits{Held: 100})
	for i := range 26 {
		if _, err := r.Element(TagOctetString); (err != nil) != (i == 25) {
			t.Fatalf("value %d: %v", i, err)
		}
	}
}

// TestReaderMisuse has calls that do not fit what is there.
func TestReaderMisuse(t *testing.T) {
	der, err := asn1.Marshal(struct{ A, B int }{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(r *Reader) error{
		"other tag":       func(r *Reader) error { return r.Enter(TagSet) },
		"primitive":       func(r *Reader) error { return errors.Join(r.Enter(TagSequence), r.Enter(TagInteger)) },
		"not at the end":  func(r *Reader) error { return errors.Join(r.Enter(TagSequence), r.Leave()) },
		"nothing entered": func(r *Reader) error { _, err := r.Element(0); return errors.Join(err, r.Leave()) },
		"not at its end":  func(r *Reader) error { return errors.Join(r.Enter(TagSequence), r.End()) },
		"not octets":      func(r *Reader) error { _, err := r.Octets(TagOctetString); return err },
		"beyond the end": func(r *Reader) error {
			return errors.Join(r.Enter(TagSequence), r.Skip(0), r.Skip(0), r.Skip(0))
		},
	} {
		r := NewReader(bytes.NewReader(der), Limits{})
		if err := f(r); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := r.Element(0); err == nil {
			t.Errorf("%s: no error after the error", name)
		}
	}
	broken := errors.New("disk is gone")
	r := NewReader(io.MultiReader(bytes.NewReader(der[:3]), iotest.ErrReader(broken)), Limits{})
	if _, err := r.Element(0); !errors.Is(err, broken) {
		t.Errorf("got %v, want the disk's error", err)
	}
}
