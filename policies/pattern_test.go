package policies

import (
	"strings"
	"testing"
)

// matches says slowly and in another way than index what a pattern means.
func matches(p Pattern, address string, foldLocal bool) bool {
	a := Normalise(address)
	switch {
	case p.text == "*":
		return true
	case strings.HasPrefix(p.text, "*@*."):
		return strings.HasSuffix(a.Domain, "."+p.address.Domain)
	case strings.HasPrefix(p.text, "*@") || p.address.Local == "":
		return a.Domain == p.address.Domain
	case foldLocal:
		return a.Domain == p.address.Domain && strings.EqualFold(a.Local, p.address.Local)
	}
	return a == p.address
}

func indexed(p Pattern, address string, foldLocal bool) bool {
	x, found := newIndex(), false
	x.add(0, []Pattern{p}, foldLocal)
	x.visit(Normalise(address), func(list []int) { found = found || len(list) > 0 })
	return found
}

func TestNormalise(t *testing.T) {
	for _, test := range []struct{ address, local, domain string }{
		{"", "", ""},
		{"<>", "", ""},
		{"a@b.example", "a", "b.example"},
		{"A@B.Example", "A", "b.example"},
		{"a@b.example...", "a", "b.example"},
		{`"a"@b.example`, "a", "b.example"},
		{`"a b"@b.example`, "a b", "b.example"},
		{`a\ b@b.example`, "a b", "b.example"},
		{`"a\"b"@b.example`, `a"b`, "b.example"},
		{`"a@b"@c.example`, "a@b", "c.example"},
		{`"".a@b.example`, ".a", "b.example"},
		{"a@b@c.example", "a@b", "c.example"},
		{"a (x (y) z)@ b.example (w)", "a", "b.example"},
		{`a(\))@b.example`, "a", "b.example"},
		{"@r.example:a@b.example", "a", "b.example"},
		{"Name <a@b.example> more", "a", "b.example"},
		{"a", "a", ""},
		{"@b.example", "", "b.example"},
		{"a@", "a", ""},
		{"a@[127.0.0.1]", "a", "[127.0.0.1]"},
		{"a@[IPv6:::1]", "a", "[ipv6:::1]"},
		{"a@[IPv6:0:0::1].", "a", "[ipv6:::1]"},
		{"a@[X-tag:Y]", "a", "[x-tag:y]"},
		{"a@[", "a", "["},
		{"a@Bücher.example", "a", "xn--bcher-kva.example"},
		{"a@b_c.ü.example", "a", "b_c.xn--tda.example"},
		{"a@例え。テスト", "a", "xn--r8jz45g.xn--zckzah"},
		{"a@\u2488com", "a", "1.com"},               // disallowed in a domain name
		{"a@\xff.example", "a", "xn--zn7c.example"}, // as U+FFFD, which no domain has
		{"a@" + strings.Repeat("ü", 600), "a", strings.Repeat("ü", 600)},
		{"u\u0308@b.example", "ü", "b.example"},
		{"a\x00b@b.example", "ab", "b.example"},
		{`a@b.example\`, "a", `b.example\`},
	} {
		if got := Normalise(test.address); got != (Address{test.local, test.domain}) {
			t.Errorf("%q: got %q", test.address, got)
		}
	}
	if s := (Address{"a b", "c.example"}).String(); s != "a b@c.example" {
		t.Error(s)
	}
	if s := (Address{Local: "root"}).String(); s != "root" {
		t.Error(s)
	}
}

func TestFold(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"abc", "ABC", true}, {"ß", "ẞ", true}, {"ß", "ss", false}, {"K", "\u212a", true}, {"ſ", "S", true},
		{"ς", "Σ", true}, {"é", "É", true}, {"é", "e", false}, {"ı", "I", false}, {"\xff", "\xff", true},
	} {
		if got := fold(test.a) == fold(test.b); got != test.same {
			t.Errorf("%q and %q: %v", test.a, test.b, got)
		}
	}
}

// dodges are other ways to write an address that an MTA delivers to the same
// place.
func dodges(local, domain string) []string {
	var quoted strings.Builder
	for _, c := range []byte(local) {
		quoted.WriteByte('\\')
		quoted.WriteByte(c)
	}
	return []string{
		local + "@" + domain,
		local + "@" + strings.ToUpper(domain),
		local + "@" + domain + ".",
		local + "@" + strings.ReplaceAll(domain, ".", "\uff0e"),
		local + "@" + strings.ReplaceAll(domain, ".", "\u3002") + "\u3002",
		`"` + local + `"@` + domain,
		`"` + quoted.String() + `"@` + domain,
		quoted.String() + "@" + domain,
		"<" + local + "@" + domain + ">",
		"@relay.example:" + local + "@" + domain,
		local + "(@evil.example)@" + domain + "(@evil.example)",
	}
}

func FuzzMatch(f *testing.F) {
	for _, pattern := range []string{"*", "a@b.example", "*@b.example", "*@*.b.example", "b.example", "*@Bücher.example",
		"\"a b\"@b.example", "a@[127.0.0.1]", "*@*.example"} {
		for _, address := range []string{"a@b.example", "A@x.B.example.", "\"a b\"@b.example", "a@bücher.example",
			"a@xn--bcher-kva.example", "@r:a@b.example", "", "a@[127.0.0.1]", "(a@b)"} {
			f.Add(pattern, address)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, address string) {
		normal := Normalise(address)
		if !strings.Contains(normal.Domain, "xn--") && normalDomain(normal.Domain) != normal.Domain &&
			isASCII(normal.Domain) && !strings.HasPrefix(normal.Domain, "[") {
			t.Errorf("the normal form of %q is not normal: %q", normal.Domain, normalDomain(normal.Domain))
		}
		p, problem, hint := parsePattern(pattern)
		if (problem == "") != (hint == "") {
			t.Fatalf("problem %q with hint %q", problem, hint)
		}
		if problem != "" {
			return
		}
		for _, foldLocal := range []bool{false, true} {
			want := matches(p, address, foldLocal)
			if got := indexed(p, address, foldLocal); got != want {
				t.Errorf("%q, %q, fold %v: got %v", pattern, address, foldLocal, got)
			}
		}
		// An exact address or domain is found in every spelling.
		if p.kind == subdomains || p.kind == anyone || strings.HasPrefix(p.address.Domain, "[") {
			return
		}
		local := p.address.Local
		if p.kind == wholeDomain {
			local = "x"
		}
		if strings.ContainsAny(local, "\"\\()<>@,;:[] \t\r\n\x00*") || strings.ContainsFunc(local, func(r rune) bool {
			return r < ' ' || r >= 0x7f
		}) {
			return
		}
		for _, dodge := range dodges(local, p.address.Domain) {
			if !indexed(p, dodge, false) {
				t.Errorf("%q is not in %q", dodge, pattern)
			}
		}
	})
}

// Long addresses take a time in proportion to their length: each of these would
// not end if it were the square of it.
func TestLongAddresses(t *testing.T) {
	p, _, _ := parsePattern("*@*.example")
	const n = 2_000_000
	for _, address := range []string{
		"a@" + strings.Repeat("a.", n) + "example",
		strings.Repeat("@", n) + "x.example",
		"a@" + strings.Repeat("ü.", n) + "example",
		strings.Repeat("(", n) + "a@x.example",
		strings.Repeat("@a:", n) + "a@x.example",
		strings.Repeat("<", n) + "a@x.example",
		strings.Repeat(`"`, n) + "a@x.example",
		strings.Repeat("u\u0308", n) + "@x.example",
		"a@x.example" + strings.Repeat(".", n),
	} {
		got := indexed(p, address, true)
		if want := !strings.HasPrefix(address, "("); got != want && !strings.HasPrefix(address, "a@ü") {
			t.Errorf("%.20q: %v", address, got)
		}
	}
}
