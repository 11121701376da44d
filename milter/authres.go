package milter

import (
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"waxseal/policies"
	"waxseal/signer"
)

// AuthresName is the field of RFC 8601.
const AuthresName = "Authentication-Results"

// The methods: that of RFC 7281, and one that is not registered.
const (
	methodSMIME = "smime"
	methodPGP   = "x-openpgp"
)

// The bounds of a report, so that a hostile message can't make it long. What is
// left out is said, or is worse than nothing when cut.
const (
	maxReported = 16  // signatures
	maxReason   = 100 // bytes of one reason
	maxComment  = 400 // bytes
	maxIssuer   = 300 // bytes
	maxSerial   = 64  // hexadecimal digits
	maxSigner   = 254 // bytes of an address
)

// signatureReport is what is reported of one signature.
type signatureReport struct {
	signer.Verification
	// Part is the number of the MIME part with the signature, as IMAP counts
	// (RFC 3501, Section 6.4.5), or "" where the message has none such.
	Part string
	// Author is the visible author's address, or "".
	Author string
}

// methodResult is one resinfo (RFC 8601, Section 2.2).
type methodResult struct {
	method     string
	verdict    signer.Verdict
	comment    string
	properties []property
}

// property is a propspec: ptype.name=value.
type property struct{ ptype, name, value string }

// authenticationResults makes the report on a message with these signatures.
// Without any, it says for both schemes that there is none. The worst comes
// first, so that nobody who looks at one result only takes the message for
// better than it is. The error is one of the program, not of the message.
func authenticationResults(id string, signatures []signatureReport) (signer.Field, error) {
	var results []methodResult
	for i := range signatures {
		r, err := signatures[i].result()
		if err != nil {
			return signer.Field{}, err
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		results = []methodResult{{method: methodSMIME, verdict: signer.None}, {method: methodPGP, verdict: signer.None}}
	}
	slices.SortStableFunc(results, func(a, b methodResult) int {
		return cmp.Compare(badness(a.verdict), badness(b.verdict))
	})
	if more := len(results) - maxReported; more > 0 {
		results = results[:maxReported]
		results[0].comment += fmt.Sprintf(", %d more signatures", more)
	}
	return writeAuthres(id, results)
}

// badness ranks the verdicts, the worst first; what is no verdict gets -1.
func badness(v signer.Verdict) int {
	return slices.Index([]signer.Verdict{signer.Fail, signer.PermError, signer.Policy, signer.TempError,
		signer.Neutral, signer.None, signer.Pass}, v)
}

// writeAuthres writes a field of RFC 8601, Section 2.2. What the results say may
// come from certificates of anybody.
func writeAuthres(id string, results []methodResult) (signer.Field, error) {
	var b strings.Builder
	name, err := idna.Punycode.ToASCII(strings.TrimSuffix(id, "."))
	if err != nil || name == "" {
		return signer.Field{}, fmt.Errorf("write %s: %.80q is not a host name", AuthresName, id)
	}
	b.WriteString(authresValue(name))
	for _, r := range results {
		fmt.Fprintf(&b, "; %s=%s", r.method, r.verdict)
		if comment := plainWords(r.comment, maxComment); comment != "" {
			b.WriteString(" (" + comment + ")")
		}
		for _, p := range r.properties {
			b.WriteString(" " + p.ptype + "." + p.name + "=" + authresValue(p.value))
		}
	}
	return signer.NewField(AuthresName, b.String())
}

// authresValue writes a value as it is, if it is a token or an address of atoms,
// else in quotes. It has ASCII characters only.
func authresValue(s string) string {
	local, domain, isAddress := strings.Cut(s, "@")
	if isToken(s) || isAddress && isToken(local) && isToken(domain) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// isToken reports whether s is a token (RFC 2045, Section 5.1).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?=`, r)
	})
}

// plainWords makes a text fit into a comment: letters, digits and marks that mean
// nothing in the field, so that not even a program that searches it for
// "smime=pass" finds what a certificate has put there. It has at most limit
// bytes.
func plainWords(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" .,:'-_@/+", r):
			return r
		case r == '\t' || r == '\r' || r == '\n':
			return ' '
		}
		return '_'
	}, s[:min(len(s), 4*limit)])
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > limit {
		s = strings.TrimSpace(s[:limit-len("...")]) + "..."
	}
	return s
}

// result says what was found about a signature.
func (s *signatureReport) result() (methodResult, error) {
	verdict := s.Result().Verdict
	if badness(verdict) < 0 {
		return methodResult{}, fmt.Errorf("report a signature: %.40q is not a verdict", verdict)
	}
	r := methodResult{method: methodSMIME, verdict: verdict, comment: s.comment()}
	prefix := "smime"
	if s.Scheme == string(policies.PGP) {
		r.method, prefix = methodPGP, "x-openpgp"
	}
	add := func(name, value string) {
		if value != "" {
			r.properties = append(r.properties, property{"body", prefix + "-" + name, value})
		}
	}
	add("identifier", s.signer())
	if isPartNumber(s.Part) {
		add("part", s.Part)
	}
	if s.Scheme == string(policies.PGP) {
		if isHex(s.Fingerprint) {
			add("fingerprint", strings.ToUpper(s.Fingerprint))
		}
	} else if serial, issuer := issuerAndSerial(s.X509); serial != "" {
		// RFC 7281, Section 3.2.3 wants both or neither.
		add("serial", serial)
		add("issuer", issuer)
	}
	return r, nil
}

// comment tells the findings apart, each with its reason. Of a signature that
// passes there is nothing to say but how it was made.
func (s *signatureReport) comment() string {
	var words []string
	if s.Result().Verdict != signer.Pass {
		for _, f := range []struct {
			name string
			signer.Finding
		}{{"integrity", s.Integrity}, {"certificate", s.Certificate}, {"chain", s.Chain},
			{"revocation", s.Revocation}, {"address", s.Address}} {
			if f.Verdict == "" {
				continue
			}
			text := f.name + " " + string(f.Verdict)
			// A comma would look like the end of the reason.
			if reason := strings.ReplaceAll(plainWords(f.Reason, maxReason), ",", ""); reason != "" {
				text += ": " + reason
			}
			words = append(words, text)
		}
	}
	if s.Algorithm != "" {
		words = append(words, s.Algorithm)
	}
	return strings.Join(words, ", ")
}

// signer is the address that the certificate has for the signer: the author's if
// it is one of them, else the first that can be shown.
func (s *signatureReport) signer() string {
	first := ""
	for _, address := range s.Addresses {
		plain, ok := plainAddress(address)
		if !ok {
			continue
		}
		if s.Author != "" && sameAddress(address, s.Author) {
			return plain
		}
		if first == "" {
			first = plain
		}
	}
	return first
}

// plainAddress returns an address of letters, digits and the marks that are usual
// in addresses, with a domain of A-labels. Others are not ok: they are rare in
// certificates, and mean harm in a report.
func plainAddress(address string) (string, bool) {
	local, domain, ok := signer.SplitAddress(address)
	if !ok || len(address) > maxSigner {
		return "", false
	}
	domain, err := idna.Punycode.ToASCII(domain)
	plain := local + "@" + strings.ToLower(domain)
	if err != nil || len(plain) > maxSigner {
		return "", false
	}
	letters := func(marks string) func(rune) bool {
		return func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(marks, r)
		}
	}
	return plain, !strings.ContainsFunc(local, letters("._+-")) && !strings.ContainsFunc(domain, letters(".-"))
}

// isPartNumber reports whether s is numbers with dots between them.
func isPartNumber(s string) bool {
	for n := range strings.SplitSeq(s, ".") {
		if n == "" || n[0] == '0' || strings.Trim(n, "0123456789") != "" {
			return false
		}
	}
	return len(s) <= maxSigner
}

func isHex(s string) bool { return len(s) <= 64 && strings.Trim(s, "0123456789abcdefABCDEF") == "" }

// issuerAndSerial are the serial number in hexadecimal and the issuer's name as
// in RFC 4514. Both are "" if one of them is too long to be shown in full.
func issuerAndSerial(c *x509.Certificate) (serial, issuer string) {
	if c == nil || c.SerialNumber == nil || len(c.Issuer.Names) == 0 || c.SerialNumber.BitLen() > 4*maxSerial {
		return "", ""
	}
	var b strings.Builder
	for i, n := range slices.Backward(c.Issuer.Names) {
		if b.Len() > maxIssuer {
			break
		}
		value, ok := n.Value.(string)
		if !ok {
			return "", ""
		}
		b.WriteString(attributeName(n.Type) + "=" + attributeValue(value))
		if i > 0 {
			b.WriteByte(',')
		}
	}
	if b.Len() > maxIssuer {
		return "", ""
	}
	return fmt.Sprintf("%X", c.SerialNumber), b.String()
}

// attributeName is the short name of an attribute (RFC 4514, Section 3), or its
// number.
func attributeName(oid asn1.ObjectIdentifier) string {
	name := oid.String()
	if short := map[string]string{"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
		"2.5.4.6": "C", "2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC",
		"0.9.2342.19200300.100.1.1": "UID"}[name]; short != "" {
		return short
	}
	return name
}

// attributeValue writes a value in ASCII. All that could mean something to a
// reader of the field stands in hexadecimal (RFC 4514, Section 2.4).
func attributeValue(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() <= maxIssuer; i++ {
		c := s[i]
		blank := c == ' ' && i > 0 && i < len(s)-1 && s[i-1] != ' '
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || blank || strings.IndexByte(".'-_@/:", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%02X`, c)
		}
	}
	return b.String()
}
