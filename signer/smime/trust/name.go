package trust

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/unicode/norm"
)

// name is a distinguished name made ready for comparison (RFC 5280, Section
// 7.1): one string for each RDN, equal where the RDNs match.
type name []string

// maxNameParts is how many attributes a name may have. Real ones have about ten.
const maxNameParts = 200

var errName = errors.New("malformed distinguished name")

// key is equal for names that match.
func (n name) key() string { return strings.Join(n, "\x00") }

func (n name) equal(other name) bool { return slices.Equal(n, other) }

// within says whether the name is in the subtree (RFC 5280, Section 4.2.1.10).
func (n name) within(base name) bool {
	return len(n) >= len(base) && slices.Equal(n[:len(base)], base)
}

// add returns the name with another RDN below it.
func (n name) add(rdn string) name { return append(slices.Clip(n), rdn) }

// parseName reads a Name, the whole element, or its content if only that is
// given by an implicit tag's reader.
func parseName(der []byte) (name, error) {
	input := cryptobyte.String(der)
	var sequence cryptobyte.String
	if !input.ReadASN1(&sequence, casn1.SEQUENCE) || !input.Empty() {
		return nil, errName
	}
	n, parts := name{}, 0
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, casn1.SET) {
			return nil, errName
		}
		rdn, count, err := parseRDN(set)
		if err != nil {
			return nil, err
		}
		if parts += count; parts > maxNameParts {
			return nil, errors.New("distinguished name has too many attributes")
		}
		n = append(n, rdn)
	}
	return n, nil
}

// parseRDN reads the content of a RelativeDistinguishedName, and says how many
// attributes it has.
func parseRDN(set cryptobyte.String) (string, int, error) {
	var parts []string
	for !set.Empty() {
		var attribute, oid, value cryptobyte.String
		var tag casn1.Tag
		if !set.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) ||
			!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
			return "", 0, errName
		}
		if len(parts) == maxNameParts {
			return "", 0, errName
		}
		parts = append(parts, hex.EncodeToString(oid)+"="+folded(tag, value))
	}
	if len(parts) == 0 {
		return "", 0, errName
	}
	slices.Sort(parts)
	return strings.Join(parts, "\x01"), len(parts), nil
}

// folded makes an attribute's value ready for comparison: without regard to
// the kind of string, case, and how much white space there is (RFC 4518). What
// is no string is compared as it is.
func folded(tag casn1.Tag, value []byte) string {
	text, ok := directoryString(tag, value)
	if !ok {
		return "#" + hex.EncodeToString([]byte{byte(tag)}) + hex.EncodeToString(value)
	}
	text = strings.ToLower(strings.ToUpper(norm.NFKC.String(text)))
	text = strings.Join(strings.Fields(text), " ")
	// No value may hold what separates attributes and RDNs.
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return utf8.RuneError
		}
		return r
	}, text)
}

// directoryString is the text of a string type, in UTF-8. ok is false if it is
// none, or not valid.
func directoryString(tag casn1.Tag, value []byte) (text string, ok bool) {
	const (
		teletex   = casn1.Tag(20)
		visible   = casn1.Tag(26)
		universal = casn1.Tag(28)
		bmp       = casn1.Tag(30)
		numeric   = casn1.Tag(18)
	)
	switch tag {
	case casn1.UTF8String, casn1.PrintableString, casn1.IA5String, numeric, visible:
		return string(value), utf8.Valid(value)
	case teletex: // in practice Latin-1
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes), true
	case bmp:
		if len(value)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(value[2*i:])
		}
		return string(utf16.Decode(units)), true
	case universal:
		if len(value)%4 != 0 {
			return "", false
		}
		runes := make([]rune, len(value)/4)
		for i := range runes {
			runes[i] = rune(binary.BigEndian.Uint32(value[4*i:]))
		}
		return string(runes), true
	}
	return "", false
}
