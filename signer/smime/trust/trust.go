// Package trust says whether an S/MIME certificate may be believed: path
// validation (RFC 5280, Section 6) with what mail adds to it (RFC 8550), and
// revocation by CRL and OCSP without waiting for a network.
//
// What is wrong with a certificate is a value, a signer.Finding with its reason
// in words. Certificates are hostile: the search for a path, every size and
// every list are bounded.
package trust

import (
	"crypto/x509"

	"waxseal/signer"
)

// Validator judges certificates. Its fields are not changed once it is in use;
// then it may be used by several goroutines at once, and copied, so that
// policies with different anchors share what they have in common.
type Validator struct {
	// Anchors are the certificates that are trusted; nil for none.
	Anchors *Pool
	// Intermediates are certificates of authorities that messages may leave
	// out. They are not trusted by being here.
	Intermediates *Pool
	Rules         Rules
	// Revocation is where revocation is looked up; nil for not at all.
	Revocation *Revocation
	// RequireRevocation turns mail away while nothing is known about the
	// revocation of a certificate that is not trusted itself: temperror while it
	// can be known later, policy where its authority publishes nothing. Otherwise
	// the finding is none.
	RequireRevocation bool
}

// Rules are what a system demands beyond the RFCs. The zero value is what
// suits mail between strangers.
type Rules struct {
	// MinRSABits is the shortest RSA key of a signer or authority, in bits; 0
	// for 2048 (RFC 8550, Section 4.2).
	MinRSABits int
	// AllowSHA1 takes signatures with SHA-1 on certificates and CRLs.
	AllowSHA1 bool
	// AllowDSA takes DSA keys and signatures (RFC 8550, Section 4.3: historic).
	AllowDSA bool
	// Policies are the object identifiers, dotted, of the certificate policies
	// that are acceptable, the user-initial-policy-set of RFC 5280, Section
	// 6.1.1; none for any.
	Policies []string
	// The other three initial settings of RFC 5280, Section 6.1.1.
	RequireExplicitPolicy bool
	InhibitPolicyMapping  bool
	InhibitAnyPolicy      bool
}

// minRSABits is the shortest RSA key that the rules take.
func (r *Rules) minRSABits() int {
	if r.MinRSABits == 0 {
		return 2048
	}
	return r.MinRSABits
}

// Result is what was found about a certificate. Every finding is made whatever
// the others are, as far as it can be.
type Result struct {
	// Chain says whether a path leads from the certificate to a trust anchor.
	Chain signer.Finding
	// Certificate says whether the certificate itself may sign mail now:
	// validity, key usage, strength.
	Certificate signer.Finding
	// Revocation says whether it or an authority on the path has been revoked.
	Revocation signer.Finding
	// Address says whether it belongs to the address that was asked about.
	Address signer.Finding

	// Path is the path from the certificate to a trust anchor that was judged,
	// the best of several, whether it is valid or not; nil if there is none.
	Path []*x509.Certificate
	// Addresses are those of the certificate, as written in it.
	Addresses []string
}
