package milter

import (
	"fmt"
	"maps"
	"slices"

	"waxseal/policies"
	"waxseal/signer/smime"
	"waxseal/signer/smime/trust"
)

// gateway is what the incoming policies of all recipients of a message come to.
// A message has one content and one report for all of them. So it is decrypted
// only if every recipient's policy wants that, and where policies differ, the
// stricter setting holds.
type gateway struct {
	filter *Filter
	// policies are those that decrypt or verify. others says that there are
	// recipients beside theirs.
	policies []*policies.Policy
	others   bool
	// decrypt and verify are nil for what is not done.
	decrypt   *policies.Decrypt
	verify    *policies.Verify
	maxLayers int

	validator *trust.Validator // made when the first certificate is met
}

// newGateway returns nil where no policy asks for anything.
func (f *Filter) newGateway(groups []group) *gateway {
	g := &gateway{filter: f}
	for _, one := range groups {
		p := one.policy
		if p == nil || p.Decrypt == nil && p.Verify == nil {
			g.others = true
			continue
		}
		g.policies = append(g.policies, p)
		if g.maxLayers == 0 || p.MaxLayers < g.maxLayers {
			g.maxLayers = p.MaxLayers
		}
	}
	if len(g.policies) == 0 {
		return nil
	}
	g.mergeDecrypt()
	g.mergeVerify()
	return g
}

func (g *gateway) mergeDecrypt() {
	if g.others {
		return
	}
	all := policies.Decrypt{Deliver: "plain", LegacyCiphers: true}
	for _, p := range g.policies {
		if p.Decrypt == nil {
			return
		}
		if p.Decrypt.Deliver != "plain" {
			all.Deliver = p.Decrypt.Deliver
		}
		all.LegacyCiphers = all.LegacyCiphers && p.Decrypt.LegacyCiphers
	}
	g.decrypt = &all
}

// mergeVerify makes one verify block of all. What passes passes by each of them.
func (g *gateway) mergeVerify() {
	strictness := []string{"off", "check", "require"}
	strip := !g.others
	for _, p := range g.policies {
		v := p.Verify
		if v == nil {
			strip = false
			continue
		}
		strip = strip && v.StripSignature
		names := v.TrustAnchors
		if len(names) == 0 {
			names = slices.Sorted(maps.Keys(g.filter.Anchors))
		}
		if g.verify == nil {
			g.verify = &policies.Verify{TrustAnchors: names, Revocation: v.Revocation, Signers: v.Signers}
			continue
		}
		both := g.verify
		both.TrustAnchors = slices.DeleteFunc(slices.Clone(both.TrustAnchors), func(name string) bool { return !slices.Contains(names, name) })
		if slices.Index(strictness, v.Revocation) > slices.Index(strictness, both.Revocation) {
			both.Revocation = v.Revocation
		}
		if v.Signers == smime.AllSigners {
			both.Signers = v.Signers
		}
	}
	if g.verify != nil {
		g.verify.StripSignature = strip
	}
}

// trust returns what certificates are judged by; nil if signatures are not
// judged.
func (g *gateway) trust() (*trust.Validator, error) {
	if g.verify == nil || g.validator != nil {
		return g.validator, nil
	}
	validator := g.filter.Trust
	anchors, err := g.filter.Anchors.Select(g.verify.TrustAnchors...)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", g.policies[0].Name, err)
	}
	validator.Anchors = anchors
	if g.verify.Revocation == "off" {
		validator.Revocation = nil
	}
	validator.RequireRevocation = g.verify.Revocation == "require"
	g.validator = &validator
	return g.validator, nil
}

// strictest asks every policy for an action. Recipients whose policy asks for
// nothing want their mail.
func (g *gateway) strictest(action func(*policies.Policy) policies.Action) policies.Action {
	var all []policies.Action
	if g.others {
		all = append(all, policies.Accept)
	}
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
