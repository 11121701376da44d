package keys

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// maxName is the longest address in octets (RFC 5321, Section 4.5.3.1.3, less
// the angle brackets).
const maxName = 254

// domains turns a domain into A-labels. Underscores and hyphens in odd places
// occur in real domains and do no harm in a name.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false),
	idna.BidiRule(), idna.CheckHyphens(false), idna.StrictDomainName(false))

// Name returns the form in which entries are stored and asked for: of an
// address, the local part with its ASCII letters in lower case and without
// quotes, and the domain as Domain returns it; of anything without an "@", what
// Domain returns. Two addresses with the same Name are taken for the same
// mailbox.
//
// A name is one path segment in a directory and in Vault, so an address that
// has a character with a meaning there can't be a name. No store has an entry
// for it, hence the error wraps ErrNotFound.
func Name(address string) (string, error) {
	local, domain, err := split(address)
	if err != nil {
		return "", err
	}
	domain, err = normalDomain(domain)
	if err != nil {
		return "", badName(address, err)
	}
	if local == "" {
		return domain, nil
	}
	local, err = normalLocal(local)
	if err != nil {
		return "", badName(address, err)
	}
	name := local + "@" + domain
	if len(name) > maxName {
		return "", badName(address, fmt.Errorf("longer than %d octets", maxName))
	}
	return name, nil
}

// Domain returns the domain of an address, or the domain that it is given, in
// lower case and with A-labels (RFC 5890, Section 2.3.2.1). Its error wraps
// ErrNotFound as that of Name does.
func Domain(address string) (string, error) {
	_, domain, err := split(address)
	if err != nil {
		return "", err
	}
	domain, err = normalDomain(domain)
	if err != nil {
		return "", badName(address, err)
	}
	return domain, nil
}

// split cuts an address at its last "@". The local part is empty for a domain.
func split(address string) (local, domain string, err error) {
	switch {
	case address == "":
		return "", "", badName(address, errors.New("empty"))
	case len(address) > 4*maxName: // U-labels may be longer than A-labels
		return "", "", badName(address, fmt.Errorf("longer than %d octets", maxName))
	case !utf8.ValidString(address):
		return "", "", badName(address, errors.New("not UTF-8"))
	}
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", address, nil
	}
	if i == 0 {
		return "", "", badName(address, errors.New("nothing before the @"))
	}
	return address[:i], address[i+1:], nil
}

func normalDomain(domain string) (string, error) {
	if ascii(domain) {
		domain = strings.ToLower(domain)
	}
	if !ascii(domain) || strings.Contains(domain, "xn--") {
		a, err := domains.ToASCII(domain)
		if err != nil {
			return "", errors.New("domain is not a valid internationalized one")
		}
		domain = a
	}
	if domain == "" || len(domain) > 253 {
		return "", errors.New("domain is empty or longer than 253 octets")
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("a label of the domain is empty or longer than 63 octets")
		}
	}
	for _, c := range []byte(domain) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", fmt.Errorf("%q in the domain", c)
		}
	}
	return domain, nil
}

// normalLocal unquotes and folds a local part. Case is folded for ASCII only:
// what other letters fold to depends on the language. Unicode is composed, as
// RFC 6532, Section 3.1, asks for.
func normalLocal(local string) (string, error) {
	if len(local) > 2 && local[0] == '"' && local[len(local)-1] == '"' {
		local = local[1 : len(local)-1]
	}
	local = norm.NFC.String(local)
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", errors.New("a dot at the start or the end, or two in a row")
	}
	var b strings.Builder
	for _, c := range local {
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case strings.ContainsRune(".!$&'+-=^_`{|}~", c):
		case c >= utf8.RuneSelf && unicode.IsGraphic(c) && !unicode.IsSpace(c):
		default:
			return "", fmt.Errorf("%q in the local part", c)
		}
		b.WriteRune(c)
	}
	if b.Len() == 0 {
		return "", errors.New("the local part is empty")
	}
	return norm.NFC.String(b.String()), nil // some letters compose in lower case only
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func badName(address string, err error) error {
	if len(address) > maxName {
		address = address[:maxName]
	}
	return fmt.Errorf("%q can't be the name of an entry: %w: %w", address, err, ErrNotFound)
}
