package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"waxseal/signer"
)

// Validate judges the certificate of a signature on mail from that address, as
// of that time, which is when the message was received, and not what the signer
// claims. The address is an addr-spec (RFC 5322, Section 3.4.1); "" leaves
// Result.Address at none. Intermediates are the other certificates of the
// message.
//
// It does not touch the network: what revocation it does not know is asked for
// in the background. It ends early when ctx does, with temperror.
func (v *Validator) Validate(ctx context.Context, leaf *x509.Certificate, intermediates []*x509.Certificate, at time.Time, address string) Result {
	c, err := readCertificate(leaf)
	if err != nil {
		bad := signer.Finding{Verdict: signer.PermError, Reason: err.Error()}
		return Result{Chain: bad, Certificate: bad, Address: bad, Revocation: signer.Finding{Verdict: signer.None, Reason: "there is no certificate"}}
	}
	s := newSearch(ctx, v, at)
	for _, x := range intermediates[:min(len(intermediates), maxIntermediates)] {
		if other, err := readCertificate(x); err == nil && other.malformed == nil {
			s.message.add(other)
		}
	}
	r := Result{Addresses: c.addresses(), Certificate: s.checkSigner(c)}
	r.Address = checkAddress(r.Addresses, address)
	best := s.best(c)
	r.Chain, r.Revocation = best.chain, best.revocation
	for _, link := range best.path {
		r.Path = append(r.Path, link.x)
	}
	return r
}

// verdict is what was found about one path.
type verdict struct {
	path              []*certificate
	chain, revocation signer.Finding
	revoked           bool // the certificate itself
}

// best looks for a path without fault, and else returns what comes closest.
func (s *search) best(c *certificate) verdict {
	var best verdict
	rank := -1
	s.paths(c, func(path []*certificate) bool {
		one := s.judge(path)
		if n := one.rank(); n > rank {
			one.path = append([]*certificate(nil), path...)
			best, rank = one, n
		}
		return rank < perfect
	})
	if rank < 0 {
		reason := fmt.Sprintf("no path leads to a trust anchor from the certificate, whose issuer is %s", printable(c.x.Issuer.String()))
		best.chain = signer.Finding{Verdict: signer.Fail, Reason: reason}
		best.revocation = signer.Finding{Verdict: signer.None, Reason: reason}
	}
	if s.exhausted && best.chain.Verdict != signer.Pass {
		if err := s.ctx.Err(); err != nil {
			best.chain = signer.Finding{Verdict: signer.TempError, Reason: fmt.Sprintf("the search for a path was ended: %v", err)}
		} else {
			best.chain.Reason += "; the search was ended, as there are too many certificates"
		}
	}
	if s.exhausted && s.v.Revocation != nil && best.chain.Verdict != signer.Fail && len(best.path) > 1 && best.revocation.Verdict == signer.None {
		// Another path, which was not reached, might have told.
		best.revocation.Verdict = signer.Policy
	}
	return best
}

// judge validates one path.
func (s *search) judge(path []*certificate) verdict {
	o := s.checkPath(path, signMail)
	if o.problem != "" {
		return verdict{
			chain:      signer.Finding{Verdict: signer.Fail, Reason: o.problem},
			revocation: signer.Finding{Verdict: signer.None, Reason: "revocation is not checked, as the path is not valid"},
		}
	}
	chain := signer.Finding{Verdict: signer.Pass}
	if o.weak != "" {
		chain = signer.Finding{Verdict: signer.Policy, Reason: o.weak}
	}
	one := verdict{chain: chain}
	one.revocation, one.revoked = s.revocation(path)
	return one
}

// perfect is the rank at which no other path can be better: because all is
// well, or because the certificate itself has been revoked, which no other path
// undoes.
const perfect = 100

// rank orders what was found: valid paths before weak before wrong ones, and
// among those the ones that are known not to be revoked first. That an authority
// on a path has been revoked weighs more than that nothing is known about
// another path.
func (v *verdict) rank() int {
	chain := map[signer.Verdict]int{signer.Pass: 20, signer.Policy: 10}[v.chain.Verdict]
	if v.revoked || v.chain.Verdict == signer.Pass && v.revocation.Verdict == signer.Pass {
		return perfect
	}
	return chain + map[signer.Verdict]int{
		signer.Pass: 4, signer.Fail: 3, signer.TempError: 2, signer.Policy: 2, signer.None: 1,
	}[v.revocation.Verdict]
}
