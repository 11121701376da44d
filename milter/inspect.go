package milter

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"waxseal/keys"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// Inspection is what is in a message and what was found about it, for people who
// ask why. It has text that others wrote: whoever shows it has to make it plain.
type Inspection struct {
	// Author is the address that a reader takes for the author's; AuthorReason
	// says why that is not certain.
	Author       string `json:"author"`
	AuthorReason string `json:"author_reason,omitempty"`
	// Layers are in the order in which they are taken off.
	Layers []InspectedLayer `json:"layers"`
	// Verdict is the word for the message as a whole, Reason why.
	Verdict signer.Verdict `json:"verdict"`
	Reason  string         `json:"reason,omitempty"`
	// Structure says what is wrong with the message's structure.
	Structure string `json:"structure,omitempty"`
	// Content is the media type of what is inside the last layer.
	Content string `json:"content"`
}

// InspectedLayer is one layer.
type InspectedLayer struct {
	// Kind is "encrypted", "compressed-data", "multipart/signed", "signed-data",
	// "OpenPGP message" or "OpenPGP text"; Scheme is "smime", "pgp" or "".
	Kind   string `json:"kind"`
	Scheme string `json:"scheme,omitempty"`
	// Part is the number of the part that the layer is, as IMAP counts; "" for
	// all of what the layer before it holds. Partial says that it is not all.
	Part    string `json:"part,omitempty"`
	Partial bool   `json:"partial,omitempty"`
	// The rest of an encrypted layer.
	Decryption *InspectedDecryption `json:"decryption,omitempty"`
	// The rest of a signed one.
	Signatures []InspectedSignature `json:"signatures,omitempty"`
}

// InspectedDecryption is what was found about an encrypted layer.
type InspectedDecryption struct {
	Verdict signer.Verdict `json:"verdict"`
	Reason  string         `json:"reason,omitempty"`
	Cipher  string         `json:"cipher,omitempty"`
	// Authenticated says that nobody can have changed what was encrypted.
	Authenticated bool   `json:"authenticated"`
	Key           string `json:"key,omitempty"`
	// Recipients are for whom it is, as the message says.
	Recipients []string `json:"recipients"`
}

// InspectedSignature is what was found about one signature.
type InspectedSignature struct {
	Verdict   signer.Verdict `json:"verdict"`
	Signer    string         `json:"signer,omitempty"`
	Addresses []string       `json:"addresses,omitempty"`
	Algorithm string         `json:"algorithm,omitempty"`
	// SignedAt is what the signer claims.
	SignedAt    *time.Time             `json:"signed_at,omitempty"`
	Fingerprint string                 `json:"fingerprint,omitempty"`
	Findings    []InspectedFinding     `json:"findings"`
	Chain       []InspectedCertificate `json:"chain,omitempty"`
}

// InspectedFinding is one of the findings about a signature.
type InspectedFinding struct {
	Name    string         `json:"name"`
	Verdict signer.Verdict `json:"verdict"`
	Reason  string         `json:"reason,omitempty"`
}

// InspectedCertificate is one certificate of the path from the signer to a trust
// anchor, or the signer's alone where there is none.
type InspectedCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Addresses []string  `json:"addresses,omitempty"`
}

// maxInspectedLayers is how deep Inspect looks.
const maxInspectedLayers = 32

// Inspect says what is in a message, layer by layer, whatever the policies are:
// it decrypts for the transaction's recipients and verifies against all trust
// anchors. author takes the place of the visible author, unless it is "". The
// error says what could not be read or asked; what is there has been found by
// then.
func (f *Filter) Inspect(ctx context.Context, tx *Transaction, author string) (*Inspection, error) {
	all := &policies.Policy{Name: "inspect", MaxLayers: maxInspectedLayers, OnKeysUnavailable: policies.Tempfail,
		Decrypt: &policies.Decrypt{Deliver: "plain", LegacyCiphers: true},
		Verify:  &policies.Verify{TrustAnchors: slices.Sorted(maps.Keys(f.Anchors)), Revocation: "check", Signers: smime.AllSigners}}
	g := &gateway{filter: f, policies: []*policies.Policy{all}, decrypt: all.Decrypt, verify: all.Verify, maxLayers: all.MaxLayers}
	p := &peeler{f: f, ctx: ctx, tx: tx, g: g, author: visibleFrom(tx.Header)}
	if author != "" {
		p.author = visibleAuthor{Address: author}
	}
	failed := p.run()
	found := p.signatures()
	i := &Inspection{Author: p.author.Address, AuthorReason: p.author.Reason, Layers: []InspectedLayer{},
		Verdict: found.verdict().Verdict, Reason: found.verdict().Reason, Structure: p.odd}
	if p.at.part != nil {
		i.Content = p.at.part.MediaType
	}
	for _, l := range p.layers {
		one, err := p.inspectLayer(l)
		if err != nil {
			return i, err
		}
		i.Layers = append(i.Layers, one)
	}
	var r *refusal
	if errors.As(failed, &r) && r.err != nil {
		failed = r.err
	}
	return i, failed
}

func (p *peeler) inspectLayer(l layer) (InspectedLayer, error) {
	one := InspectedLayer{Kind: l.kind, Part: l.at.path, Partial: l.partial}
	if d := l.decrypt; d != nil {
		one.Scheme = d.scheme
		one.Decryption = &InspectedDecryption{Verdict: d.verdict, Reason: d.reason, Cipher: d.cipher, Authenticated: d.authenticated, Key: d.key, Recipients: []string{}}
		if err := p.inspectRecipients(l, one.Decryption); err != nil {
			return one, err
		}
	}
	if l.kind == "compressed-data" {
		one.Scheme = string(keys.SMIME)
	}
	if len(l.signatures) == 0 {
		return one, nil
	}
	one.Scheme = l.signatures[0].Scheme
	certs, err := inspectCertificates(l)
	if err != nil {
		return one, err
	}
	for i := range l.signatures {
		s, err := p.inspectSignature(&l.signatures[i], certs)
		if err != nil {
			return one, err
		}
		one.Signatures = append(one.Signatures, s)
	}
	return one, nil
}

// inspectRecipients fills in what everybody can see of an encrypted layer. What
// can't be read is left out: the decryption has said so.
func (p *peeler) inspectRecipients(l layer, d *InspectedDecryption) error {
	part := l.at.part
	if part == nil {
		return nil
	}
	if isCMS(part) {
		o, err := smime.ReadOutline(part.Open(l.at.src))
		if err != nil {
			return nil // the same has been found before
		}
		d.Cipher = o.Cipher
		for _, r := range o.Recipients {
			text := r.Kind
			switch {
			case r.Serial != "":
				text += ", serial " + r.Serial + " of " + r.Issuer
			case r.KeyID != "":
				text += ", key " + r.KeyID
			}
			d.Recipients = append(d.Recipients, text)
		}
		if o.MoreRecipients > 0 {
			d.Recipients = append(d.Recipients, fmt.Sprintf("and %d more", o.MoreRecipients))
		}
		return nil
	}
	if !part.IsLeaf() {
		found, err := pgpmime.FindEncrypted(part, l.at.src)
		if err != nil {
			return fmt.Errorf("look for layers: %w", err)
		}
		if found == nil {
			return nil
		}
		part = found.Data
	}
	if ids, err := pgpmime.Recipients(part.Open(l.at.src)); err == nil {
		for _, id := range ids {
			d.Recipients = append(d.Recipients, "key "+id)
		}
	}
	return nil
}

// inspectCertificates are those that an S/MIME signature brings along.
func inspectCertificates(l layer) ([]*x509.Certificate, error) {
	part := l.at.part
	if part == nil || l.signatures[0].Scheme != string(keys.SMIME) {
		return nil, nil
	}
	if !part.IsLeaf() {
		if len(part.Parts) != 2 {
			return nil, nil
		}
		part = part.Parts[1]
	}
	certs, err := smime.Certificates(part.Open(l.at.src))
	if err != nil {
		return nil, nil // the same has been found before
	}
	return certs, nil
}

func (p *peeler) inspectSignature(s *signatureReport, certs []*x509.Certificate) (InspectedSignature, error) {
	one := InspectedSignature{Verdict: s.Result().Verdict, Signer: s.Identifier, Addresses: s.Addresses, Algorithm: s.Algorithm, Fingerprint: s.Fingerprint}
	if !s.SignedAt.IsZero() {
		one.SignedAt = &s.SignedAt
	}
	for _, f := range []InspectedFinding{
		{"integrity", s.Integrity.Verdict, s.Integrity.Reason}, {"certificate", s.Certificate.Verdict, s.Certificate.Reason},
		{"chain", s.Chain.Verdict, s.Chain.Reason}, {"revocation", s.Revocation.Verdict, s.Revocation.Reason},
		{"address", s.Address.Verdict, s.Address.Reason},
	} {
		if f.Verdict != "" {
			one.Findings = append(one.Findings, f)
		}
	}
	if s.X509 == nil {
		return one, nil
	}
	path := []*x509.Certificate{s.X509}
	validator, err := p.g.trust()
	if err != nil {
		return one, err
	}
	if found := validator.Validate(p.ctx, s.X509, certs, p.received(), ""); len(found.Path) > 0 {
		path = found.Path
	}
	for _, c := range path {
		one.Chain = append(one.Chain, InspectedCertificate{Subject: nameText(c.Subject), Issuer: nameText(c.Issuer), Serial: fmt.Sprintf("%x", c.SerialNumber),
			NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Addresses: c.EmailAddresses})
	}
	return one, nil
}

// nameText is a name as people read it: the most special attribute first.
func nameText(n pkix.Name) string {
	var parts []string
	for _, a := range slices.Backward(n.Names) {
		name := attributeName(a.Type)
		if a.Type.String() == "1.2.840.113549.1.9.1" {
			name = "E"
		}
		parts = append(parts, fmt.Sprintf("%s=%v", name, a.Value))
	}
	return strings.Join(parts, ", ")
}
