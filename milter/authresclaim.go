package milter

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"waxseal/signer"
)

// maxNameRead is the longest text, in bytes, that is looked at as a name; host
// names have up to 253.
const maxNameRead = 1024

// claimsAuthserv reports whether a field is one of Authentication-Results that
// some reader could take for one of the system id (RFC 8601, Section 5). Readers
// differ: this one assumes of each the reading that makes the field ours. It
// follows quotes and comments and doesn't, decodes what may be encoded, and
// takes characters that look alike for the same. Its time is linear in the
// length of the field.
func claimsAuthserv(f signer.Field, id string) bool {
	if !isAuthres(f.Name) {
		return false
	}
	c := claim{ours: hostKey(id)}
	if c.ours == "" {
		return true // nobody can tell
	}
	value := f.Value()
	words, percent := signer.DecodeWords(value), decodePercent(value)
	readings := []string{value, words, percent, decodePercent(percent), decodePercent(words)}
	for i, reading := range readings {
		// A control character is nothing, or the end of the name.
		spaced := strings.Map(controlToSpace, reading)
		if (i == 0 || reading != value) && (c.claims(reading) || spaced != reading && c.claims(spaced)) {
			return true
		}
	}
	return false
}

func controlToSpace(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// isAuthres reports whether a reader could take a name for that of the field:
// what can't stand in a name doesn't count.
func isAuthres(name string) bool {
	return strings.EqualFold(AuthresName, strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || invisible(r) {
			return -1
		}
		return r
	}, name))
}

// claim looks for one name in values of the field.
type claim struct{ ours string }

// claims reads a value that is unfolded.
func (c claim) claims(value string) bool {
	strict, whole := parts(value)
	for i, part := range strict {
		// The part that names the system is the first. But some systems write
		// results before the name, or leave it out, and their readers cope.
		if c.isName(part) || i == 0 && (c.names(part) || c.names(unquoted(part))) {
			return true
		}
	}
	// The same with comments and quotes as if they were nothing special.
	first := ""
	for part := range strings.SplitSeq(value, ";") {
		// Where one has no end, nobody knows where the first part is.
		if !whole && c.isName(part) {
			return true
		}
		if first == "" && strings.Trim(part, " \t\r\n\"()") != "" {
			first = part
		}
	}
	return c.startsWithName(first) || !whole && c.names(first)
}

// parts divides a value at the semicolons outside of quotes and comments. In the
// parts, a comment is a space; quotes are kept. Empty parts are left out. It is
// not whole if a quote or comment has no end.
func parts(value string) (parts []string, whole bool) {
	var b strings.Builder
	depth, quoted := 0, false
	end := func() {
		if strings.TrimSpace(b.String()) != "" {
			parts = append(parts, b.String())
		}
		b.Reset()
	}
	for i := 0; i < len(value); i++ {
		ch := value[i]
		escaped := ch == '\\' && (quoted || depth > 0) && i+1 < len(value)
		if escaped {
			i++
			ch = value[i]
		}
		switch {
		case depth > 0:
			switch {
			case escaped:
			case ch == '(':
				depth++
			case ch == ')':
				depth--
			}
		case escaped:
			b.WriteByte(ch)
		case ch == '"':
			quoted = !quoted
			b.WriteByte(ch)
		case quoted:
			b.WriteByte(ch)
		case ch == '(':
			depth++
			b.WriteByte(' ')
		case ch == ';':
			end()
		default:
			b.WriteByte(ch)
		}
	}
	end()
	return parts, depth == 0 && !quoted
}

// unquoted takes quotes, brackets and backslashes out.
func unquoted(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("\"'\\<>[]{}", r) {
			return -1
		}
		return r
	}, s)
}

// isName reports whether a part is our name, perhaps with a version, and nothing
// else.
func (c claim) isName(part string) bool {
	words := strings.Fields(unquoted(part))
	for len(words) > 1 && strings.Trim(words[len(words)-1], "0123456789") == "" {
		words = words[:len(words)-1]
	}
	return c.isOurs(strings.Join(words, ""))
}

// names reports whether our name stands anywhere in a part but for places where
// it can only be the value of a property.
func (c claim) names(part string) bool {
	before := ' '
	return cutNames(part, func(name string, delimiter rune) bool {
		if delimiter != 0 {
			before = delimiter
		}
		return before != '=' && before != '@' && c.isOurs(name)
	})
}

// startsWithName reports whether the first name in a part is ours.
func (c claim) startsWithName(part string) bool {
	ours := false
	cutNames(part, func(name string, _ rune) bool {
		ours = c.isOurs(name)
		return true
	})
	return ours
}

// cutNames calls f with each run of characters that host names may have, and the
// character before it (0 for none) until f returns true.
func cutNames(s string, f func(name string, before rune) bool) bool {
	before, start := rune(0), -1
	for i, r := range s {
		part := r >= utf8.RuneSelf && !unicode.IsSpace(r) || invisible(r) || isHostByte(r)
		switch {
		case part && start < 0:
			start = i
		case !part:
			if start >= 0 && f(s[start:i], before) {
				return true
			}
			before, start = r, -1
		}
	}
	return start >= 0 && f(s[start:], before)
}

func isHostByte(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}

func (c claim) isOurs(name string) bool {
	key := hostKey(name)
	return key != "" && key == c.ours
}

// hostKey returns a host name in a form that is the same for all names that a
// program or a person can take for each other.
func hostKey(name string) string {
	name = strings.Map(func(r rune) rune {
		if invisible(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if len(name) > maxNameRead {
		return ""
	}
	name = strings.ToLower(norm.NFKC.String(name))
	if unicoded, err := idna.Punycode.ToUnicode(name); err == nil {
		name = strings.ToLower(norm.NFKC.String(unicoded))
	}
	return strings.Trim(strings.Map(lookalike, name), ".")
}

// invisible reports whether a character leaves no mark where it stands: controls,
// and the format characters of Unicode, such as the zero-width space.
func invisible(r rune) bool {
	return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' || unicode.Is(unicode.Cf, r) ||
		unicode.Is(unicode.Variation_Selector, r) || r == '\u034f'
}

// lookalike returns the Latin letter or mark that a character of another script
// looks like in most typefaces, else the character. It knows small letters.
func lookalike(r rune) rune {
	switch r {
	case 'а', 'α':
		return 'a'
	case 'в', 'β':
		return 'b'
	case 'с', 'ϲ':
		return 'c'
	case 'ԁ':
		return 'd'
	case 'е', 'ε':
		return 'e'
	case 'ɡ':
		return 'g'
	case 'һ', 'н':
		return 'h'
	case 'і', 'ι', 'ı', 'ӏ':
		return 'i'
	case 'ј':
		return 'j'
	case 'к', 'κ':
		return 'k'
	case 'м', 'μ':
		return 'm'
	case 'п', 'η':
		return 'n'
	case 'о', 'ο', 'օ':
		return 'o'
	case 'р', 'ρ':
		return 'p'
	case 'ԛ':
		return 'q'
	case 'г':
		return 'r'
	case 'ѕ':
		return 's'
	case 'т', 'τ':
		return 't'
	case 'υ', 'ս':
		return 'u'
	case 'ѵ', 'ν':
		return 'v'
	case 'ԝ', 'ω':
		return 'w'
	case 'х', 'χ':
		return 'x'
	case 'у', 'γ':
		return 'y'
	case '‐', '‑', '‒', '–', '—', '−':
		return '-'
	case '。', '．', '｡', '․', '·', '‧':
		return '.'
	}
	return r
}

// decodePercent decodes %XX.
func decodePercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	hex := func(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
	digit := func(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && digit(s[i+1]) && digit(s[i+2]) {
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}
