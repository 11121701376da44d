package cms

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// signedData is a SignedData in outline, with content if it is not nil.
func signedData(t testing.TB, content []byte) []byte {
	t.Helper()
	out, err := build("test", func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSignedData)
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(1)
					b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, oidData, nil) })
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidData)
						if content != nil {
							b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
						}
					})
					b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, 300)) })
					b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddBytes([]byte{5, 0}) })
				})
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEncapsulate compares with a SignedData that was built with its content.
func TestEncapsulate(t *testing.T) {
	for _, n := range []int{0, 1, 100, 127, 128, 250, 65535, 1 << 20} {
		content := bytes.Repeat([]byte("x"), n)
		head, tail, err := Encapsulate(signedData(t, nil), int64(n))
		if err != nil {
			t.Fatal(err)
		}
		if got := append(append(head, content...), tail...); !bytes.Equal(got, signedData(t, content)) {
			t.Errorf("%d octets: the SignedData is another one", n)
		}
	}
}

// TestEncapsulateRefuses has inputs that are no SignedData without content.
func TestEncapsulateRefuses(t *testing.T) {
	good := signedData(t, nil)
	for i := range good {
		if i < 40 || i%50 == 0 {
			if _, _, err := Encapsulate(good[:i], 1); err == nil {
				t.Errorf("no error for the first %d octets", i)
			}
		}
	}
	for name, der := range map[string][]byte{
		"with content":  signedData(t, []byte("x")),
		"trailing data": append(bytes.Clone(good), 0),
		"other type":    bytes.Replace(good, []byte{1, 7, 2}, []byte{1, 7, 3}, 1),
	} {
		if _, _, err := Encapsulate(der, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
