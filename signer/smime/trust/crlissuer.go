package trust

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// trusted says why the signature of a CRL is not to be trusted for a path; nil
// if it is: made by the key of a certificate of the CRL's issuer that may sign
// CRLs, has a valid path to the same trust anchor, and is not revoked (RFC
// 5280, Section 6.3.3, f and g).
func (s *search) trusted(path []*certificate, list *crl) error {
	a, err := parseAlgorithm(list.algorithm)
	if err != nil {
		return fmt.Errorf("the CRL: %w", err)
	}
	if weak := s.v.Rules.weakness(a); weak != "" {
		return fmt.Errorf("the CRL is %s", weak)
	}
	anchor := path[len(path)-1]
	reason := errors.New("no valid certificate of the CRL's issuer is at hand")
	for _, issuer := range s.crlIssuers(path, list) {
		if s.steps++; s.stop() {
			return errors.New("the search was ended, as there are too many certificates")
		}
		if !issuer.mayUse(cRLSign) {
			reason = errors.New("its issuer's key may not sign CRLs")
			continue
		}
		if at := slices.IndexFunc(path[1:], issuer.same); at >= 0 {
			// The path above is being validated, revocation included.
			if s.signed(list, a, path[1:], at) {
				return nil
			}
			continue
		}
		if err := s.issuerPath(issuer, anchor, list, a); err == nil {
			return nil
		} else if !errors.Is(err, errSignature) {
			reason = err
		}
	}
	return reason
}

// crlIssuers are the certificates whose subject is the CRL's issuer, those on
// the path first, and of the others those that the CRL's key identifier names.
func (s *search) crlIssuers(path []*certificate, list *crl) []*certificate {
	var certs []*certificate
	for _, c := range path[1:] {
		if c.subject.equal(list.issuer) {
			certs = append(certs, c)
		}
	}
	key := list.issuer.key()
	others := slices.Concat(s.v.Anchors.named(key), s.message.named(key), s.v.Intermediates.named(key))
	if path[0].subject.equal(list.issuer) {
		others = append(others, path[0])
	}
	slices.SortStableFunc(others, func(a, b *certificate) int {
		matches := func(c *certificate) int {
			if bytes.Equal(c.subjectKeyID, list.authorityKeyID) {
				return 0
			}
			return 1
		}
		return matches(a) - matches(b)
	})
	for _, c := range others {
		if !slices.ContainsFunc(certs, c.same) {
			certs = append(certs, c)
		}
	}
	return certs
}

// issuerPath looks for a valid path from a CRL's issuer to the trust anchor, on
// which nothing is revoked.
func (s *search) issuerPath(issuer, anchor *certificate, list *crl, a algorithm) error {
	if p := validity(issuer.notBefore, issuer.notAfter, s.at); p != "" {
		return fmt.Errorf("the CRL issuer's certificate %s", p)
	}
	if len(issuer.unknown) > 0 {
		return errors.New("the CRL issuer's certificate has an unknown critical extension")
	}
	if issuer.key != nil && !s.signedWith(list, a, issuer) {
		return errSignature
	}
	for _, p := range s.pending {
		if p.list == list && p.cert.same(issuer) {
			// The authority has the CRL's issuer speak about its own certificate:
			// it is not revoked unless its CRL says so.
			return nil
		}
	}
	if len(s.pending) == maxCRLDepth || slices.ContainsFunc(s.pending, func(p pendingIssuer) bool { return p.cert.same(issuer) }) {
		return errors.New("the CRL's issuer can't be checked without the CRL")
	}
	s.pending = append(s.pending, pendingIssuer{issuer, list})
	defer func() { s.pending = s.pending[:len(s.pending)-1] }()
	err := errors.New("no path leads from the CRL's issuer to the trust anchor of the certificate")
	s.paths(issuer, func(path []*certificate) bool {
		path = slices.Clone(path)
		if !path[len(path)-1].same(anchor) {
			return true
		}
		if o := s.checkPath(path, signCRL); o.problem != "" || o.weak != "" {
			err = fmt.Errorf("the CRL's issuer: %s%s", o.problem, o.weak)
			return true
		}
		if !s.signed(list, a, path, 0) {
			err = errSignature
			return true
		}
		if st := s.pathStatus(path); st.state != good {
			err = fmt.Errorf("the CRL's issuer: %s", st.reason)
			return true
		}
		err = nil
		return false
	})
	return err
}

// signed says whether the key of a path's certificate made the CRL's signature.
func (s *search) signed(list *crl, a algorithm, path []*certificate, i int) bool {
	if path[i].key != nil {
		return s.signedWith(list, a, path[i])
	}
	key := pathKey(path, i)
	s.signatures += SignatureCost(key)
	return key != nil && a.verify(key, list.tbs, list.signature) == nil
}

// signedWith is signed for a certificate that has all of its key. The answer is
// kept with the CRL, which may be large.
func (s *search) signedWith(list *crl, a algorithm, issuer *certificate) bool {
	list.mu.Lock()
	defer list.mu.Unlock()
	key := string(issuer.spki)
	ok, known := list.verified[key]
	if !known {
		const most = 100 // keys with the same name; more are a message's doing
		if len(list.verified) >= most {
			clear(list.verified)
		}
		s.signatures += SignatureCost(issuer.key)
		ok = a.verify(issuer.key, list.tbs, list.signature) == nil
		list.verified[key] = ok
	}
	return ok
}
