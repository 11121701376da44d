package policies

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// build makes a policy of its block. The policy is nil if the block is too
// broken to compare it with others.
func build(file string, block *hclsyntax.Block) (*Policy, Problems) {
	var b policyBlock
	found := checkBlock(block, setting{typ: reflect.TypeFor[policyBlock](), block: true})
	if len(block.Labels) != 1 {
		return nil, found
	}
	// What the library would complain about has been found already.
	gohcl.DecodeBody(block.Body, nil, &b)
	r := &reader{found: found}
	p := &Policy{Name: block.Labels[0], File: file, Line: block.TypeRange.Start.Line,
		column: block.TypeRange.Start.Column}
	r.name(p.Name, block.LabelRanges[0])
	p.Direction = Direction(r.word(b.Direction, string(Outgoing), string(Incoming)))
	p.Originator = r.patterns(b.Originator)
	p.Recipient = r.patterns(b.Recipient)
	p.Authenticated = r.flag(b.Authenticated)
	if b.TLS != nil {
		p.TLS = tlsVersion(r.word(b.TLS, "1.0", "1.1", "1.2", "1.3"))
	}
	p.FoldLocalPart = isTrue(r.flag(b.FoldLocalPart))
	p.RequireLoginMatch = isTrue(r.flag(b.RequireLoginMatch))
	p.IssueOnDemand = isTrue(r.flag(b.IssueOnDemand))
	for _, h := range b.Header {
		if t, ok := r.trigger(h); ok {
			p.Header = append(p.Header, t)
		}
	}
	p.Sign = r.sign(b.Sign)
	p.Encrypt = r.encrypt(b.Encrypt)
	actions := []string{string(Reject), string(Accept), string(Tempfail), string(Discard), string(Quarantine)}
	p.OnKeyNotFound = Action(r.word(b.OnKeyNotFound, actions...))
	p.OnAlreadyProtected = Action(r.word(b.OnProtected, string(Accept), string(Reject)))
	r.incoming(p, &b)
	// A setting that is there under a wrong name is not missing as well.
	if len(found) == 0 {
		r.combinations(p, &b, block.TypeRange)
	}
	if len(r.found) > 0 {
		return nil, r.found
	}
	return p, nil
}

// combinations finds settings that are fine by themselves but not together.
func (r *reader) combinations(p *Policy, b *policyBlock, at hcl.Range) {
	if b.Direction == nil {
		hint := `write direction = "outgoing"`
		if b.Decrypt != nil || b.Verify != nil {
			hint = `write direction = "incoming"`
		}
		r.complain(at, "policy has no direction", hint)
	}
	r.incomingCombinations(p, b)
	if p.IssueOnDemand && (p.Sign == nil || p.Sign.Scheme == PGP || p.Sign.Key != "address" && p.Sign.Key != "any") {
		r.complain(b.IssueOnDemand.Range, "issue_on_demand is for the originator's own S/MIME key, and the policy does not sign with one",
			`take it out, or write sign "smime" {}`)
	}
	if p.Direction == Incoming {
		if b.Sign != nil {
			r.complain(b.Sign.At, "sign is for outgoing mail", `write direction = "outgoing", or take sign out`)
		}
		if b.Encrypt != nil {
			r.complain(b.Encrypt.At, "encrypt is for outgoing mail", `write direction = "outgoing", or take encrypt out`)
		}
		if isTrue(p.Authenticated) {
			r.complain(b.Authenticated.Range, "the policy can never match: a client that has logged in sends outgoing mail",
				"take authenticated out")
		}
	}
	if b.Sign == nil && b.Encrypt == nil {
		for _, a := range []*hcl.Attribute{b.OnKeyNotFound, b.OnProtected} {
			if a != nil {
				r.complain(a.Range, a.Name+" has no effect in a policy that neither signs nor encrypts",
					"take it out, or add sign or encrypt")
			}
		}
		return
	}
	if b.Encrypt != nil && b.OnKeyNotFound == nil {
		r.complain(b.Encrypt.At, "encrypt without on_key_not_found",
			`write on_key_not_found = "reject", or another action if such mail may go without`)
	}
	if b.Sign != nil && b.Encrypt != nil && p.Sign.Scheme != Any && p.Sign.Scheme != p.Encrypt.Scheme {
		r.complain(b.Sign.SchemeAt, fmt.Sprintf("a message that is signed with %s can't be encrypted with %s",
			p.Sign.Scheme, p.Encrypt.Scheme), `write sign "any", which takes the scheme of the encryption`)
	}
}

// name checks the name of a policy, which stands in header fields and logs.
func (r *reader) name(name string, at hcl.Range) {
	const most = 64
	ok := name != "" && len(name) <= most && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	})
	if !ok {
		r.complain(at, fmt.Sprintf("policy can't be named %s", quote(name)),
			fmt.Sprintf("write up to %d letters, digits, dots, hyphens and underscores", most))
	}
}

func (r *reader) sign(b *signBlock) *Sign {
	if b == nil {
		return nil
	}
	s := &Sign{Scheme: r.scheme("sign", b.Scheme, b.SchemeAt), Key: "address"}
	if key, ok := r.text(b.Key); ok {
		s.Key = key
		if strings.ContainsAny(key, `/\ `) || key == "." || key == ".." || len(key) > 254 {
			r.complain(b.Key.Expr.Range(), fmt.Sprintf("key can't be %s", quote(key)),
				`write "address", "domain", "any", or the name of an entry such as "org.example.com"`)
		}
	}
	s.Mode = r.word(b.Mode, "detached", "opaque")
	if b.Digest != nil {
		s.Digest = r.word(b.Digest, "sha256", "sha384", "sha512")
	}
	s.PSS = isTrue(r.flag(b.PSS))
	if s.Scheme == PGP {
		r.onlySMIME(b.Mode, b.PSS)
	}
	return s
}

func (r *reader) encrypt(b *encryptBlock) *Encrypt {
	if b == nil {
		return nil
	}
	e := &Encrypt{Scheme: r.scheme("encrypt", b.Scheme, b.SchemeAt)}
	for _, item := range r.list(b.AlsoTo) {
		if !isAddress(item.text) {
			r.complain(item.at, fmt.Sprintf("also_to: %s is not an address", quote(item.text)),
				`write one such as "archive@example.com"`)
			continue
		}
		e.AlsoTo = append(e.AlsoTo, item.text)
	}
	e.Cipher = r.word(b.Cipher, "aes256-cbc", "aes128-cbc", "aes256-gcm", "aes128-gcm")
	e.KeyTransport = r.word(b.KeyTransport, "rsa15", "oaep-sha1", "oaep-sha256")
	e.Hidden = isTrue(r.flag(b.Hidden))
	switch {
	case e.Scheme == PGP:
		r.onlySMIME(b.Cipher, b.KeyTransport)
	case e.Scheme == SMIME && b.Hidden != nil:
		r.complain(b.Hidden.Range, "hidden is a setting of PGP, and the scheme is smime", "take it out")
	}
	return e
}

func (r *reader) onlySMIME(settings ...*hcl.Attribute) {
	for _, a := range settings {
		if a != nil {
			r.complain(a.Range, a.Name+" is a setting of S/MIME, and the scheme is pgp", "take it out")
		}
	}
}

func (r *reader) scheme(name, scheme string, at hcl.Range) Scheme {
	return Scheme(r.oneOf(name, scheme, at, []string{string(SMIME), string(PGP), string(Any)}))
}

func (r *reader) trigger(b *headerBlock) (Trigger, bool) {
	before := len(r.found)
	t := Trigger{Name: b.Name, Strip: isTrue(r.flag(b.Strip))}
	if !validFieldName(b.Name) {
		r.complain(b.NameAt, fmt.Sprintf("%s is not the name of a header field", quote(b.Name)),
			`write a name such as "Subject", without a colon`)
	}
	t.Contains, _ = r.text(b.Contains)
	t.Equals, _ = r.text(b.Equals)
	t.Equals = strings.TrimSpace(t.Equals)
	if b.Contains != nil && b.Equals != nil {
		r.complain(b.Equals.Range, "header has both contains and equals", "keep one")
	}
	if t.Strip && structural(b.Name) {
		r.complain(b.Strip.Range, fmt.Sprintf("strip can't change the field %s, which the message needs", b.Name),
			"use Subject or a field of your own for triggers")
	}
	return t, len(r.found) == before
}

// validFieldName reports whether a name is one of RFC 5322, Section 2.2.
func validFieldName(name string) bool {
	return name != "" && len(name) <= 76 && !strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c > '~' || c == ':'
	})
}

// structural reports whether a field is one of those that say who wrote a
// message to whom, or how to read it.
func structural(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "date", "message-id", "in-reply-to", "references",
		"mime-version", "return-path", "received":
		return true
	}
	return strings.HasPrefix(name, "content-") || strings.HasPrefix(name, "resent-")
}

func isTrue(b *bool) bool { return b != nil && *b }

func tlsVersion(name string) uint16 {
	for v := uint16(tls.VersionTLS10); v < tls.VersionTLS13; v++ {
		if tlsName(v) == name {
			return v
		}
	}
	return tls.VersionTLS13
}

func tlsName(version uint16) string {
	return strings.TrimPrefix(tls.VersionName(version), "TLS ")
}
