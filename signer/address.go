package signer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAddress is the longest address, in bytes: a line (RFC 5322, Section 2.1.1).
// RFC 5321, Section 4.5.3.1 has 64 for the local part and 255 for the domain.
const maxAddress = maxLine

// Addresses returns the addr-specs of an address-list field such as From, To or
// Sender (RFC 5322, Section 3.4), in order and each once. It reads what real
// mail has and the grammar does not: missing angle brackets, semicolons between
// addresses, UTF-8 (RFC 6532), text around addresses, quotes without an end.
// What is a display name or a comment by the grammar is not an address, whatever
// it says. Where the text breaks the grammar, so that programs may differ in
// which address they show, all of them are returned.
//
// A quoted local part that needs no quotes comes without them. Domains come as
// written.
func Addresses(value string) []string {
	found := &addressSet{seen: map[string]bool{}}
	tokens, clean := addressTokens(value, true)
	found.list(tokens)
	if !clean || len(found.addresses) == 0 {
		// A quote or comment without an end, or nothing at all: what reads as
		// hidden may be what a program shows.
		tokens, _ = addressTokens(value, false)
		found.scan(tokens)
	}
	if len(found.addresses) == 0 {
		if decoded := DecodeWords(value); decoded != value {
			tokens, _ = addressTokens(decoded, false)
			found.scan(tokens)
		}
	}
	return found.addresses
}

// addressSet collects addresses in order, each once.
type addressSet struct {
	addresses []string
	seen      map[string]bool
}

// list reads an address-list: elements between commas, semicolons and colons
// that are not in angle brackets. A colon ends a group's name.
func (s *addressSet) list(tokens []addressToken) {
	start, angle := 0, false
	for i, t := range tokens {
		switch t.kind {
		case '<':
			angle = true
		case '>':
			angle = false
		case ',', ';', ':':
			if !angle {
				s.element(tokens[start:i])
				start = i + 1
			}
		}
	}
	s.element(tokens[start:])
}

// element reads one mailbox: an addr-spec alone, or an optional phrase and an
// addr-spec in angle brackets. Anything else is searched for all it has.
func (s *addressSet) element(tokens []addressToken) {
	spec, odd := tokens, false
	for i, t := range tokens {
		if t.kind == '<' {
			last := len(tokens) - 1
			odd = odd || tokens[last].kind != '>'
			spec = withoutRoute(tokens[i+1 : max(last, i+1)])
			break
		}
		odd = odd || t.kind == '@'
	}
	// An "@" in the phrase is odd; without brackets there is no phrase.
	if address, ok := addrSpec(spec); ok && (!odd || len(spec) == len(tokens)) {
		s.add(address)
		return
	}
	s.scan(tokens)
}

// withoutRoute drops an obsolete source route, @a,@b: (RFC 5322, Section 4.4).
func withoutRoute(tokens []addressToken) []addressToken {
	for i := 0; i+1 < len(tokens) && tokens[i].kind == '@' && tokens[i+1].kind == word; {
		i += 2
		if i < len(tokens) && tokens[i].kind == ':' {
			return tokens[i+1:]
		}
		for i < len(tokens) && tokens[i].kind == ',' {
			i++
		}
	}
	return tokens
}

// addrSpec reads tokens that are one addr-spec and nothing else. White space and
// comments may stand around "@" and around dots (RFC 5322, Section 4.4).
func addrSpec(tokens []addressToken) (string, bool) {
	at := -1
	for i, t := range tokens {
		switch {
		case t.kind == '@' && at < 0:
			at = i
		case t.kind != word:
			return "", false
		case i > 0 && tokens[i-1].kind == word && !joined(tokens[i-1], t):
			return "", false
		}
	}
	if at < 0 {
		return "", false
	}
	local, domain := joinWords(tokens[:at]), joinWords(tokens[at+1:])
	return newAddress(local, domain)
}

// joined reports whether two words that follow each other belong to one local
// part or domain.
func joined(a, b addressToken) bool {
	return !b.space || strings.HasSuffix(a.text, ".") && !a.quoted || strings.HasPrefix(b.text, ".") && !b.quoted
}

// scan adds an address for each "@" with a local part before and a domain after
// it.
func (s *addressSet) scan(tokens []addressToken) {
	for i, t := range tokens {
		if t.kind != '@' {
			continue
		}
		left, right := i, i+1
		for left > 0 && tokens[left-1].kind == word && (left == i || !tokens[left].space) {
			left--
		}
		for right < len(tokens) && tokens[right].kind == word && !tokens[right].quoted &&
			(right == i+1 || !tokens[right].space) {
			right++
		}
		local, domain := joinWords(tokens[left:i]), joinWords(tokens[i+1:right])
		if strings.HasPrefix(local, "'") && strings.HasSuffix(domain, "'") {
			local = local[1:]
		}
		if found, ok := newAddress(local, domainPrefix(domain)); ok {
			s.add(found)
		}
	}
}

func joinWords(words []addressToken) string {
	var b strings.Builder
	for _, t := range words {
		b.WriteString(t.text)
	}
	return b.String()
}

// newAddress makes an addr-spec of a local part without quotes and a domain.
func newAddress(local, domain string) (string, bool) {
	domain = strings.TrimSuffix(domain, ".")
	if local == "" || !isDomain(domain) {
		return "", false
	}
	if !isDotAtom(local) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	spec := local + "@" + domain
	// A NUL, say, can't stand in quotes either.
	_, _, ok := SplitAddress(spec)
	return spec, ok
}

// domainPrefix cuts off what can't belong to a domain name.
func domainPrefix(s string) string {
	if strings.HasPrefix(s, "[") {
		return s
	}
	for i, r := range s {
		if r < utf8.RuneSelf && r != '.' && !isLabelByte(byte(r)) || strings.HasPrefix(s[i:], "..") {
			return s[:i]
		}
	}
	return s
}

func (s *addressSet) add(address string) {
	at := strings.LastIndexByte(address, '@')
	key := address[:at] + strings.ToLower(address[at:])
	if !s.seen[key] {
		s.seen[key] = true
		s.addresses = append(s.addresses, address)
	}
}

// SplitAddress splits an addr-spec into its local part, without quotes and
// backslashes, and its domain, as written. It is not ok if the address is
// anything else than one addr-spec without comments and white space.
func SplitAddress(address string) (local, domain string, ok bool) {
	if len(address) > maxAddress {
		return "", "", false
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !isDomain(address[at+1:]) {
		return "", "", false
	}
	local, domain = address[:at], address[at+1:]
	if strings.HasPrefix(local, `"`) {
		text, size, closed := quotedString(local)
		return text, domain, closed && size == len(local) && text != ""
	}
	return local, domain, isDotAtom(local)
}

// isDotAtom reports whether s can be a local part without quotes. Dots may stand
// anywhere: there are mailboxes like that.
func isDotAtom(s string) bool {
	for _, r := range s {
		if !isAtomRune(r) {
			return false
		}
	}
	return s != ""
}

// isAtomRune reports whether r is a dot or a character of an atom (RFC 5322,
// Section 3.2.3, RFC 6532, Section 3.2).
func isAtomRune(r rune) bool {
	switch {
	case r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r):
		return false
	case r < utf8.RuneSelf:
		return strings.IndexByte(`()<>[]:;@\,"`, byte(r)) < 0
	}
	return true
}

// isDomain reports whether s is a domain name, ASCII or not, or an address
// literal such as [192.0.2.1].
func isDomain(s string) bool {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		return len(s) > 2 && strings.Trim(s[1:len(s)-1], "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-") == ""
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" {
			return false
		}
		for _, r := range label {
			if r < utf8.RuneSelf && !isLabelByte(byte(r)) || !isAtomRune(r) {
				return false
			}
		}
	}
	return true
}

func isLabelByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
}
