package milter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"waxseal/policies"
	"waxseal/signer"
)

// defaultMaxPlain bounds what a message is decrypted or decompressed to, in
// bytes, where nothing else is set.
const defaultMaxPlain = 256 << 20

// maxPlain bounds what a message may become.
func (f *Filter) maxPlain() int64 {
	if f.MaxPlain > 0 {
		return f.MaxPlain
	}
	return defaultMaxPlain
}

// incoming decrypts and verifies a message, layer by layer, reports what was
// found, and does what policy says about it. header has the reports taken out
// that the message came with.
func (f *Filter) incoming(ctx context.Context, tx *Transaction, g *gateway, header *rewrite) (*Outcome, error) {
	p := &peeler{f: f, ctx: ctx, tx: tx, g: g, author: visibleFrom(tx.Header)}
	out := &Outcome{Action: policies.Accept}
	if err := p.run(); err != nil {
		var r *refusal
		if !errors.As(err, &r) || r.action != policies.Accept {
			return nil, err
		}
		// The keys are away, and policy prefers the message as it came.
		p.plain, p.bare = nil, nil
		p.layers = append(p.layers, layer{decrypt: &decryption{verdict: signer.TempError, reason: "the keys can't be had at the moment"}})
		out.Log = append(out.Log, slog.String("cause", r.cause.Name), slog.String("error", r.Error()))
	}
	state, reason := p.signatureState()
	if hold := p.hold(state, reason); hold != nil {
		out.Action = hold.action
		if hold.action != policies.Quarantine {
			out := refused(tx, hold)
			out.Log = append(out.Log, p.log(state)...)
			return out, nil
		}
		out.Reply = hold.cause.Reply(tx.ID, hold.detail)
		out.Log = append(out.Log, slog.String("cause", hold.cause.Name))
	}
	if c := p.result(); c != nil {
		header.replaceContent(c.header)
		out.Body = c.body
	}
	if err := p.report(header, state); err != nil {
		return nil, err
	}
	if err := f.checkSize(header.header(), out.Body); err != nil {
		return nil, err
	}
	out.Edits = header.edits()
	out.Log = append(out.Log, p.log(state)...)
	return out, nil
}

// hold says why the message is not simply accepted, or is nil. No reply has a
// word of what was decrypted.
func (p *peeler) hold(state signatureState, reason string) *refusal {
	for _, l := range p.layers {
		if l.decrypt == nil || l.decrypt.verdict != signer.PermError {
			continue
		}
		action := p.g.strictest(func(one *policies.Policy) policies.Action { return one.OnDecryptError })
		if action != policies.Accept {
			return &refusal{action: action, cause: CauseDecrypt}
		}
	}
	if action := p.g.signatureAction(state); p.g.verify != nil && action != policies.Accept {
		cause := map[signatureState]Cause{
			stateUnsigned: CauseNoSignature, stateUntrusted: CauseUntrusted, stateBad: CauseBadSignature,
		}[state]
		var err error
		if reason != "" {
			err = errors.New(reason)
		}
		return &refusal{action: action, cause: cause, err: err}
	}
	return nil
}

// report prepends Authentication-Results and Waxseal-Result and tags the
// subject.
func (p *peeler) report(header *rewrite, state signatureState) error {
	if p.g.verify != nil {
		var all []signatureReport
		for _, l := range p.layers {
			all = append(all, l.signatures...)
		}
		field, err := authenticationResults(p.f.AuthservID, all)
		if err != nil {
			return err
		}
		header.insert(field)
	}
	parts := []string{p.f.AuthservID, "policy=" + p.policyNames()}
	for _, l := range p.layers {
		if l.decrypt != nil {
			parts = append(parts, "decrypt="+l.decrypt.words())
		}
	}
	if p.g.decrypt != nil && !strings.Contains(strings.Join(parts, ";"), "decrypt=") {
		parts = append(parts, "decrypt=none")
	}
	field, err := signer.NewField(ReportName, strings.Join(append(parts, "id="+p.tx.ID), "; "))
	if err != nil {
		return err
	}
	header.insert(field)
	p.tag(header, state)
	return nil
}

func (p *peeler) policyNames() string {
	var names []string
	for _, one := range p.g.policies {
		names = append(names, one.Name)
	}
	return strings.Join(names, ",")
}

// words is the outcome for the report: "pass (smime aes256-gcm authenticated
// alice@example.com)".
func (d *decryption) words() string {
	if d.verdict != signer.Pass {
		return fmt.Sprintf("%s (%s)", d.verdict, d.reason)
	}
	integrity := "not authenticated"
	if d.authenticated {
		integrity = "authenticated"
	}
	return fmt.Sprintf("pass (%s %s %s %s)", d.scheme, d.cipher, integrity, plainWords(d.key, maxComment))
}

// log is what the message's log line says.
func (p *peeler) log(state signatureState) []slog.Attr {
	var attrs []slog.Attr
	for _, l := range p.layers {
		if l.decrypt != nil {
			attrs = append(attrs, slog.String("decrypt", l.decrypt.words()))
		}
		for _, s := range l.signatures {
			result := s.Result()
			attrs = append(attrs, slog.String("verify", s.Scheme+" "+string(result.Verdict)), slog.String("reason", plainWords(result.Reason, maxComment)))
		}
	}
	if p.g.verify != nil && state == stateUnsigned {
		attrs = append(attrs, slog.String("verify", "none"))
	}
	if p.odd != "" {
		attrs = append(attrs, slog.String("odd", p.odd))
	}
	return attrs
}

// tag puts the policy's texts before the subject, after those that the message
// came with have been taken out: only we say what we found.
func (p *peeler) tag(header *rewrite, state signatureState) {
	var tags *policies.SubjectTag
	for _, one := range p.g.policies {
		if one.SubjectTag != nil {
			tags = one.SubjectTag
			break
		}
	}
	if tags == nil {
		return
	}
	var prefix []string
	if p.plain != nil && tags.Decrypted != "" {
		prefix = append(prefix, tags.Decrypted)
	}
	text := map[signatureState]string{stateGood: tags.Signed, stateUntrusted: tags.Untrusted, stateBad: tags.Bad}[state]
	if text != "" {
		prefix = append(prefix, text)
	}
	header.tagSubject(prefix, []string{tags.Decrypted, tags.Signed, tags.Untrusted, tags.Bad})
}
