package trust

import (
	"testing"

	"waxseal/signer"
)

func TestSameAddress(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"alice@example.com", "alice@example.com", true},
		{"alice@example.com", "ALICE@EXAMPLE.COM", true},
		{"alice@example.com", "bob@example.com", false},
		{"alice@example.com", "alice@example.org", false},
		{"alice@example.com", "alice@mail.example.com", false},
		{"alice@example.com", "alice@example.com.", false},
		{"alice@example.com", "alice@example.com\x00.evil.example", false},
		{"alice@example.com\x00@evil.example", "alice@example.com", false},
		{"alice@münchen.example", "alice@xn--mnchen-3ya.example", true},
		{"alice@MÜNCHEN.example", "alice@xn--mnchen-3ya.EXAMPLE", true},
		{"älice@example.com", "älice@EXAMPLE.com", true},
		{"älice@example.com", "Älice@example.com", false}, // only ASCII is folded
		{"alice@example.com", "alice@exаmple.com", false}, // Cyrillic a
		{"alıce@example.com", "alice@example.com", false}, // dotless i
		{"K@example.com", "k@example.com", true},
		{"\u212a@example.com", "k@example.com", false}, // Kelvin sign
		{`"a@b"@example.com`, `"a@b"@example.com`, true},
		{"alice", "alice", false},
		{"@example.com", "@example.com", false},
		{"alice@", "alice@", false},
		{"", "", false},
		{"alice@my_host.example", "alice@MY_host.example", true},
		{"alice@ex ample.com", "alice@ex ample.com", false},
		{"alice@xn--\x80", "alice@xn--\x80", false},
	} {
		if got := SameAddress(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: got %v", test.a, test.b, got)
		}
		if got := SameAddress(test.b, test.a); got != test.want {
			t.Errorf("%q and %q: got %v", test.b, test.a, got)
		}
	}
}

func TestMailWithin(t *testing.T) {
	for _, test := range []struct {
		address, base string
		inside, ok    bool
	}{
		{"a@example.com", "example.com", true, true},
		{"a@example.com", "EXAMPLE.com", true, true},
		{"a@mail.example.com", "example.com", false, true},
		{"a@mail.example.com", ".example.com", true, true},
		{"a@example.com", ".example.com", false, true},
		{"a@badexample.com", ".example.com", false, true},
		{"a@example.com", "a@example.com", true, true},
		{"A@example.com", "a@example.com", true, true},
		{"b@example.com", "a@example.com", false, true},
		{"a@evil.example@example.com", "evil.example", false, true},
		{"a@example.com", "", true, true},
		{"a@münchen.example", "xn--mnchen-3ya.example", true, true},
		{"example.com", "example.com", false, false},
		{"a@", "example.com", false, false},
	} {
		if inside, ok := mailWithin(test.address, test.base); inside != test.inside || ok != test.ok {
			t.Errorf("%q in %q: got %v, %v", test.address, test.base, inside, ok)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for _, test := range []struct {
		addresses []string
		address   string
		want      signer.Verdict
	}{
		{nil, "", signer.None},
		{[]string{"a@example.com"}, "", signer.None},
		{nil, "a@example.com", signer.Fail},
		{[]string{"b@example.com", "a@example.com"}, "a@example.com", signer.Pass},
		{[]string{"b@example.com", "c@example.com"}, "a@example.com", signer.Fail},
	} {
		if got := checkAddress(test.addresses, test.address); got.Verdict != test.want || (got.Reason == "") != (test.want == signer.Pass) {
			t.Errorf("%v: got %v", test, got)
		}
	}
}

// TestNames compares distinguished names as RFC 5280, Section 7.1, says.
func TestNames(t *testing.T) {
	part := func(tag byte, value string) []byte {
		attribute := append([]byte{6, 3, 0x55, 4, 3, tag, byte(len(value))}, value...)
		sequence := append([]byte{0x30, byte(len(attribute))}, attribute...)
		set := append([]byte{0x31, byte(len(sequence))}, sequence...)
		return append([]byte{0x30, byte(len(set))}, set...)
	}
	const utf8, printableString, teletex, bmp, octets = 12, 19, 20, 30, 4
	for _, test := range []struct {
		a, b []byte
		want bool
	}{
		{part(printableString, "Waxseal CA"), part(utf8, "waxseal ca"), true},
		{part(printableString, " Waxseal   CA "), part(utf8, "Waxseal CA"), true},
		{part(printableString, "WaxsealCA"), part(utf8, "Waxseal CA"), false},
		{part(teletex, "M\xfcller"), part(utf8, "MÜLLER"), true},
		{part(bmp, "\x00M\x00\xfc"), part(utf8, "mü"), true},
		{part(utf8, "mu\u0308"), part(utf8, "MÜ"), true}, // composed and not
		{part(octets, "a"), part(octets, "A"), false},
		{part(octets, "a"), part(utf8, "a"), false},
		{part(utf8, "a\x01b"), part(utf8, "a b"), false},
	} {
		a, errA := parseName(test.a)
		b, errB := parseName(test.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.equal(b) != test.want || (a.key() == b.key()) != test.want {
			t.Errorf("%q and %q: not %v", a, b, test.want)
		}
	}
}
