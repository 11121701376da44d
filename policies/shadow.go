package policies

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// maxShadowSteps bounds the search for policies that can never match, so that a
// set that is made for it can't hold up the start. Past it nothing more is
// found, which does no harm.
const maxShadowSteps = 5_000_000

// shadowed finds the policies that can never match because one before them
// matches whenever they would.
func shadowed(policies []*Policy) Problems {
	s := shadows{policies: policies, originators: newIndex(), recipients: newIndex(), steps: maxShadowSteps}
	var found Problems
	for i, p := range policies {
		if first := s.before(p); first != nil {
			at := hcl.Range{Filename: p.File, Start: hcl.Pos{Line: p.Line, Column: p.column}}
			found = append(found, problemAt(at, fmt.Sprintf("policy %s can never match: %s at %s:%d matches first",
				quote(p.Name), quote(first.Name), first.File, first.Line),
				"put it before that one, or make that one narrower"))
		}
		s.originators.add(i, p.Originator, p.FoldLocalPart)
		s.recipients.add(i, p.Recipient, p.FoldLocalPart)
	}
	return found
}

type shadows struct {
	policies    []*Policy
	originators *index
	recipients  *index
	steps       int // still allowed
}

// before returns the first policy before p that matches all that p does.
func (s *shadows) before(p *Policy) *Policy {
	var sides [][][]int // for each pattern the lists of the policies that cover it
	for _, pattern := range orAnyone(p.Recipient) {
		sides = append(sides, s.recipients.covering(pattern, p.FoldLocalPart))
	}
	for _, pattern := range orAnyone(p.Originator) {
		sides = append(sides, s.originators.covering(pattern, p.FoldLocalPart))
	}
	s.steps -= len(sides)
	// A policy before p has to be on every side, so the smallest will do.
	smallest := slices.MinFunc(sides, func(a, b [][]int) int { return cmp.Compare(total(a), total(b)) })
	least := len(s.policies)
	for _, list := range smallest {
		for _, i := range list {
			if i >= least {
				break
			}
			wide := s.policies[i]
			if s.steps -= 1 + len(p.Header)*len(wide.Header); s.steps < 0 {
				return nil
			}
			if wide.widerThan(p) && s.onAll(sides, i) {
				least = i
			}
		}
	}
	if least == len(s.policies) {
		return nil
	}
	return s.policies[least]
}

// onAll reports whether policy i is in one of the lists of each side.
func (s *shadows) onAll(sides [][][]int, i int) bool {
	for _, side := range sides {
		s.steps -= len(side)
		if !slices.ContainsFunc(side, func(list []int) bool {
			_, found := slices.BinarySearch(list, i)
			return found
		}) {
			return false
		}
	}
	return true
}

func total(lists [][]int) int {
	n := 0
	for _, list := range lists {
		n += len(list)
	}
	return n
}

func orAnyone(patterns []Pattern) []Pattern {
	if len(patterns) == 0 {
		return []Pattern{{kind: anyone}}
	}
	return patterns
}

// covering returns the lists of policies that match whatever p matches.
func (x *index) covering(p Pattern, foldLocal bool) [][]int {
	var lists [][]int
	f := func(list []int) {
		if len(list) > 0 {
			lists = append(lists, list)
		}
	}
	f(x.everyone)
	switch p.kind {
	case oneAddress:
		// A policy that folds takes in more than one that doesn't.
		f(x.folded[p.address.folded()])
		if !foldLocal {
			f(x.exact[p.address])
		}
		x.visitDomain(p.address.Domain, f)
	case wholeDomain:
		x.visitDomain(p.address.Domain, f)
	case subdomains:
		f(x.parents[p.address.Domain])
		x.visitParents(p.address.Domain, f)
	}
	return lists
}

// widerThan reports whether the clauses of p apart from originator and recipient
// match whenever those of other do.
func (p *Policy) widerThan(other *Policy) bool {
	if p.Direction != other.Direction || p.TLS > other.TLS {
		return false
	}
	if p.Authenticated != nil && (other.Authenticated == nil || *p.Authenticated != *other.Authenticated) {
		return false
	}
	for _, wide := range p.Header {
		implied := false
		for _, narrow := range other.Header {
			if narrow.implies(wide) {
				implied = true
				break
			}
		}
		if !implied {
			return false
		}
	}
	return true
}
