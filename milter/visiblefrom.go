package milter

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"waxseal/policies"
	"waxseal/signer"
)

// visibleAuthor is whom a person takes for the author of a message.
type visibleAuthor struct {
	// Address is the one address of the one From field, or "" if there is no
	// such thing.
	Address string
	// Reason says in words why a signature can't be matched with what a person
	// sees, or is "". Where there is an Address, the From field may be in order
	// and the reason somewhere else.
	Reason string
}

// visibleFrom finds out whom a person takes for the author. Mail programs show a
// display name, an address, both, or the Sender field's; the author is certain
// only if it makes no difference.
func visibleFrom(h signer.Header) visibleAuthor {
	from := fieldsLike(h, "From")
	switch len(from) {
	case 0:
		return visibleAuthor{Reason: "there is no From field"}
	case 1:
	default:
		return visibleAuthor{Reason: fmt.Sprintf("there are %d From fields", len(from))}
	}
	address, reason := soleAddress(from[0].Value())
	if reason != "" {
		return visibleAuthor{Reason: "the From field " + reason}
	}
	return visibleAuthor{Address: address, Reason: besideFrom(h, address)}
}

// fieldsLike returns the fields that a program could take for those of a name:
// what can't stand in a name doesn't count.
func fieldsLike(h signer.Header, name string) []signer.Field {
	var found []signer.Field
	for _, f := range h {
		seen := strings.Map(func(r rune) rune {
			if r <= ' ' || r == 0x7f || invisible(r) {
				return -1
			}
			return r
		}, f.Name)
		if strings.EqualFold(seen, name) {
			found = append(found, f)
		}
	}
	return found
}

// besideFrom says why another field may make a person think of somebody else
// than the author.
func besideFrom(h signer.Header, author string) string {
	for _, name := range []string{"Sender", "Resent-From", "Resent-Sender"} {
		fields := fieldsLike(h, name)
		// A message is resent any number of times.
		if name == "Sender" && len(fields) > 1 {
			return fmt.Sprintf("there are %d Sender fields", len(fields))
		}
		for _, f := range fields {
			addresses := signer.Addresses(f.Value())
			if len(addresses) != 1 || !sameAddress(addresses[0], author) {
				return fmt.Sprintf("the %s field is not the author's address", name)
			}
		}
	}
	return ""
}

// soleAddress returns the address of a From field that has one and shows no
// other, or a reason.
func soleAddress(value string) (address, reason string) {
	if strings.TrimSpace(value) == "" {
		return "", "is empty"
	}
	m, broken := splitMailbox(value)
	addresses := signer.Addresses(value)
	if len(addresses) == 0 {
		return "", "has no address"
	}
	// A name that is the address in other letters comes first.
	address = addresses[len(addresses)-1]
	for _, a := range addresses {
		if !sameAddress(a, address) {
			return "", fmt.Sprintf("has %d addresses", len(addresses))
		}
	}
	switch {
	case broken != "":
		return "", broken
	case strings.HasPrefix(strings.TrimSpace(m.spec), "@"):
		return "", "has an address with a route"
	case policies.Normalise(m.spec) != policies.Normalise(address):
		return "", "is not one address"
	case strings.Contains(address, "=?"):
		return "", "has an encoded word in the address"
	case strings.ContainsFunc(address, hides):
		return "", "has characters in the address that can't be seen"
	}
	for _, shown := range append([]string{m.phrase, strings.ReplaceAll(m.phrase, `"`, "")}, m.comments...) {
		if reason := showsAnother(shown, address); reason != "" {
			return "", reason
		}
	}
	return address, ""
}

// showsAnother says what is wrong with a display name or comment beside an
// address. A name that is the address itself is fine: many programs write it.
func showsAnother(shown, address string) string {
	decoded := signer.DecodeWords(shown)
	if strings.ContainsFunc(decoded, hides) {
		return "has a display name with characters that can't be seen"
	}
	decoded = strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return r
	}, norm.NFKC.String(decoded))
	words := strings.FieldsFunc(decoded, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`<>()[]{}"',;:|`, r)
	})
	for _, word := range words {
		if isAt := strings.ContainsRune(word, '@'); isAt && !sameAddress(strings.TrimRight(word, "."), address) {
			return "has a display name with another address"
		}
	}
	if strings.Contains(decoded, "=?") && strings.Contains(decoded, "?=") {
		// Words that are encoded twice, or in a way that only others can read.
		return "has a display name that can't be read"
	}
	return ""
}

// hides reports whether a character turns a text around or has no place in a
// line.
func hides(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' ||
		r == '\u2028' || r == '\u2029'
}

// sameAddress compares addresses without regard to case.
func sameAddress(a, b string) bool {
	return strings.EqualFold(policies.Normalise(a).String(), policies.Normalise(b).String())
}

// mailbox is the pieces of a From field with one address.
type mailbox struct {
	spec     string   // between the angle brackets, or all of it without them
	phrase   string   // before the angle bracket
	comments []string // without the outer parentheses
}

// splitMailbox takes a field apart that should be one mailbox (RFC 5322, Section
// 3.4). If it is something else, it says what.
func splitMailbox(value string) (m mailbox, broken string) {
	var text, comment strings.Builder
	depth, quoted, angle := 0, false, 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		out := &text
		if depth > 0 {
			out = &comment
		}
		switch {
		case c == '\\' && (quoted || depth > 0) && i+1 < len(value):
			// The address is read later, the rest is for the eye.
			if quoted && angle == 1 {
				out.WriteByte(c)
			}
			i++
			out.WriteByte(value[i])
		case depth > 0 && c == '(' || depth == 0 && !quoted && c == '(':
			if depth++; depth > 1 {
				out.WriteByte(c)
			}
		case depth > 0 && c == ')':
			if depth--; depth == 0 {
				m.comments = append(m.comments, comment.String())
				comment.Reset()
			} else {
				out.WriteByte(c)
			}
		case depth > 0:
			out.WriteByte(c)
		case c == '"':
			quoted = !quoted
			out.WriteByte(c)
		case quoted:
			out.WriteByte(c)
		case c == '[' && strings.IndexByte(value[i:], ']') > 0:
			n := strings.IndexByte(value[i:], ']') + 1
			out.WriteString(value[i : i+n])
			i += n - 1
		case c == '<' && angle == 0:
			m.phrase, angle = text.String(), 1
			text.Reset()
		case c == '>' && angle == 1:
			m.spec, angle = text.String(), 2
			text.Reset()
		case c == '<' || c == '>':
			return m, "has angle brackets that don't fit together"
		case (c == ':' || c == ';') && angle != 1:
			return m, "is a group"
		default:
			out.WriteByte(c)
		}
	}
	switch {
	case depth > 0 || quoted:
		return m, "has a comment or quotes without an end"
	case angle == 1:
		return m, "has angle brackets that don't fit together"
	case angle == 2 && strings.TrimSpace(text.String()) != "":
		return m, "has text after the address"
	case angle == 0:
		m.spec = value
	}
	return m, ""
}
