package trust

import "slices"

// policies is the state of certificate policies along a path (RFC 5280, Section
// 6.1), with the graph of RFC 9618 in place of the tree, whose size hostile
// certificates could make exponential.
type policies struct {
	acceptableSet []string // none for any
	// nodes are those of the depth that was last reached; nil if no policy is
	// valid any more. A node keeps its parents, and so all that is above.
	nodes map[string]*policyNode

	explicit, mapping, any int // certificates until they hold
}

// policyNode is a policy that is valid at a depth.
type policyNode struct {
	policy   string
	expected []string // policies of the next certificate that it stands for
	// origins are what it is in the terms of the authorities above: the policies
	// whose nodes came from anyPolicy, and this one from them (RFC 9618, Section
	// 5.6). Empty for anyPolicy itself.
	origins map[string]bool
}

// newPolicies is the state before a path of n certificates (RFC 5280, Section
// 6.1.2).
func newPolicies(r *Rules, n int) *policies {
	p := &policies{explicit: n + 1, mapping: n + 1, any: n + 1, acceptableSet: r.Policies}
	if r.RequireExplicitPolicy {
		p.explicit = 0
	}
	if r.InhibitPolicyMapping {
		p.mapping = 0
	}
	if r.InhibitAnyPolicy {
		p.any = 0
	}
	if slices.Contains(r.Policies, oidAnyPolicy) {
		p.acceptableSet = nil
	}
	p.nodes = map[string]*policyNode{oidAnyPolicy: {policy: oidAnyPolicy, expected: []string{oidAnyPolicy}}}
	return p
}

// derive makes the node of a policy below some parents. origins are handed
// down; where the parent is anyPolicy the policy itself is where it begins.
func derive(policy string, parents []*policyNode) *policyNode {
	n := &policyNode{policy: policy, expected: []string{policy}}
	if policy == oidAnyPolicy {
		return n
	}
	n.origins = map[string]bool{}
	for _, parent := range parents {
		if parent.policy == oidAnyPolicy {
			n.origins[policy] = true
		}
		for origin := range parent.origins {
			n.origins[origin] = true
		}
	}
	return n
}

// add goes on to the policies of the next certificate (RFC 5280, Section 6.1.3,
// d to f; RFC 9618, Section 5.3).
func (p *policies) add(c *certificate, final bool) {
	if !c.hasPolicies {
		p.nodes = nil
	}
	if p.nodes == nil {
		return
	}
	parents := map[string][]*policyNode{} // by the policy that they expect
	for _, node := range p.nodes {
		for _, expected := range node.expected {
			parents[expected] = append(parents[expected], node)
		}
	}
	next := map[string]*policyNode{}
	for _, policy := range c.policies {
		if policy == oidAnyPolicy {
			continue
		}
		if from := parents[policy]; len(from) > 0 {
			next[policy] = derive(policy, from)
		} else if root := p.nodes[oidAnyPolicy]; root != nil {
			next[policy] = derive(policy, []*policyNode{root})
		}
	}
	if slices.Contains(c.policies, oidAnyPolicy) && (p.any > 0 || !final && c.selfIssued()) {
		for policy, from := range parents {
			if next[policy] == nil {
				next[policy] = derive(policy, from)
			}
		}
	}
	if len(next) == 0 {
		next = nil
	}
	p.nodes = next
}

// failed says whether a policy is required and none is valid (RFC 5280, Section
// 6.1.3, f).
func (p *policies) failed() bool { return p.explicit == 0 && p.nodes == nil }

// prepare makes ready for the certificate that comes after an authority's (RFC
// 5280, Section 6.1.4, a, b and h to j). It returns false for a mapping from or
// to anyPolicy.
func (p *policies) prepare(c *certificate) bool {
	mapped := map[string][]string{}
	for _, m := range c.mappings {
		if m[0] == oidAnyPolicy || m[1] == oidAnyPolicy {
			return false
		}
		mapped[m[0]] = append(mapped[m[0]], m[1])
	}
	for policy, subjects := range mapped {
		node, root := p.nodes[policy], p.nodes[oidAnyPolicy]
		switch {
		case p.mapping == 0:
			delete(p.nodes, policy)
		case node != nil:
			node.expected = subjects
		case root != nil:
			node = derive(policy, []*policyNode{root})
			node.expected = subjects
			p.nodes[policy] = node
		}
	}
	if len(p.nodes) == 0 {
		p.nodes = nil
	}
	if !c.selfIssued() {
		for _, counter := range []*int{&p.explicit, &p.mapping, &p.any} {
			if *counter > 0 {
				*counter--
			}
		}
	}
	p.explicit = min(p.explicit, c.requirePolicy)
	p.mapping = min(p.mapping, c.inhibitMapping)
	p.any = min(p.any, c.inhibitAny)
	return true
}

// finish ends with the last certificate (RFC 5280, Section 6.1.5, a and b).
func (p *policies) finish(c *certificate) {
	if p.explicit > 0 {
		p.explicit--
	}
	if c.requirePolicy == 0 {
		p.explicit = 0
	}
}

// acceptable says whether the path as a whole is valid in its policies (RFC
// 5280, Section 6.1.5, g).
func (p *policies) acceptable() bool {
	return p.explicit > 0 || p.constrained()
}

// constrained says whether a valid policy is one of the acceptable ones.
func (p *policies) constrained() bool {
	if p.nodes == nil {
		return false
	}
	if p.acceptableSet == nil || p.nodes[oidAnyPolicy] != nil {
		return true
	}
	for _, node := range p.nodes {
		for _, policy := range p.acceptableSet {
			if node.origins[policy] {
				return true
			}
		}
	}
	return false
}
