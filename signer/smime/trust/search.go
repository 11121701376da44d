package trust

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"slices"
	"time"
)

// Limits of the search for paths, of one certificate with all that its
// revocation takes. Paths of real mail have three or four certificates.
const (
	maxPath          = 16   // certificates, with both ends
	maxIntermediates = 1000 // of a message
	maxSignatures    = 200  // that are checked, each for its SignatureCost
	maxSteps         = 5000 // tries to prolong a path
	maxPaths         = 32   // that are looked at in full
)

// search is what is known while one certificate is judged.
type search struct {
	ctx context.Context
	v   *Validator
	at  time.Time

	message    *Pool // certificates of the message
	checked    map[link]error
	signatures int
	steps      int
	// exhausted says that a limit ended the search, so that there may be paths
	// that were not found.
	exhausted bool

	// pending are the issuers of CRLs that are being checked, each for a CRL
	// that the check before it needs.
	pending  []pendingIssuer
	statuses map[statusKey]status
	// asked says that something may be known later from a URL.
	asked bool
}

// pendingIssuer is the issuer of a CRL whose path is being checked.
type pendingIssuer struct {
	cert *certificate
	list *crl
}

// statusKey is what the revocation of a certificate depends on.
type statusKey struct{ cert, issuer, anchor *certificate }

// link is a certificate and a key that may have signed it.
type link struct {
	child *certificate
	key   any
}

// mapKey is a key as part of a link.
func mapKey(key crypto.PublicKey) any {
	switch key := key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, *dsa.PublicKey:
		return key
	case ed25519.PublicKey:
		return string(key)
	}
	return nil // verify takes no other
}

func newSearch(ctx context.Context, v *Validator, at time.Time) *search {
	return &search{
		ctx: ctx, v: v, at: at,
		message: &Pool{},
		checked: map[link]error{}, statuses: map[statusKey]status{},
	}
}

// stop says whether nothing more is to be tried.
func (s *search) stop() bool {
	if s.signatures >= maxSignatures || s.steps >= maxSteps || s.ctx.Err() != nil {
		s.exhausted = true
	}
	return s.exhausted
}

// paths calls yield for every path from a certificate to a trust anchor whose
// names and signatures are right, until yield returns false or a limit is
// reached. Both ends are in the path, which is valid during the call only. A
// certificate that is a trust anchor itself is its own path.
func (s *search) paths(from *certificate, yield func(path []*certificate) bool) {
	for _, anchor := range s.v.Anchors.named(from.subject.key()) {
		if anchor.same(from) {
			yield([]*certificate{anchor})
			return
		}
	}
	found := 0
	s.prolong(append(make([]*certificate, 0, maxPath), from), func(path []*certificate) bool {
		found++
		if !yield(path) {
			return false
		}
		if found == maxPaths {
			s.exhausted = true
		}
		return found < maxPaths
	})
}

// prolong tries all authorities that may have issued the last certificate of
// the path, trust anchors first. The depth is at most maxPath. It returns false
// once the search is over.
func (s *search) prolong(path []*certificate, yield func([]*certificate) bool) bool {
	last := path[len(path)-1]
	if len(path) == maxPath {
		return true
	}
	key := last.issuer.key()
	for _, anchor := range s.v.Anchors.named(key) {
		if s.steps++; s.stop() {
			return false
		}
		if whole := append(path, anchor); s.linked(whole) && !yield(whole) {
			return false
		}
	}
	for _, issuer := range s.candidates(last, key) {
		if s.steps++; s.stop() {
			return false
		}
		if !repeats(path, issuer) && s.maySign(last, issuer) && !s.prolong(append(path, issuer), yield) {
			return false
		}
	}
	return true
}

// candidates are the certificates with that subject, the likeliest issuers
// first.
func (s *search) candidates(child *certificate, subject string) []*certificate {
	all := slices.Concat(s.message.named(subject), s.v.Intermediates.named(subject))
	score := func(c *certificate) int {
		n := 0
		if len(child.authorityKeyID) > 0 && bytes.Equal(child.authorityKeyID, c.subjectKeyID) {
			n += 4
		}
		if !s.at.Before(c.notBefore) && !s.at.After(c.notAfter) {
			n += 2
		}
		if c.ca {
			n++
		}
		return n
	}
	slices.SortStableFunc(all, func(a, b *certificate) int { return cmp.Compare(score(b), score(a)) })
	return all
}

// repeats says whether the path has an authority's name and key already, which
// is a loop of certificates that authorities issued for each other.
func repeats(path []*certificate, c *certificate) bool {
	return slices.ContainsFunc(path, func(p *certificate) bool {
		return p.subject.equal(c.subject) && bytes.Equal(p.spki, c.spki)
	})
}

// maySign says whether the issuer's key made the child's signature, or that it
// can't be said before the issuer has its parameters.
func (s *search) maySign(child, issuer *certificate) bool {
	return issuer.key == nil || s.check(child, issuer.key) == nil
}

// linked says whether all signatures of a path from leaf to anchor are right,
// with keys whose parameters come from above.
func (s *search) linked(path []*certificate) bool {
	key := path[len(path)-1].key
	for i := len(path) - 2; i >= 0; i-- {
		if key == nil || s.check(path[i], key) != nil {
			return false
		}
		next := path[i].key
		if next == nil {
			next = inheritKey(path[i].spki, key)
		}
		key = next
	}
	return true
}

// check checks the signature of a certificate, each only once.
func (s *search) check(child *certificate, key crypto.PublicKey) error {
	k := link{child, mapKey(key)}
	if err, ok := s.checked[k]; ok {
		return err
	}
	a, err := parseAlgorithm(child.algorithm)
	s.signatures += SignatureCost(key)
	if err == nil {
		err = a.verify(key, child.tbs, child.signature)
	}
	s.checked[k] = err
	return err
}

// pathKey is the key of a path's certificate, with parameters from above.
func pathKey(path []*certificate, i int) crypto.PublicKey {
	key := path[len(path)-1].key
	for j := len(path) - 2; j >= i; j-- {
		next := path[j].key
		if next == nil {
			next = inheritKey(path[j].spki, key)
		}
		key = next
	}
	return key
}
