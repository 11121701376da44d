package policies

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Address is an address in the form in which addresses are compared: the local
// part without quotes and composed (Unicode NFC), the domain in lower case with
// A-labels (RFC 5890, Section 2.3.2.1) and without a final dot. Both are empty
// for the null sender.
type Address struct {
	Local  string
	Domain string
}

// Normalise reads an address as an MTA does and never fails: what is no address
// gets some form of its own. Quotes, comments, blanks, angle brackets and a
// source route (RFC 5321, Appendix C) do not count, since an MTA delivers to the
// same place with or without them.
func Normalise(address string) Address {
	a, _ := readAddress(address)
	return a
}

// String returns local@domain, without quotes.
func (a Address) String() string {
	if a.Domain == "" {
		return a.Local
	}
	return a.Local + "@" + a.Domain
}

// shape says how an address was written.
type shape struct {
	odd  bool // with something that does not count, or that is not closed
	star bool // with an asterisk outside quotes
	at   bool // with an at sign outside quotes
}

// readAddress is one pass over the bytes: quotes and backslashes are resolved,
// the last "@" outside quotes divides the address (RFC 5321, Section 4.1.2).
func readAddress(s string) (Address, shape) {
	var how shape
	out := make([]byte, 0, len(s))
	at := -1
	inQuotes, comments := false, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			if comments == 0 {
				out = append(out, s[i])
			}
		case comments > 0:
			switch c {
			case '(':
				comments++
			case ')':
				comments--
			}
		case c == '"':
			inQuotes = !inQuotes
		case inQuotes:
			out = append(out, c)
		case c == '(':
			how.odd = true
			comments++
		case c <= ' ' || c == 0x7f:
			how.odd = true
		case c == '<':
			how.odd, out, at = true, out[:0], -1
		case c == '>':
			how.odd, i = true, len(s)
		case c == ':' && len(out) > 0 && out[0] == '@' && at >= 0:
			how.odd, out, at = true, out[:0], -1
		case c == '@':
			if at >= 0 {
				how.odd = true
			}
			how.at, at = true, len(out)
			out = append(out, c)
		default:
			if c == '*' {
				how.star = true
			}
			if strings.IndexByte(`),;`, c) >= 0 || (c == ':' || c == '[' || c == ']') && at < 0 {
				how.odd = true
			}
			out = append(out, c)
		}
	}
	if inQuotes || comments > 0 {
		how.odd = true
	}
	if at < 0 {
		return Address{Local: normalLocal(string(out))}, how
	}
	return Address{Local: normalLocal(string(out[:at])), Domain: normalDomain(string(out[at+1:]))}, how
}

func normalLocal(local string) string { return norm.NFC.String(local) }

// maxDomain is the longest domain in bytes, as U-labels, that is looked at
// closely; none that exists is longer than 253 octets as A-labels.
const maxDomain = 1024

// mapping is never changed. Its checks are loose, since domains with underscores
// and hyphens in odd places work.
var mapping = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
	idna.CheckHyphens(false), idna.CheckJoiners(false))

// normalDomain maps a domain as a lookup does (RFC 5891, Section 5; UTS 46,
// nontransitional, which is what MTAs use). A domain that is not valid is
// lowered only.
func normalDomain(domain string) string {
	if strings.HasPrefix(domain, "[") {
		return normalLiteral(domain)
	}
	if !isASCII(domain) && len(domain) <= maxDomain {
		if a, err := mapping.ToASCII(domain); err == nil && isASCII(a) {
			domain = a
		} else {
			domain = norm.NFKC.String(domain)
			domain = strings.ReplaceAll(domain, "\u3002", ".")
		}
	}
	return strings.TrimRight(strings.ToLower(domain), ".")
}

// normalLiteral writes an address literal (RFC 5321, Section 4.1.3) in the one
// form that netip gives it.
func normalLiteral(domain string) string {
	domain = strings.ToLower(strings.TrimRight(domain, "."))
	inside, closed := strings.CutSuffix(domain[1:], "]")
	if !closed {
		return domain
	}
	tag := "ipv6:"
	inside, six := strings.CutPrefix(inside, tag)
	if !six {
		tag = ""
	}
	if ip, err := netip.ParseAddr(inside); err == nil {
		inside = ip.String()
	}
	return "[" + tag + inside + "]"
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fold returns a text in which letters that differ in case only are the same
// (simple folding of Unicode, one letter for one).
func fold(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}

func (a Address) folded() Address { return Address{Local: fold(a.Local), Domain: a.Domain} }
