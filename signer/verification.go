package signer

import (
	"crypto/x509"
	"time"
)

// Verdict is the outcome of a check, in the words of RFC 8601, Section 2.7.1.
type Verdict string

// The verdicts.
const (
	None      Verdict = "none"      // there was nothing to check
	Pass      Verdict = "pass"      // it is as it should be
	Fail      Verdict = "fail"      // it was checked, and is not
	Policy    Verdict = "policy"    // it would pass, but for a rule of this system
	Neutral   Verdict = "neutral"   // it was checked, and nothing can be said
	TempError Verdict = "temperror" // it can't be checked now
	PermError Verdict = "permerror" // it can't be checked ever: it is malformed
)

// Finding is a verdict with its reason in words. The reason holds nothing of a
// message's text.
type Finding struct {
	Verdict Verdict
	Reason  string
}

// Verification is what was found about one signature. A bad signature is a
// value, not an error: an error means that the check could not be run. Each
// finding is made whatever the others are, as far as it can be.
type Verification struct {
	Scheme string // "smime" or "pgp"
	// Integrity says whether the signature is one over exactly these bytes, made
	// with algorithms that are good enough.
	Integrity Finding
	// Certificate says whether the signer's certificate (PGP: key) is there and
	// may sign mail: validity, key usage, strength.
	Certificate Finding
	// Chain says whether it leads to a trust anchor (PGP: is one of those that
	// we hold for the address).
	Chain Finding
	// Address says whether it belongs to the address that was asked about.
	Address Finding
	// Revocation says whether it has been revoked.
	Revocation Finding

	Algorithm string    // "rsa2048-sha256"
	SignedAt  time.Time // as the signer claims; zero if he does not
	// Identifier names the signer: subject (PGP: user id), or the identifier in
	// the signature where there is no certificate.
	Identifier string
	// Addresses are those of the certificate (PGP: of valid user ids).
	Addresses []string
	// X509 is the signer's S/MIME certificate; nil if it is not there.
	X509 *x509.Certificate
	// Fingerprint is that of the OpenPGP primary key in hexadecimal, or the
	// issuer's key id where the key is not there.
	Fingerprint string
}

// Result is the verdict on the signature as a whole and the first reason for
// it. Pass needs integrity, certificate, chain and address to pass, and
// revocation not to stand against it.
func (v *Verification) Result() Finding {
	for _, f := range []Finding{v.Integrity, v.Certificate, v.Chain, v.Revocation, v.Address} {
		if f.Verdict != Pass && f.Verdict != None && f.Verdict != "" {
			return f
		}
	}
	for _, f := range []Finding{v.Integrity, v.Certificate, v.Chain, v.Address} {
		if f.Verdict != Pass {
			return Finding{Neutral, "not everything was checked"}
		}
	}
	return Finding{Verdict: Pass}
}
