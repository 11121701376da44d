package trust

import (
	"fmt"
	"slices"
	"time"
)

// purpose is what the first certificate of a path is used for.
type purpose int

const (
	signMail purpose = iota
	signCRL
)

// outcome is what was found about a path, apart from revocation.
type outcome struct {
	problem string // why it is not valid; "" if it is
	weak    string // what the rules have against it; "" if nothing
}

// checkPath validates a path from a certificate to a trust anchor (RFC 5280,
// Section 6.1), whose names and signatures have been checked. What is about the
// first certificate alone is left out; checkSigner says that. The
// trust anchor's own validity, name constraints, path length and usages hold
// too: who trusts it takes what it says of itself (RFC 5937).
func (s *search) checkPath(path []*certificate, why purpose) (o outcome) {
	weaken := func(format string, args ...any) {
		if o.weak == "" {
			o.weak = fmt.Sprintf(format, args...)
		}
	}
	n := len(path) - 1 // certificates below the anchor
	policies := newPolicies(&s.v.Rules, n)
	names := &nameChecker{}
	room := unlimited // authorities that may follow which are not self-issued
	for i := n; i >= 0; i-- {
		c, final := path[i], i == 0
		fail := func(format string, args ...any) outcome {
			return outcome{problem: fmt.Sprintf("%s: %s", c, fmt.Sprintf(format, args...))}
		}
		if n == 0 {
			break // the certificate is trusted itself
		}
		if c.malformed != nil {
			return fail("%v", c.malformed)
		}
		if !final {
			if p := validity(c.notBefore, c.notAfter, s.at); p != "" {
				return fail("the authority's certificate %s", p)
			}
			if len(c.unknown) > 0 {
				return fail("has the unknown critical extension %s", c.unknown[0])
			}
		}
		if i < n {
			if p := s.v.Rules.pathWeakness(c); p != "" {
				weaken("%s: %s", c, p)
			}
			if !c.selfIssued() || final {
				if p := names.check(c); p != "" {
					return fail("%s", p)
				}
			}
			policies.add(c, final)
			if policies.failed() {
				return fail("no certificate policy is valid for the whole path, and one is required")
			}
		}
		if final {
			policies.finish(c)
			break
		}
		if p := checkAuthority(c, i == n, why); p != "" {
			return fail("%s", p)
		}
		if p := s.v.Rules.weakKey(pathKey(path, i)); p != "" {
			weaken("%s: %s", c, p)
		}
		if i < n && !policies.prepare(c) {
			return fail("maps from or to anyPolicy")
		}
		if c.constraints != nil {
			names.constraints = append(names.constraints, c.constraints)
		}
		if i < n && !c.selfIssued() {
			if room == 0 {
				return fail("the path is longer than an authority on it allows")
			}
			room--
		}
		if c.pathLen < room {
			room = c.pathLen
		}
	}
	if n > 0 && !policies.acceptable() {
		return outcome{problem: "no acceptable certificate policy is valid for the whole path"}
	}
	return o
}

// checkAuthority says in words why a certificate may not issue certificates; ""
// if it may. A trust anchor may be older than the extension that says so.
func checkAuthority(c *certificate, anchor bool, why purpose) string {
	switch {
	case !c.ca && !(anchor && c.version < 3):
		return "is not an authority's certificate"
	case !c.mayUse(keyCertSign):
		return "its key may not sign certificates"
	case why == signMail && c.hasExtUsage && !c.mayProtectMail():
		return "the authority is not one for mail"
	}
	return ""
}

// mayProtectMail says whether the extended key usages have emailProtection, or
// any usage.
func (c *certificate) mayProtectMail() bool {
	return slices.Contains(c.extUsage, oidEmailProtection) || slices.Contains(c.extUsage, oidAnyUsage)
}

// pathWeakness says in words what the rules have against a certificate's
// signature.
func (r *Rules) pathWeakness(c *certificate) string {
	a, err := parseAlgorithm(c.algorithm)
	if err != nil {
		return err.Error()
	}
	return r.weakness(a)
}

// validity says in words why something is not valid at a time; "" if it is.
func validity(notBefore, notAfter, at time.Time) string {
	if at.Before(notBefore) {
		return "is not valid before " + notBefore.UTC().Format(time.DateTime) + " UTC"
	}
	if at.After(notAfter) {
		return "expired on " + notAfter.UTC().Format(time.DateTime) + " UTC"
	}
	return ""
}
