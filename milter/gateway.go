package milter

import (
	"fmt"
	"maps"
	"slices"

	"waxseal/policies"
	"waxseal/signer/smime/trust"
)

// gateway is what the incoming policies of all recipients of a message come to.
// A message has one content for all of them, so it is decrypted only if every
// recipient's policy wants that, and the strictest action of all counts.
type gateway struct {
	policies []*policies.Policy
	// decrypt is nil unless every recipient's policy decrypts; verify is that of
	// the first policy which verifies.
	decrypt   *policies.Decrypt
	verify    *policies.Verify
	trust     *trust.Validator
	maxLayers int
}

// newGateway returns nil where no policy asks for anything.
func (f *Filter) newGateway(groups []group) (*gateway, error) {
	g := &gateway{}
	all := true
	for _, one := range groups {
		p := one.policy
		if p == nil || p.Decrypt == nil && p.Verify == nil {
			all = false
			continue
		}
		g.policies = append(g.policies, p)
		all = all && p.Decrypt != nil
		if g.verify == nil {
			g.verify = p.Verify
		}
		if g.maxLayers == 0 || p.MaxLayers < g.maxLayers {
			g.maxLayers = p.MaxLayers
		}
	}
	if len(g.policies) == 0 {
		return nil, nil
	}
	if all {
		g.decrypt = g.policies[0].Decrypt
		for _, p := range g.policies {
			if p.Decrypt.Deliver == "keep" {
				g.decrypt = p.Decrypt
			}
		}
	}
	if g.verify != nil {
		validator := f.Trust
		names := g.verify.TrustAnchors
		if len(names) == 0 {
			names = slices.Sorted(maps.Keys(f.Anchors))
		}
		anchors, err := f.Anchors.Select(names...)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", g.policies[0].Name, err)
		}
		validator.Anchors = anchors
		if g.verify.Revocation == "off" {
			validator.Revocation = nil
		}
		g.trust = &validator
	}
	return g, nil
}

// strictest asks every policy for an action.
func (g *gateway) strictest(action func(*policies.Policy) policies.Action) policies.Action {
	var all []policies.Action
	for _, p := range g.policies {
		all = append(all, action(p))
	}
	return policies.Strictest(all...)
}

// unavailable is the error of a key store that does not answer: the message is
// deferred, or delivered as it came where every policy prefers that.
func (g *gateway) unavailable(err error) error {
	action := g.strictest(func(p *policies.Policy) policies.Action { return p.OnKeysUnavailable })
	if action == policies.Accept {
		return &refusal{action: policies.Accept, cause: CauseKeys, err: err}
	}
	return tempfail(CauseKeys, err)
}
