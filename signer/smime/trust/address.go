package trust

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/net/idna"

	"waxseal/signer"
)

// addresses are the mail addresses that a certificate is for, as written in it:
// those of its alternative names (rfc822Name, and SmtpUTF8Mailbox of RFC 9598),
// and only if there are none those of its subject (RFC 8550, Section 3).
func (c *certificate) addresses() []string {
	var addresses []string
	for i := range c.altNames {
		if n := &c.altNames[i]; n.isAddress() {
			addresses = append(addresses, n.text)
		}
	}
	if len(addresses) == 0 {
		addresses = subjectAddresses(c.rawSubject)
	}
	return addresses
}

func (n *generalName) isAddress() bool { return n.kind == rfc822Name || n.smtpUTF8 }

// hasAltAddress says whether an alternative name is an address.
func (c *certificate) hasAltAddress() bool {
	for i := range c.altNames {
		if c.altNames[i].isAddress() {
			return true
		}
	}
	return false
}

// subjectAddresses are the emailAddress attributes of a Name that has been read
// before.
func subjectAddresses(der []byte) []string {
	var addresses []string
	input := cryptobyte.String(der)
	var sequence, set, attribute, oid, value cryptobyte.String
	if !input.ReadASN1(&sequence, casn1.SEQUENCE) {
		return nil
	}
	for sequence.ReadASN1(&set, casn1.SET) {
		for set.ReadASN1(&attribute, casn1.SEQUENCE) {
			var tag casn1.Tag
			if attribute.ReadASN1(&oid, casn1.OBJECT_IDENTIFIER) && oidText(oid) == oidEmailAddress &&
				attribute.ReadAnyASN1(&value, &tag) {
				if text, ok := directoryString(tag, value); ok {
					addresses = append(addresses, text)
				}
			}
		}
	}
	return addresses
}

// checkAddress says whether one of the addresses is that one.
func checkAddress(addresses []string, address string) signer.Finding {
	if address == "" {
		return signer.Finding{Verdict: signer.None, Reason: "there is no address to compare with"}
	}
	if len(addresses) == 0 {
		return signer.Finding{Verdict: signer.Fail, Reason: "the certificate has no mail address"}
	}
	for _, a := range addresses {
		if SameAddress(a, address) {
			return signer.Finding{Verdict: signer.Pass}
		}
	}
	reason := fmt.Sprintf("the certificate is for %s", printable(addresses[0]))
	if more := len(addresses) - 1; more > 0 {
		reason += fmt.Sprintf(" and %d more", more)
	}
	return signer.Finding{Verdict: signer.Fail, Reason: reason}
}

// SameAddress says whether two addr-specs name one mailbox. Domains are compared
// without regard to case, U-labels like A-labels (RFC 8550, Section 3; RFC
// 9598, Section 5). Local parts are compared without regard to the case of ASCII
// letters: by RFC 5321 only the receiving host knows whether case matters, but
// no one gives mailboxes that differ in nothing else to different people, and
// authorities and mail programs write the same mailbox in different cases.
func SameAddress(a, b string) bool {
	localA, domainA, okA := splitAddress(a)
	localB, domainB, okB := splitAddress(b)
	if !okA || !okB || !sameLocalPart(localA, localB) {
		return false
	}
	keyA, okA := domainKey(domainA)
	keyB, okB := domainKey(domainB)
	return okA && okB && keyA == keyB
}

// splitAddress splits at the last @. What has no local part or no domain is
// none.
func splitAddress(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 {
		return "", "", false
	}
	return address[:at], address[at+1:], true
}

// sameLocalPart compares without regard to the case of ASCII letters.
func sameLocalPart(a, b string) bool { return lowerASCII(a) == lowerASCII(b) }

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// domainKey is equal for domains that are the same: A-labels in lower case. ok
// is false for what is no domain.
func domainKey(domain string) (key string, ok bool) {
	const longest = 255 // octets; U-labels take more than A-labels
	if domain == "" || len(domain) > 4*longest || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return "", false
	}
	ascii := true
	for i := range len(domain) {
		if domain[i] <= ' ' || domain[i] == 0x7f {
			return "", false
		}
		ascii = ascii && domain[i] < 0x80
	}
	key = lowerASCII(domain)
	if !ascii {
		var err error
		if key, err = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false)).ToASCII(domain); err != nil {
			return "", false
		}
	}
	return key, len(key) <= longest
}
