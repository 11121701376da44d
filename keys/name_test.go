package keys

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"alice@example.com":              "alice@example.com",
		"Alice@Example.COM":              "alice@example.com",
		`"alice"@example.com`:            "alice@example.com",
		"alice+tag@example.com":          "alice+tag@example.com",
		"o'neil@example.com":             "o'neil@example.com",
		"Example.COM":                    "example.com",
		"ida@bücher.example":             "ida@xn--bcher-kva.example",
		"ida@BÜCHER.example":             "ida@xn--bcher-kva.example",
		"ida@XN--BCHER-KVA.example":      "ida@xn--bcher-kva.example",
		"bücher。example":                 "xn--bcher-kva.example", // U+3002 is a dot in IDNA
		"straße.example":                 "xn--strae-oqa.example", // not strasse.example
		"用户@例え.テスト":                      "用户@xn--r8jz45g.xn--zckzah",
		"u\u0308@example.com":            "ü@example.com",
		"_dmarc.example.com":             "_dmarc.example.com",
		"corporate":                      "corporate",
		"a--b@r3---sn.example":           "a--b@r3---sn.example",
		"-x@example.com":                 "-x@example.com",
		strings.Repeat("l", 64) + "@x.y": strings.Repeat("l", 64) + "@x.y",
	} {
		got, err := Name(in)
		if err != nil || got != want {
			t.Errorf("Name(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestNameRefuses(t *testing.T) {
	for _, in := range []string{
		"", "@", "@example.com", "alice@", "a@b@", `""@example.com`,
		"../../etc/passwd", "..", ".", "/", "a/b@example.com", "a@b/c", "..@example.com", ".a@example.com",
		"a..b@example.com", "a.@example.com", "a@.example.com", "a@example..com", "a@example.com.",
		"a%2fb@example.com", "*@example.com", "*", "a@*.example.com", "a?b@example.com", "a#b@example.com",
		"a\x00b@example.com", "a\nb@example.com", "a\\b@example.com", "a b@example.com", `"a b"@example.com`,
		"a@example.com\x00", "a@exa mple.com", "a@[127.0.0.1]", "a@／etc.example", "\xff@example.com",
		"a\u202eb@example.com", "a\u00a0b@example.com", "a@xn--a", "a@xn--.example",
		strings.Repeat("l", 251) + "@x.y", "a@" + strings.Repeat("l", 64) + ".example", strings.Repeat("a.", 200) + "example",
	} {
		if got, err := Name(in); !errors.Is(err, ErrNotFound) {
			t.Errorf("Name(%q) = %q, %v; want an error that wraps ErrNotFound", in, got, err)
		}
	}
}

func TestDomain(t *testing.T) {
	for in, want := range map[string]string{
		"alice@Example.com": "example.com",
		"Example.com":       "example.com",
		"a/b@example.com":   "example.com", // no name, but the domain is one
		`"a@b"@example.com`: "example.com",
		"x@bücher.example":  "xn--bcher-kva.example",
	} {
		if got, err := Domain(in); err != nil || got != want {
			t.Errorf("Domain(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "alice@", "@example.com", "a@b/c", "a@.."} {
		if got, err := Domain(in); !errors.Is(err, ErrNotFound) {
			t.Errorf("Domain(%q) = %q, %v; want an error that wraps ErrNotFound", in, got, err)
		}
	}
}

// A name must be one path segment that stays what it is, and must be its own
// normal form.
func FuzzName(f *testing.F) {
	for _, s := range []string{"alice@example.com", "Ida@BÜCHER.example", "../x", "a%2e@b", "K@b", "u\u0308@x", "a@xn--bcher-kva.example", "İ@İ.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := Name(s)
		if err != nil {
			if !errors.Is(err, ErrNotFound) {
				t.Fatalf("Name(%q): %v doesn't wrap ErrNotFound", s, err)
			}
			return
		}
		if again, err := Name(name); err != nil || again != name {
			t.Fatalf("Name(%q) = %q, but Name of that = %q, %v", s, name, again, err)
		}
		if len(name) > maxName || name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\%*?#\x00\n\r ") ||
			strings.Contains(name, "..") || filepath.Base(name) != name || !filepath.IsLocal(name) {
			t.Fatalf("Name(%q) = %q, which is not one plain path segment", s, name)
		}
		d, err := Domain(s)
		if err != nil || (name != d && !strings.HasSuffix(name, "@"+d)) {
			t.Fatalf("Name(%q) = %q, Domain = %q, %v", s, name, d, err)
		}
	})
}
