package keys

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// minRSA is the shortest RSA modulus in bits (RFC 8551, Section 4.1).
const minRSA = 2048

// soon is how long before the end of a certificate Warnings speak of it.
const soon = 30 * 24 * time.Hour

var (
	oidSAN          = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1} // RFC 5280, Section 4.1.2.6
	oidUTF8Mailbox  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}  // RFC 9598, Section 3
)

// Valid returns an error that names the entry if the S/MIME certificate has
// expired or is not valid yet. Whether an OpenPGP key has expired is for those
// to see who parse it.
func (k *Key) Valid(now time.Time) error {
	if len(k.Chain) == 0 {
		return nil
	}
	return joined(k.Entry, []error{validityProblem(k.Chain[0], now)})
}

// Valid is as Key's, for the certificate to use, X509[0].
func (c *Certificate) Valid(now time.Time) error {
	if len(c.X509) == 0 {
		return nil
	}
	return joined(c.Entry, []error{validityProblem(c.X509[0], now)})
}

// Warnings says what an administrator should look at though the key can be
// used: it expires soon, its address can't match, its chain has expired.
func (k *Key) Warnings(now time.Time) []string {
	out := slices.Clone(k.Notes)
	for i, c := range k.Chain {
		if i == 0 {
			out = append(out, warnings(k.Entry, c, now)...)
		} else if err := validityProblem(c, now); err != nil {
			out = append(out, "in the chain: "+err.Error())
		}
	}
	return named(k.Entry, out)
}

// Warnings is as Key's.
func (c *Certificate) Warnings(now time.Time) []string {
	out := slices.Clone(c.Notes)
	if len(c.X509) > 0 {
		out = append(out, warnings(c.Entry, c.X509[0], now)...)
	}
	return named(c.Entry, out)
}

func named(e Entry, texts []string) []string {
	for i, t := range texts {
		texts[i] = e.String() + ": " + t
	}
	return texts
}

func warnings(e Entry, c *x509.Certificate, now time.Time) (out []string) {
	if left := c.NotAfter.Sub(now); left >= 0 && left < soon {
		out = append(out, fmt.Sprintf("certificate expires %s, in %d days: renew it", date(c.NotAfter), int(left.Hours()/24)))
	}
	if !strings.Contains(e.Name, "@") && !slices.ContainsFunc(addresses(c), func(a string) bool {
		d, err := Domain(a)
		return err == nil && d == e.Name
	}) {
		out = append(out, "certificate has no address in this domain: mail programs will say that it doesn't match the sender")
	}
	return out
}

// joined puts the name of the entry before each error; nil ones are left out.
func joined(e Entry, errs []error) error {
	var out []error
	for _, err := range errs {
		if err != nil {
			out = append(out, fmt.Errorf("%s: %w", e, err))
		}
	}
	return errors.Join(out...)
}

// problems are those that matter to any use of a certificate.
func problems(e Entry, c *x509.Certificate, now time.Time) []error {
	return []error{validityProblem(c, now), strengthProblem(c), purposeProblem(c), addressProblem(e, c)}
}

func validityProblem(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return fmt.Errorf("certificate is not valid before %s: wait, or look at the clock", date(c.NotBefore))
	}
	if now.After(c.NotAfter) {
		return fmt.Errorf("certificate expired %s: renew it or remove the entry", date(c.NotAfter))
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func strengthProblem(c *x509.Certificate) error {
	switch p := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSA {
			return fmt.Errorf("RSA key of %d bits is too short: use %d or more", n, minRSA)
		}
	case *ecdsa.PublicKey:
		if p.Curve == elliptic.P224() {
			return errors.New("EC key on P-224 is too short: use P-256")
		}
	case ed25519.PublicKey, *ecdh.PublicKey:
	default:
		return fmt.Errorf("a public key of type %s can't be used", c.PublicKeyAlgorithm)
	}
	return nil
}

// purposeProblem applies RFC 8550, Section 4.4.4.
func purposeProblem(c *x509.Certificate) error {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	return errors.New("certificate is not for mail: its extended key usage lacks emailProtection")
}

// signProblem applies RFC 8550, Section 4.4.2.
func signProblem(c *x509.Certificate) error {
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("certificate may not sign: its key usage has neither digitalSignature nor nonRepudiation")
	}
	return nil
}

func encryptProblem(c *x509.Certificate) error {
	usage, word := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	switch c.PublicKey.(type) {
	case *rsa.PublicKey:
	case *ecdsa.PublicKey, *ecdh.PublicKey:
		usage, word = x509.KeyUsageKeyAgreement, "keyAgreement"
	default:
		return fmt.Errorf("certificate can't encrypt: its key is for signatures only (%s)", c.PublicKeyAlgorithm)
	}
	if c.KeyUsage != 0 && c.KeyUsage&usage == 0 {
		return fmt.Errorf("certificate can't encrypt: its key usage lacks %s", word)
	}
	return nil
}

func addressProblem(e Entry, c *x509.Certificate) error {
	if !strings.Contains(e.Name, "@") {
		return nil
	}
	have := addresses(c)
	for _, a := range have {
		if name, err := Name(a); err == nil && name == e.Name {
			return nil
		}
	}
	if len(have) == 0 {
		return fmt.Errorf("certificate %q has no address: it needs %s as subjectAltName", subject(c), e.Name)
	}
	if len(have) > 5 {
		have = have[:5]
	}
	return fmt.Errorf("certificate is for %.500q, not for %s", have, e.Name)
}

func subject(c *x509.Certificate) string {
	s := c.Subject.String()
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}

// addresses returns the mail addresses of a certificate: those of its
// subjectAltName, or of its subject where that has none (RFC 8550, Section 3).
func addresses(c *x509.Certificate) []string {
	out := append(slices.Clone(c.EmailAddresses), utf8Mailboxes(c)...)
	if len(out) > 0 {
		return out
	}
	for _, n := range c.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(oidEmailAddress) {
			out = append(out, s)
		}
	}
	return out
}

// utf8Mailboxes returns the SmtpUTF8Mailbox names, which crypto/x509 passes
// over.
func utf8Mailboxes(c *x509.Certificate) (out []string) {
	for _, ext := range c.Extensions {
		if !ext.Id.Equal(oidSAN) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(ext.Value, &names); err != nil {
			return nil
		}
		for _, n := range names {
			if n.Class != asn1.ClassContextSpecific || n.Tag != 0 { // otherName
				continue
			}
			var other struct {
				ID      asn1.ObjectIdentifier
				Mailbox string `asn1:"utf8,explicit,tag:0"`
			}
			rest, err := asn1.UnmarshalWithParams(n.FullBytes, &other, "tag:0")
			if err == nil && len(rest) == 0 && other.ID.Equal(oidUTF8Mailbox) {
				out = append(out, other.Mailbox)
			}
		}
	}
	return out
}
