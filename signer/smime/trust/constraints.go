package trust

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// constraints are the name constraints of an authority (RFC 5280, Section
// 4.2.1.10).
type constraints struct {
	permitted, excluded []generalName
}

// readConstraints reads a NameConstraints.
func (x *extensions) readConstraints(value cryptobyte.String) error {
	var content, permitted, excluded cryptobyte.String
	var hasPermitted, hasExcluded bool
	if !value.ReadASN1(&content, casn1.SEQUENCE) || !value.Empty() ||
		!content.ReadOptionalASN1(&permitted, &hasPermitted, casn1.Tag(0).ContextSpecific().Constructed()) ||
		!content.ReadOptionalASN1(&excluded, &hasExcluded, casn1.Tag(1).ContextSpecific().Constructed()) ||
		!content.Empty() || !hasPermitted && !hasExcluded {
		return errExtension
	}
	c := &constraints{}
	var err error
	if c.permitted, err = readSubtrees(permitted); err != nil {
		return err
	}
	if c.excluded, err = readSubtrees(excluded); err != nil {
		return err
	}
	x.constraints = c
	return nil
}

// readSubtrees reads the content of a GeneralSubtrees.
func readSubtrees(list cryptobyte.String) (bases []generalName, err error) {
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1(&one, casn1.SEQUENCE) || len(bases) == maxGeneralNames {
			return nil, errExtension
		}
		base, err := readGeneralName(&one)
		if err != nil {
			return nil, err
		}
		if !one.Empty() {
			return nil, errors.New("subtree with minimum or maximum")
		}
		if base.kind == ipAddress && len(base.text) != 2*net.IPv4len && len(base.text) != 2*net.IPv6len {
			return nil, errExtension
		}
		bases = append(bases, base)
	}
	return bases, nil
}

// maxComparisons is how many comparisons of a name with a constraint one path
// may need, so that authorities with thousands of both cost little.
const maxComparisons = 250000

// nameChecker checks the names of the certificates on one path.
type nameChecker struct {
	constraints []*constraints
	comparisons int
}

// check says in words which name of the certificate the constraints that were
// met so far do not allow; "" if none.
func (n *nameChecker) check(c *certificate) string {
	if len(n.constraints) == 0 {
		return ""
	}
	for _, one := range c.constrainedNames() {
		for _, limits := range n.constraints {
			n.comparisons += len(limits.permitted) + len(limits.excluded)
			if n.comparisons > maxComparisons {
				return "too many names and name constraints"
			}
			if why := limits.check(&one); why != "" {
				return why
			}
		}
	}
	return ""
}

// constrainedNames are all names of a certificate that name constraints are
// about. The subject's email addresses are among them where they would be taken
// for those of the certificate.
func (c *certificate) constrainedNames() []generalName {
	names := c.altNames[:len(c.altNames):len(c.altNames)]
	if len(c.subject) > 0 {
		names = append(names, generalName{kind: directoryName, dn: c.subject})
	}
	if !c.hasAltAddress() {
		for _, address := range subjectAddresses(c.rawSubject) {
			names = append(names, generalName{kind: rfc822Name, text: address})
		}
	}
	return names
}

// check checks one name.
func (l *constraints) check(n *generalName) string {
	kind := n.kind
	if n.smtpUTF8 {
		kind = rfc822Name // RFC 9598, Section 6
	}
	for i := range l.excluded {
		if l.excluded[i].kind != kind {
			continue
		}
		if inside, ok := within(kind, n, &l.excluded[i]); inside || !ok {
			return describe(n, kind) + " is excluded by the name constraints of an authority"
		}
	}
	limited := false
	for i := range l.permitted {
		if l.permitted[i].kind != kind {
			continue
		}
		limited = true
		if inside, ok := within(kind, n, &l.permitted[i]); inside && ok {
			return ""
		}
	}
	if limited {
		return describe(n, kind) + " is outside of the name constraints of an authority"
	}
	return ""
}

func describe(n *generalName, kind nameType) string {
	switch kind {
	case rfc822Name, dnsName, uniformID:
		return fmt.Sprintf("name %q", printable(n.text))
	case directoryName:
		return "subject or directory name"
	}
	return "alternative name"
}

// within says whether a name is in a subtree. ok is false if it can't be said.
func within(kind nameType, n, base *generalName) (inside, ok bool) {
	switch kind {
	case directoryName:
		return n.dn.within(base.dn), true
	case rfc822Name:
		return mailWithin(n.text, base.text)
	case dnsName:
		host, ok := domainKey(n.text)
		limit, ok2 := domainKey(strings.TrimPrefix(base.text, "."))
		subdomain := strings.HasSuffix(host, "."+limit)
		exact := host == limit && !strings.HasPrefix(base.text, ".")
		return base.text == "" || subdomain || exact, ok && (ok2 || base.text == "")
	case uniformID:
		u, err := url.Parse(n.text)
		if err != nil || u.Hostname() == "" || net.ParseIP(u.Hostname()) != nil {
			return false, false // RFC 5280, Section 4.2.1.10
		}
		return hostWithin(u.Hostname(), base.text)
	case ipAddress:
		half := len(base.text) / 2
		if len(n.text) != half {
			return false, len(n.text) == net.IPv4len || len(n.text) == net.IPv6len
		}
		for i := range half {
			if (n.text[i]^base.text[i])&base.text[half+i] != 0 {
				return false, true
			}
		}
		return true, true
	}
	return false, false
}

// mailWithin says whether an address is in the subtree: that address, the
// addresses at a host, or with a dot in front those at all hosts below a domain.
func mailWithin(address, base string) (inside, ok bool) {
	local, domain, ok := splitAddress(address)
	if !ok {
		return false, false
	}
	if base == "" {
		return true, true
	}
	if baseLocal, baseDomain, ok := splitAddress(base); ok {
		inside, ok := hostWithin(domain, baseDomain)
		return inside && sameLocalPart(local, baseLocal), ok
	}
	return hostWithin(domain, base)
}

// hostWithin says whether a host is that of the base, or below it if the base
// begins with a dot.
func hostWithin(host, base string) (inside, ok bool) {
	domain, below := strings.CutPrefix(base, ".")
	host, ok = domainKey(host)
	if !ok {
		return false, false
	}
	if domain, ok = domainKey(domain); !ok {
		return false, false
	}
	if below {
		return strings.HasSuffix(host, "."+domain), true
	}
	return host == domain, true
}
