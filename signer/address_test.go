package signer

import (
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		value string
		want  string // addresses separated by spaces
	}{
		// By the grammar.
		{"alice@a.example", "alice@a.example"},
		{"<alice@a.example>", "alice@a.example"},
		{"Alice <alice@a.example>", "alice@a.example"},
		{`"Alice B." <alice@a.example>, bob@b.example`, "alice@a.example bob@b.example"},
		{"alice@a.example, alice@A.EXAMPLE, Alice@a.example", "alice@a.example Alice@a.example"},
		{`Pete(A nice \) chap) <pete(his account)@silly.test(his host)>`, "pete@silly.test"},
		{"A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
			"c@public.example joe@example.org jdoe@one.test"},
		{"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", ""},
		{"Joe Q. Public <john.q.public@example.com>", "john.q.public@example.com"},
		{"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example", "mary@example.net jdoe@test.example"},
		{"<@a.example,@b.example:mary@example.net>", "mary@example.net"},
		{"John Doe <jdoe@machine(comment).  example>", "jdoe@machine.example"},
		{"Alice <alice@\r\n\ta.example>", "alice@a.example"},
		{`"a b"@a.example`, `"a b"@a.example`},
		{`"a\"b\\"@a.example`, `"a\"b\\"@a.example`},
		{`"alice"@a.example`, "alice@a.example"},
		{`"alice" . "b"@a.example`, "alice.b@a.example"},
		{`"bank@x.example"@evil.example`, `"bank@x.example"@evil.example`},
		{"alice@[192.0.2.1]", "alice@[192.0.2.1]"},
		{"alice@[IPv6:2001:db8::1]", "alice@[IPv6:2001:db8::1]"},
		{"alice@localhost", "alice@localhost"},
		{"Grüße <jürgen@bücher.example>", "jürgen@bücher.example"},
		{"o'brien@a.example", "o'brien@a.example"},
		{"a..b.@a.example", "a..b.@a.example"},
		{"undisclosed-recipients:;", ""},
		{"", ""},
		{"MAILER-DAEMON", ""},
		{"<>", ""},

		// What is only a display name or a comment.
		{`"bank@x.example" <evil@y.example>`, "evil@y.example"},
		{`"<bank@x.example>" <evil@y.example>`, "evil@y.example"},
		{`"a\" <bank@x.example>, " <evil@y.example>`, "evil@y.example"},
		{"evil@y.example (bank@x.example)", "evil@y.example"},
		{"(<bank@x.example>) evil@y.example", "evil@y.example"},
		{"(a(b)<bank@x.example>) <evil@y.example>", "evil@y.example"},
		{"=?utf-8?q?bank=40x.example?= <evil@y.example>", "evil@y.example"},
		{"=?utf-8?q?bank@x.example?= <evil@y.example>", "evil@y.example"},
		{"=?utf-8?b?YmFua0B4LmV4YW1wbGU=?= <evil@y.example>", "evil@y.example"},
		{"<@bank.example:evil@y.example>", "evil@y.example"},

		// Against the grammar: all that a program may show.
		{"bank@x.example <evil@y.example>", "bank@x.example evil@y.example"},
		{"alice@a.example <alice@a.example>", "alice@a.example"},
		{"<evil@y.example> <bank@x.example>", "evil@y.example bank@x.example"},
		{"<evil@y.example> bank@x.example", "evil@y.example bank@x.example"},
		{"evil@y.example bank@x.example", "evil@y.example bank@x.example"},
		{"evil@y.example; bank@x.example", "evil@y.example bank@x.example"},
		{"bank@x.example: evil@y.example;", "bank@x.example evil@y.example"},
		{"evil@y.example@x.example", "evil@y.example y.example@x.example"},
		{"<evil@y.example,bank@x.example>", "evil@y.example bank@x.example"},
		{`"bank@x.example\" <evil@y.example>`, "bank@x.example evil@y.example"},
		{"(bank@x.example <evil@y.example>", "bank@x.example evil@y.example"},
		{`"Alice <alice@a.example>`, "alice@a.example"},
		{"<<alice@a.example>>", "alice@a.example"},
		{"Alice <alice@a.example", "alice@a.example"},
		{"alice@a.example>", "alice@a.example"},
		{"Foo <foo@a.example, Bar <bar@b.example>", "foo@a.example bar@b.example"},
		{"Doe, John <j@a.example>", "j@a.example"},
		{"Sales: EU <s@a.example>", "s@a.example"},
		{"Re: [EXT] Bob <bob@b.example>", "bob@b.example"},
		{"[mailto:bob@b.example]", "bob@b.example"},
		{"'bob@b.example'", "bob@b.example"},
		{"'bob@b.example' <bob@b.example>", "bob@b.example"},
		{`"bob@b.example"`, "bob@b.example"},
		{"=?utf-8?q?Bob_=3Cbob=40b.example=3E?=", "bob@b.example"},
		{"=?x?q?<evil@y.example>?= <bank@x.example>", "evil@y.example bank@x.example"},
		{"bob@b.example.", "bob@b.example"},
		{"bob@b.example/path?a=b", "bob@b.example"},
		{"write to bob@b.example. Thanks, al@a.example", "bob@b.example al@a.example"},
		{"Inc bob @ b.example", "bob@b.example"},
		{"bob\u00a0<bob@b.example>\u00a0", "bob@b.example"},
		{"evil@y.example\x00bank@x.example", "evil@y.example bank@x.example"},
		{"b\xffb@b.example", "b@b.example"},
		{"\"a\x00b\"@b.example", ""},
		{"@a.example", ""},
		{"a@", ""},
		{"a@@b.example", ""},
		{"a@.example", ""},
		{"a@-", "a@-"},
	} {
		got := Addresses(test.value)
		if strings.Join(got, " ") != test.want {
			t.Errorf("Addresses(%q) = %q, want %q", test.value, got, test.want)
		}
	}
}

func TestSplitAddress(t *testing.T) {
	for _, test := range []struct {
		in, local, domain string
		ok                bool
	}{
		{"alice@a.example", "alice", "a.example", true},
		{"a..b@a.example", "a..b", "a.example", true},
		{`"a b"@A.example`, "a b", "A.example", true},
		{`"a\"\\b"@a.example`, `a"\b`, "a.example", true},
		{`"x@b.example"@a.example`, "x@b.example", "a.example", true},
		{"jürgen@bücher.example", "jürgen", "bücher.example", true},
		{"a@[192.0.2.1]", "a", "[192.0.2.1]", true},
		{in: ""}, {in: "@"}, {in: "a"}, {in: "a@"}, {in: "@a"}, {in: "a b@c"}, {in: "a@b@c"}, {in: "a@b c"},
		{in: `"a@b`}, {in: `"a"b@c`}, {in: `a"b"@c`}, {in: `""@c`}, {in: "<a@b>"}, {in: "a@b\n"}, {in: "a\r\n@b"},
		{in: "a@b..c"}, {in: "a@.b"}, {in: "a@b."}, {in: "a@b/../c"}, {in: "a(c)@b"}, {in: "a\x00@b"}, {in: "a\xff@b"},
		{in: strings.Repeat("a", 1000) + "@b"},
	} {
		local, domain, ok := SplitAddress(test.in)
		if ok != test.ok || ok && (local != test.local || domain != test.domain) {
			t.Errorf("SplitAddress(%q) = %q, %q, %v", test.in, local, domain, ok)
		}
	}
}

// What net/mail can read, Addresses must read alike.
func TestAddressesAgreesWithNetMail(t *testing.T) {
	read, agree, onlyHere := 0, 0, 0
	for name, m := range corpusMail(t, "mail", "smime", "mixed", "pgp") {
		for _, field := range []string{"From", "To", "Cc", "Sender", "Reply-To"} {
			for _, f := range m.Header.Fields(field) {
				read++
				got := Addresses(f.Value())
				want, err := mail.ParseAddressList(f.Value())
				if err != nil {
					if len(got) > 0 {
						onlyHere++
					}
					continue
				}
				if missing := missingAddress(got, want); missing != "" || len(got) > len(want) {
					t.Errorf("%s: Addresses(%q) = %q, net/mail reads %v", name, f.Value(), got, want)
					continue
				}
				agree++
			}
		}
	}
	t.Logf("of %d address fields %d read as net/mail does, %d only here", read, agree, onlyHere)
	if agree < 400 {
		t.Errorf("only %d fields to compare: is the corpus complete?", agree)
	}
}

// missingAddress returns an address of want that got does not have.
func missingAddress(got []string, want []*mail.Address) string {
	for _, a := range want {
		at := strings.LastIndexByte(a.Address, '@')
		if !slices.ContainsFunc(got, func(s string) bool {
			local, domain, ok := SplitAddress(s)
			return ok && local == a.Address[:at] && strings.EqualFold(domain, a.Address[at+1:])
		}) {
			return a.Address
		}
	}
	return ""
}

func TestAddressesIsLinear(t *testing.T) {
	const n = 50_000
	start := time.Now()
	pieces := []string{
		"\"", "(", "\\\"", "(\\", "\"\\", "a@", "@", "<", ">", "a@b,", "a.", ". ", "a .", "=?", "=?a?q?", "=?a?q?b?= ",
		"[", "@[", "a@[b", ":", ";", "<@a:", "@a,", "'", "\"a\"", "()", "\u00a0", "a@b ",
	}
	for _, piece := range pieces {
		Addresses(strings.Repeat(piece, n/len(piece)))
		Addresses("<" + strings.Repeat(piece, n/len(piece)))
		Addresses("\"" + strings.Repeat(piece, n/len(piece)))
	}
	t.Logf("%d fields of %d bytes in %v", 3*len(pieces), n, time.Since(start))
}

func FuzzAddresses(f *testing.F) {
	for _, s := range []string{
		`"a@b" <c@d>`, "a(b)@c", "g:a@b;", "<@a,@b:c@d>", `"a\"b"@c`, "a@[1.2.3.4]", "=?utf-8?q?a=40b?=", "'a@b'", "é@ü",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := Addresses(value)
		seen := map[string]bool{}
		for _, a := range got {
			if _, _, ok := SplitAddress(a); !ok {
				t.Errorf("Addresses(%q) returns %q, which is no address", value, a)
			}
			if strings.ContainsAny(a, "\r\n\x00") {
				t.Errorf("Addresses(%q) returns %q", value, a)
			}
			if seen[a] {
				t.Errorf("Addresses(%q) returns %q twice", value, a)
			}
			seen[a] = true
			if again := Addresses(a); len(again) != 1 || again[0] != a {
				t.Errorf("Addresses(%q) = %q", a, again)
			}
		}
	})
}
