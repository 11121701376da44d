package smime

import (
	"bytes"
	"testing"

	"waxseal/signer"
)

// long is an element with the indefinite form of its length.
func long(tag byte, content ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(content, nil)...), 0, 0)
}

// TestVerifyBER has encodings that are allowed and those that only look like it.
// OpenSSL judges too, and gives out the content.
func TestVerifyBER(t *testing.T) {
	f := newForger(as("rsa2048"), attacked)
	info := f.signerInfo(t)
	half := len(attacked) / 2
	first, second := value([]byte(attacked[:half])), value([]byte(attacked[half:]))
	rest := bytes.Join([][]byte{tagged(0xa0, bytes.Join(f.certs, nil)), set(info)}, nil)
	whole := func(content []byte) []byte {
		return sequence(value(typeIDSigned), tagged(0xa0, sequence(
			value(1), set(f.digests...), sequence(value(typeIDData), content), rest)))
	}
	indefinite := func(content []byte) []byte {
		return long(0x30, value(typeIDSigned), long(0xa0, long(0x30,
			value(1), long(0x31, f.digests...), long(0x30, value(typeIDData), content), long(0xa0, f.certs...), long(0x31, info))))
	}
	for _, tc := range []struct {
		name    string
		data    []byte
		verdict signer.Verdict
		openssl bool
	}{
		{"DER", whole(tagged(0xa0, value([]byte(attacked)))), signer.Pass, true},
		{"pieces", whole(tagged(0xa0, tagged(0x24, append(first, second...)))), signer.Pass, true},
		{"pieces of indefinite length", whole(long(0xa0, long(0x24, first, second))), signer.Pass, true},
		{"pieces of pieces", whole(long(0xa0, long(0x24, long(0x24, first), tagged(0x24, second)))), signer.Pass, true},
		{"empty pieces", whole(long(0xa0, long(0x24, value([]byte{}), first, value([]byte{}), second))), signer.Pass, true},
		{"all indefinite", indefinite(long(0xa0, long(0x24, first, second))), signer.Pass, true},
		{"long lengths", whole(append([]byte{0xa0, 0x84, 0, 0, 0, byte(len(attacked) + 4), 4, 0x82, 0}, append([]byte{byte(len(attacked))}, attacked...)...)), signer.Pass, true},

		{"two contents", whole(tagged(0xa0, append(value([]byte(attacked)), value([]byte("Pay 1000"))...))), signer.PermError, false},
		{"two contents, apart", whole(append(tagged(0xa0, value([]byte(attacked))), tagged(0xa0, value([]byte("Pay 1000")))...)), signer.PermError, false},
		{"a piece is a text", whole(tagged(0xa0, tagged(0x24, append(first, 0x0c, 1, 'x')))), signer.PermError, false},
		{"the content is a text", whole(tagged(0xa0, append([]byte{0x0c, byte(len(attacked))}, attacked...))), signer.PermError, false},
		{"implicit", whole(append([]byte{0x80, byte(len(attacked))}, attacked...)), signer.PermError, false},
		{"pieces swapped", whole(tagged(0xa0, tagged(0x24, append(bytes.Clone(second), first...)))), signer.Fail, false},
		{"one piece only", whole(tagged(0xa0, tagged(0x24, first))), signer.Fail, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, found := checkOpaque(t, tc.data, VerifyOptions{})
			if v := found[0].Integrity; v.Verdict != tc.verdict {
				t.Errorf("%+v, want %s", v, tc.verdict)
			}
			if tc.verdict == signer.Pass && string(got) != attacked {
				t.Errorf("another content: %q", got)
			}
			out, msg, err := openssl(t, tc.data, "cms", "-verify", "-noverify", "-binary", "-inform", "DER")
			if (err == nil) != tc.openssl || tc.openssl && string(out) != attacked {
				t.Errorf("OpenSSL: %v, %q, %s", err, out, msg)
			}
		})
	}
}
