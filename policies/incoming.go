package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// The bounds of max_layers. Triple wrapping with a compressed layer has four.
const (
	defaultLayers = 8
	maxLayers     = 32
)

// maxTag is the longest tag in bytes: the subject stays readable beside it.
const maxTag = 40

// incoming reads what a policy says of incoming mail.
func (r *reader) incoming(p *Policy, b *policyBlock) {
	p.Decrypt = r.decrypt(b.Decrypt)
	p.Verify = r.verify(b.Verify)
	p.SubjectTag = r.subjectTag(b.SubjectTag)
	// What a check finds is reported. To refuse for it is the administrator's
	// choice.
	action := func(a *hcl.Attribute) Action {
		return Action(r.word(a, string(Accept), string(Reject), string(Tempfail), string(Discard), string(Quarantine)))
	}
	p.OnBadSignature = action(b.OnBadSignature)
	p.OnUntrusted = action(b.OnUntrusted)
	p.OnNoSignature = action(b.OnNoSignature)
	// A client that is told whether its message could be decrypted can use the
	// answers to decrypt messages of others (RFC 3218), so nothing is the default.
	p.OnDecryptError = action(b.OnDecryptError)
	p.OnKeysUnavailable = Action(r.word(b.OnKeysUnavailable, string(Tempfail), string(Accept)))
	p.MaxLayers = r.number(b.MaxLayers, 1, maxLayers, defaultLayers)
}

func (r *reader) decrypt(b *decryptBlock) *Decrypt {
	if b == nil {
		return nil
	}
	return &Decrypt{
		Deliver:       r.word(b.Deliver, "plain", "keep"),
		LegacyCiphers: isTrue(r.flag(b.LegacyCiphers)),
	}
}

func (r *reader) verify(b *verifyBlock) *Verify {
	if b == nil {
		return nil
	}
	v := &Verify{
		Revocation:     r.word(b.Revocation, "check", "require", "off"),
		Signers:        r.word(b.Signers, "all", "any"),
		StripSignature: isTrue(r.flag(b.StripSignature)),
	}
	for _, item := range r.list(b.TrustAnchors) {
		v.TrustAnchors = append(v.TrustAnchors, item.text)
		v.anchorsAt = append(v.anchorsAt, item.at)
	}
	return v
}

func (r *reader) subjectTag(b *tagBlock) *SubjectTag {
	if b == nil {
		return nil
	}
	t := &SubjectTag{}
	var before []*hcl.Attribute
	var texts []string
	for _, tag := range []struct {
		a    *hcl.Attribute
		text *string
	}{{b.Decrypted, &t.Decrypted}, {b.Signed, &t.Signed}, {b.Untrusted, &t.Untrusted}, {b.Bad, &t.Bad}} {
		text, ok := r.text(tag.a)
		if !ok {
			continue
		}
		*tag.text = text
		at := tag.a.Expr.Range()
		if len(text) > maxTag || !isASCII(text) || strings.TrimSpace(text) != text || strings.Contains(text, "=?") {
			r.complain(at, fmt.Sprintf("%s can't be %s", tag.a.Name, quote(text)),
				fmt.Sprintf("write up to %d ASCII characters, such as %q, without blanks around them", maxTag, "[signed]"))
			continue
		}
		// A tag is taken out of a subject that came with it. What is part of
		// another one would leave a rest that says something else.
		for i, other := range texts {
			if strings.Contains(fold(other), fold(text)) || strings.Contains(fold(text), fold(other)) {
				r.complain(at, fmt.Sprintf("%s can't be told from %s, which is %s", tag.a.Name, before[i].Name, quote(other)),
					"write texts of which none is part of another")
				break
			}
		}
		before, texts = append(before, tag.a), append(texts, text)
	}
	return t
}

// incomingCombinations finds settings of incoming mail that are fine by
// themselves but not where they stand.
func (r *reader) incomingCombinations(p *Policy, b *policyBlock) {
	if b.Direction == nil {
		return
	}
	both := []*hcl.Attribute{b.OnKeysUnavailable, b.MaxLayers}
	verify := []*hcl.Attribute{b.OnBadSignature, b.OnUntrusted, b.OnNoSignature}
	decrypt := []*hcl.Attribute{b.OnDecryptError}
	if p.Direction == Outgoing {
		r.notOutgoing(b)
		for _, a := range slices.Concat(both, verify, decrypt) {
			if a != nil {
				r.complain(a.Range, a.Name+" is for incoming mail", `write direction = "incoming", or take it out`)
			}
		}
		return
	}
	if b.SubjectTag != nil {
		if *b.SubjectTag == (tagBlock{At: b.SubjectTag.At}) {
			r.complain(b.SubjectTag.At, "subject_tag has no tag", `write signed = "[signed]", or another one, or take it out`)
		}
		verify = append(verify, b.SubjectTag.Signed, b.SubjectTag.Untrusted, b.SubjectTag.Bad)
		decrypt = append(decrypt, b.SubjectTag.Decrypted)
	}
	if b.Verify == nil {
		r.noEffect(verify, "doesn't verify", "verify {}")
	}
	if b.Decrypt == nil {
		r.noEffect(decrypt, "doesn't decrypt", "decrypt {}")
		if b.Verify == nil {
			r.noEffect(both, "neither decrypts nor verifies", "decrypt {} or verify {}")
		}
	}
	if b.Decrypt != nil && p.Decrypt.Deliver == "keep" && b.SubjectTag != nil && b.SubjectTag.Decrypted != nil {
		r.complain(b.SubjectTag.Decrypted.Range, `decrypted has no effect: deliver = "keep" leaves the message encrypted`,
			"take one of them out")
	}
}

func (r *reader) notOutgoing(b *policyBlock) {
	const hint = `write direction = "incoming", or take %s out`
	if b.Decrypt != nil {
		r.complain(b.Decrypt.At, "decrypt is for incoming mail", fmt.Sprintf(hint, "decrypt"))
	}
	if b.Verify != nil {
		r.complain(b.Verify.At, "verify is for incoming mail", fmt.Sprintf(hint, "verify"))
	}
	if b.SubjectTag != nil {
		r.complain(b.SubjectTag.At, "subject_tag is for incoming mail", fmt.Sprintf(hint, "subject_tag"))
	}
}

func (r *reader) noEffect(settings []*hcl.Attribute, without, add string) {
	for _, a := range settings {
		if a != nil {
			r.complain(a.Range, fmt.Sprintf("%s has no effect in a policy that %s", a.Name, without),
				"take it out, or add "+add)
		}
	}
}

// Strictest returns what happens to a message that several actions apply to, one
// for each recipient's policy: the first of reject, tempfail, quarantine and
// accept among them. It is thrown away only if all of them are discard, since
// there are recipients who want it otherwise.
func Strictest(actions ...Action) Action {
	for _, a := range []Action{Reject, Tempfail, Quarantine} {
		if slices.Contains(actions, a) {
			return a
		}
	}
	if len(actions) == 0 || slices.ContainsFunc(actions, func(a Action) bool { return a != Discard }) {
		return Accept
	}
	return Discard
}

// CheckTrustAnchors compares the names of trust anchors in verify blocks with
// those of the configuration. The error is of type Problems and has every name
// that is not one of them.
func (s *Set) CheckTrustAnchors(configured []string) error {
	var found Problems
	for _, p := range s.policies {
		if p.Verify == nil {
			continue
		}
		for i, name := range p.Verify.TrustAnchors {
			if slices.Contains(configured, name) {
				continue
			}
			hint := fmt.Sprintf("add trust_anchors %s { ... } to the configuration", quote(name))
			if len(configured) > 0 {
				hint = "there are " + oneOf(quoteAll(configured)...) + "; write one of them, or add it to the configuration"
			}
			found = append(found, problemAt(p.Verify.anchorsAt[i], fmt.Sprintf("trust_anchors %s does not exist", quote(name)), hint))
		}
	}
	return found.err()
}
