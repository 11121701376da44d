package trust

import (
	"waxseal/signer"
)

// checkSigner says whether the certificate itself may be used to sign mail at
// the time of the search (RFC 8550, Section 4.4).
func (s *search) checkSigner(c *certificate) signer.Finding {
	fail := func(reason string) signer.Finding { return signer.Finding{Verdict: signer.Fail, Reason: reason} }
	switch {
	case c.malformed != nil:
		return signer.Finding{Verdict: signer.PermError, Reason: c.malformed.Error()}
	case validity(c.notBefore, c.notAfter, s.at) != "":
		return fail("the certificate " + validity(c.notBefore, c.notAfter, s.at))
	case len(c.unknown) > 0:
		return fail("the certificate has the unknown critical extension " + c.unknown[0])
	case !c.mayUse(digitalSignature | nonRepudiation):
		return fail("the certificate's key may not sign messages")
	case c.hasExtUsage && !c.mayProtectMail():
		return fail("the certificate is not for mail")
	}
	if p := s.v.Rules.weakKey(c.key); p != "" {
		return signer.Finding{Verdict: signer.Policy, Reason: "the certificate " + p}
	}
	return signer.Finding{Verdict: signer.Pass}
}
