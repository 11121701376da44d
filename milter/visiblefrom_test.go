package milter

import (
	"strings"
	"testing"

	"waxseal/signer"
)

func headerOf(lines ...string) signer.Header {
	var h signer.Header
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h = append(h, signer.ParseField(name, value))
	}
	return h
}

func TestVisibleFrom(t *testing.T) {
	for _, test := range []struct {
		name, from string
		want       string // the address, or the reason behind a "-"
	}{
		// What a person can't take for anybody else.
		{"bare", "eve@evil.example", "eve@evil.example"},
		{"angle", "<eve@evil.example>", "eve@evil.example"},
		{"name", "Eve Example <eve@evil.example>", "eve@evil.example"},
		{"quoted", `"Example, Eve" <eve@evil.example>`, "eve@evil.example"},
		{"comment", "eve@evil.example (Eve (at work))", "eve@evil.example"},
		{"unquoted comma", "Example, Eve <eve@evil.example>", "eve@evil.example"},
		{"folded", "Eve\r\n <eve@evil.example>", "eve@evil.example"},
		{"encoded", "=?utf-8?q?Ev=C3=A9?= <eve@evil.example>", "eve@evil.example"},
		{"encoded in quotes", `"=?utf-8?q?Ev=C3=A9?=" <eve@evil.example>`, "eve@evil.example"},
		{"UTF-8", "Évé 💌 <eve@evil.example>", "eve@evil.example"},
		{"joiners", "می\u200cخواهم <eve@evil.example>", "eve@evil.example"},
		{"the address as name", `"eve@evil.example" <eve@evil.example>`, "eve@evil.example"},
		{"the address as name, other case", `'Eve@EVIL.example.' <eve@evil.example>`, "eve@evil.example"},
		{"the address as comment", `eve@evil.example (eve@evil.example)`, "eve@evil.example"},
		{"local part in quotes", `"eve smith"@evil.example`, `"eve smith"@evil.example`},
		{"local part in quotes, angle", `Eve <"eve \" smith"@evil.example>`, `"eve \" smith"@evil.example`},
		{"at sign in the local part", `<"boss@bank.example"@evil.example>`, `"boss@bank.example"@evil.example`},
		{"literal", "<eve@[IPv6:::1]>", "eve@[IPv6:::1]"},
		{"blanks", "Eve < eve @ evil.example >", "eve@evil.example"},
		{"domain in another script", "<eve@пример.example>", "eve@пример.example"},

		// Several addresses, or none.
		{"empty", " ", "-is empty"},
		{"no address", "Boss", "-has no address"},
		{"only a comment", "(boss@bank.example)", "-is not one address"},
		{"two", "boss@bank.example, eve@evil.example", "-has 2 addresses"},
		{"two, the second first", "eve@evil.example, boss@bank.example", "-has 2 addresses"},
		{"three", "a@a.example, b@b.example, c@c.example", "-has 3 addresses"},
		{"two in brackets", "<boss@bank.example><eve@evil.example>", "-has 2 addresses"},
		{"two, semicolon", "boss@bank.example; eve@evil.example", "-has 2 addresses"},
		{"one behind the brackets", "<eve@evil.example> boss@bank.example", "-has 2 addresses"},
		{"one before the brackets", "boss@bank.example <eve@evil.example>", "-has 2 addresses"},
		{"name before without a dot", "boss@bank <eve@evil.example>", "-has 2 addresses"},
		{"open quotes", `"boss@bank.example <eve@evil.example>`, "-has 2 addresses"},
		{"open comment", `(boss@bank.example eve@evil.example`, "-has 2 addresses"},
		{"twice", "eve@evil.example, EVE@evil.example", "-is not one address"},
		{"group", "Friends: eve@evil.example;", "-is a group"},
		{"empty group", "undisclosed-recipients:;", "-has no address"},
		{"group without an end", "boss: eve@evil.example", "-is a group"},

		// Malformed, so that programs show different things.
		{"text behind", "<eve@evil.example> Boss", "-has text after the address"},
		{"open bracket", "Boss <eve@evil.example", "-has angle brackets that don't fit together"},
		{"brackets twice", "Boss <<eve@evil.example>>", "-has angle brackets that don't fit together"},
		{"words before the address", "boss of bank eve@evil.example", "-is not one address"},
		{"route", "<@bank.example:eve@evil.example>", "-has an address with a route"},
		{"open comment behind", "eve@evil.example (Boss", "-has a comment or quotes without an end"},

		// A name that is an address.
		{"quoted", `"boss@bank.example" <eve@evil.example>`, "-has a display name with another address"},
		{"with more", `"Boss <boss@bank.example>" <eve@evil.example>`, "-has a display name with another address"},
		{"comment", `eve@evil.example (boss@bank.example)`, "-has a display name with another address"},
		{"comment in the name", `Boss (boss@bank.example) <eve@evil.example>`, "-has a display name with another address"},
		{"comment in a comment", `eve@evil.example ((boss@bank.example))`, "-has a display name with another address"},
		{"beside the own", `"eve@evil.example boss@bank.example" <eve@evil.example>`, "-has a display name with another address"},
		{"around the own", `"boss@bank.example" <s@bank.ex>`, "-has a display name with another address"},
		{"blanks", `"boss @ bank.example" <eve@evil.example>`, "-has a display name with another address"},
		{"escaped", `"boss\@bank.example" <eve@evil.example>`, "-has a display name with another address"},
		{"quotes in the middle", `boss"@"bank.example <eve@evil.example>`, "-has a display name with another address"},
		{"encoded", "=?utf-8?q?boss=40bank.example?= <eve@evil.example>", "-has a display name with another address"},
		{"base64", "=?utf-8?b?Ym9zc0BiYW5rLmV4YW1wbGU=?= <eve@evil.example>", "-has a display name with another address"},
		{"divided", "=?utf-8?q?boss?= =?utf-8?q?=40bank.example?= <eve@evil.example>", "-has a display name with another address"},
		{"encoded in quotes", `"=?utf-8?q?boss=40bank.example?=" <eve@evil.example>`, "-has a display name with another address"},
		{"UTF-16", "=?utf-16be?b?AGIAQABi?= <eve@evil.example>", "-has a display name with another address"},
		{"fullwidth", "boss＠bank.example <eve@evil.example>", "-has a display name with another address"},
		{"small", "boss﹫bank.example <eve@evil.example>", "-has a display name with another address"},
		{"fullwidth, encoded", "=?utf-8?q?boss=EF=BC=A0bank?= <eve@evil.example>", "-has a display name with another address"},
		{"zero width", "\"bo\u200bss\u200b@\u200bbank.example\" <eve@evil.example>", "-has a display name with another address"},
		{"unknown charset", "=?x-none?q?boss=40bank?= <eve@evil.example>", "-has a display name that can't be read"},
		{"encoded twice", "=?utf-8?q?=3D=3Futf-8=3Fq=3Fboss=3D40bank=3F=3D?= <eve@evil.example>", "-has a display name that can't be read"},

		// What can't be seen.
		{"null", "=?utf-8?q?Boss=00?= <eve@evil.example>", "-has a display name with characters that can't be seen"},
		{"line end", "=?utf-8?q?Boss=0D=0A?= <eve@evil.example>", "-has a display name with characters that can't be seen"},
		{"turned around", "\"\u202eelpmaxe.knab\" <eve@evil.example>", "-has a display name with characters that can't be seen"},
		{"encoded word in the local part", "<=?utf-8?q?boss=40bank.example?=@evil.example>", "-has an encoded word in the address"},
		{"two of them", "=?utf-8?b?Ym9zc0BiYW5rLmV4YW1wbGU=?==?utf-8?q?=00?=@evil.example", "-has an encoded word in the address"},
		{"turned around in the address", "<eve\u202e@evil.example>", "-has characters in the address that can't be seen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := visibleFrom(headerOf("To: b@example.org", "From: "+test.from))
			want := visibleAuthor{Address: test.want}
			if reason, ok := strings.CutPrefix(test.want, "-"); ok {
				want = visibleAuthor{Reason: "the From field " + reason}
			}
			if got != want {
				t.Errorf("%s\ngot  %+v\nwant %+v", test.from, got, want)
			}
		})
	}
}

func TestVisibleFromFields(t *testing.T) {
	const from = "From: Eve <eve@evil.example>"
	for _, test := range []struct {
		name   string
		header signer.Header
		want   visibleAuthor
	}{
		{"no From", headerOf("Sender: boss@bank.example", "Reply-To: boss@bank.example"), visibleAuthor{"", "there is no From field"}},
		{"two From", headerOf(from, "From: boss@bank.example"), visibleAuthor{"", "there are 2 From fields"}},
		{"the same twice", headerOf(from, from), visibleAuthor{"", "there are 2 From fields"}},
		{"two spellings", headerOf(from, "FROM: boss@bank.example", "from : boss@bank.example"), visibleAuthor{"", "there are 3 From fields"}},
		{"a name with a control", headerOf(from, "Fr\x00om: boss@bank.example"), visibleAuthor{"", "there are 2 From fields"}},
		{"an empty one", headerOf("From:", from), visibleAuthor{"", "there are 2 From fields"}},
		{"like From", headerOf(from, "X-From: boss@bank.example", "Return-Path: <boss@bank.example>", "Reply-To: boss@bank.example"),
			visibleAuthor{"eve@evil.example", ""}},
		{"Sender is the same", headerOf(from, "Sender: <EVE@evil.example>"), visibleAuthor{"eve@evil.example", ""}},
		{"Sender is another", headerOf(from, "Sender: boss@bank.example"),
			visibleAuthor{"eve@evil.example", "the Sender field is not the author's address"}},
		{"Sender has two", headerOf(from, "Sender: eve@evil.example, boss@bank.example"),
			visibleAuthor{"eve@evil.example", "the Sender field is not the author's address"}},
		{"Sender is empty", headerOf(from, "Sender: "), visibleAuthor{"eve@evil.example", "the Sender field is not the author's address"}},
		{"two Sender", headerOf(from, "Sender: eve@evil.example", "sender: boss@bank.example"),
			visibleAuthor{"eve@evil.example", "there are 2 Sender fields"}},
		{"resent by himself", headerOf("Resent-From: eve@evil.example", from), visibleAuthor{"eve@evil.example", ""}},
		{"resent", headerOf("Resent-From: eve@evil.example", "Resent-From: boss@bank.example", from),
			visibleAuthor{"eve@evil.example", "the Resent-From field is not the author's address"}},
		{"resent by another", headerOf("Resent-Sender: boss@bank.example", from),
			visibleAuthor{"eve@evil.example", "the Resent-Sender field is not the author's address"}},
		{"From decides first", headerOf("Sender: boss@bank.example", "From: Friends: a@a.example;"),
			visibleAuthor{"", "the From field is a group"}},
	} {
		if got := visibleFrom(test.header); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

// Whatever stands in From: if there is an author, he is the one address that is
// found, and no at sign is shown that is not his.
func FuzzVisibleFrom(f *testing.F) {
	for _, s := range []string{"Eve <eve@evil.example>", `"a@b" <c@d.example>`, "a@b.example (c\\)d)", "=?utf-8?q?a=40b?= <c@d.example>",
		`<"a\"b"@c.example>`, "g: a@b.example;", "<@r:a@b>", "a@[1]", "\x00\u202e＠"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h := headerOf("From: " + value)
		got := visibleFrom(h)
		if (got.Address == "") == (got.Reason == "") {
			t.Fatalf("%q: %+v", value, got)
		}
		if got.Address == "" {
			return
		}
		for _, a := range signer.Addresses(h[0].Value()) {
			if !sameAddress(a, got.Address) {
				t.Errorf("%q: %+v, but there is %s", value, got, a)
			}
		}
		shown, _, _ := strings.Cut(signer.DecodeWords(h[0].Value()), "<")
		for word := range strings.FieldsSeq(shown) {
			if strings.Contains(word, "＠") {
				t.Errorf("%q shows %s", value, word)
			}
		}
		if again := visibleFrom(headerOf("From: Somebody <" + got.Address + ">")); again != got {
			t.Errorf("%q: %+v, then %+v", value, got, again)
		}
	})
}
