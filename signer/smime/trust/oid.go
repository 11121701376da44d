package trust

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// The object identifiers that are known, dotted.
const (
	// Extensions of certificates (RFC 5280, Section 4.2).
	oidSubjectKeyID         = "2.5.29.14"
	oidKeyUsage             = "2.5.29.15"
	oidSubjectAltName       = "2.5.29.17"
	oidIssuerAltName        = "2.5.29.18"
	oidBasicConstraints     = "2.5.29.19"
	oidNameConstraints      = "2.5.29.30"
	oidCRLPoints            = "2.5.29.31"
	oidPolicies             = "2.5.29.32"
	oidPolicyMappings       = "2.5.29.33"
	oidAuthorityKeyID       = "2.5.29.35"
	oidPolicyConstraints    = "2.5.29.36"
	oidExtKeyUsage          = "2.5.29.37"
	oidFreshestCRL          = "2.5.29.46"
	oidInhibitAnyPolicy     = "2.5.29.54"
	oidAuthorityInfoAccess  = "1.3.6.1.5.5.7.1.1"
	oidSubjectInfoAccess    = "1.3.6.1.5.5.7.1.11"
	oidSMIMECapabilitiesExt = "1.2.840.113549.1.9.15"
	oidOCSPNoCheck          = "1.3.6.1.5.5.7.48.1.5"

	// Extensions of CRLs and their entries (RFC 5280, Sections 5.2 and 5.3).
	oidCRLNumber         = "2.5.29.20"
	oidReasonCode        = "2.5.29.21"
	oidInvalidityDate    = "2.5.29.24"
	oidDeltaCRL          = "2.5.29.27"
	oidIssuingPoint      = "2.5.29.28"
	oidCertificateIssuer = "2.5.29.29"

	oidAnyPolicy       = "2.5.29.32.0"
	oidAnyUsage        = "2.5.29.37.0"
	oidEmailProtection = "1.3.6.1.5.5.7.3.4"
	oidOCSPSigning     = "1.3.6.1.5.5.7.3.9"
	oidOCSP            = "1.3.6.1.5.5.7.48.1" // access method

	oidSmtpUTF8Mailbox = "1.3.6.1.5.5.7.8.9" // RFC 9598
	oidEmailAddress    = "1.2.840.113549.1.9.1"
)

// oidText writes the content octets of an object identifier with dots. What is
// malformed, or larger than any number here, is written in hexadecimal.
func oidText(content []byte) string {
	const longest = 64
	raw := "#" + hex.EncodeToString(content)
	if len(content) == 0 || len(content) > longest || content[len(content)-1]&0x80 != 0 {
		return raw
	}
	var parts []string
	arc := uint64(0)
	for _, b := range content {
		if arc == 0 && b == 0x80 || arc >= 1<<56 {
			return raw
		}
		if arc = arc<<7 | uint64(b&0x7f); b&0x80 != 0 {
			continue
		}
		if len(parts) == 0 {
			first := min(arc/40, 2)
			parts = append(parts, strconv.FormatUint(first, 10))
			arc -= 40 * first
		}
		parts = append(parts, strconv.FormatUint(arc, 10))
		arc = 0
	}
	return strings.Join(parts, ".")
}
