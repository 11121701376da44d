package policies

import (
	"fmt"
	"strings"
)

// Pattern is one entry of originator or recipient: an address, "*@domain" or the
// domain alone, "*@*.domain" for its subdomains at any depth, or "*".
type Pattern struct {
	text    string
	kind    patternKind
	address Address // the domain alone for wholeDomain and subdomains
}

type patternKind int

const (
	anyone patternKind = iota
	oneAddress
	wholeDomain
	subdomains
)

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// parsePattern reads a pattern. If it is none, problem says why and hint what to
// write instead.
func parsePattern(text string) (p Pattern, problem, hint string) {
	const forms = `write an address, "*@example.com", "*@*.example.com" or "*"`
	switch {
	case text == "":
		return p, "a pattern is empty", forms
	case len(text) > maxDomain:
		return p, fmt.Sprintf("a pattern is longer than %d bytes", maxDomain), forms
	case text == "*":
		return Pattern{text: text, kind: anyone}, "", ""
	}
	p = Pattern{text: text, kind: wholeDomain}
	domain := text
	switch {
	case strings.HasPrefix(text, "*@*."):
		p.kind, domain = subdomains, text[len("*@*."):]
	case strings.HasPrefix(text, "*@"):
		domain = text[len("*@"):]
	case strings.HasPrefix(text, "*."):
		return p, fmt.Sprintf("%s is no pattern", quote(text)), fmt.Sprintf("write %s", quote("*@"+text))
	case strings.HasPrefix(text, "."):
		return p, fmt.Sprintf("%s is no pattern", quote(text)), fmt.Sprintf("write %s", quote("*@*"+text))
	case strings.HasPrefix(text, "@"):
		return p, fmt.Sprintf("%s is no pattern", quote(text)), fmt.Sprintf("write %s", quote("*"+text))
	default:
		address, how := readAddress(text)
		if how.star {
			return p, fmt.Sprintf("%s has a * in a place where it can't stand", quote(text)), forms
		}
		if how.odd {
			return p, fmt.Sprintf("%s is not a plain address", quote(text)), forms
		}
		if how.at {
			p.kind = oneAddress
			if address.Local == "" || !validDomain(address.Domain) {
				return p, fmt.Sprintf("%s is not an address", quote(text)), forms
			}
			p.address = address
			return p, "", ""
		}
		if !strings.Contains(text, ".") {
			return p, fmt.Sprintf("%s is neither an address nor a domain", quote(text)), forms
		}
	}
	p.address.Domain = normalDomain(domain)
	if !validDomain(p.address.Domain) {
		return p, fmt.Sprintf("%s has no valid domain", quote(text)), forms
	}
	return p, "", ""
}

// validDomain reports whether a normal form is one of a domain that can exist
// (RFC 1035, Section 2.3.4; underscores occur) or of an address literal.
func validDomain(domain string) bool {
	if strings.HasPrefix(domain, "[") {
		return len(domain) > 2 && strings.HasSuffix(domain, "]") && isASCII(domain)
	}
	if domain == "" || len(domain) > 253 {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isAddress reports whether a text is one plain address.
func isAddress(text string) bool {
	p, problem, _ := parsePattern(text)
	return problem == "" && p.kind == oneAddress
}
