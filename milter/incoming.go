package milter

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/smime"
)

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
		p.asItCame(signer.TempError, "the keys can't be had at the moment")
		out.Log = append(out.Log, slog.String("cause", r.cause.Name), slog.String("error", r.Error()))
	}
	content, err := p.result()
	if err != nil {
		return nil, err
	}
	if content != nil && f.checkSize(append(header.header(), content.Header...), content.Body) != nil {
		// To refuse it would tell the client that we have the key.
		p.asItCame(signer.PermError, reasonTooLarge)
		content = nil
	}
	found := p.signatures()
	if hold := p.hold(found); hold != nil {
		if hold.action != policies.Quarantine {
			out := refused(tx, hold)
			out.Log = append(out.Log, p.log(found)...)
			return out, nil
		}
		out.Action = hold.action
		out.Reply = hold.cause.Reply(tx.ID, hold.detail)
		out.Log = append(out.Log, slog.String("cause", hold.cause.Name))
	}
	if content != nil {
		header.replaceContent(content.Header)
		out.Body = content.Body
		out.NoReturn = p.delivered
	}
	if err := p.report(header, found); err != nil {
		return nil, err
	}
	out.Edits = header.edits()
	out.Log = append(out.Log, p.log(found)...)
	return out, nil
}

// signatureState is what the signatures of a message come to, the best first.
type signatureState int

const (
	stateUnsigned signatureState = iota
	stateGood
	stateUntrusted
	stateBad
)

// finding is what the signatures of all layers come to.
type finding struct {
	state signatureState
	// report is the signature that decides; nil without one.
	report *signatureReport
}

// verdict is the word for the message as a whole.
func (f finding) verdict() signer.Finding {
	if f.report == nil {
		return signer.Finding{Verdict: signer.None}
	}
	return f.report.Result()
}

// signatures sorts what was found for the policy's actions: the worst layer
// counts. Signatures over a part of the message do not make it a signed one.
func (p *peeler) signatures() finding {
	var all finding
	for _, l := range p.layers {
		if l.partial || len(l.signatures) == 0 {
			continue
		}
		one := layerState(l.signatures, p.g.verify.Signers)
		if all.report == nil || one.state > all.state {
			all = one
		}
	}
	return all
}

func layerState(signatures []signatureReport, signers string) finding {
	var found []signer.Verification
	for i := range signatures {
		found = append(found, signatures[i].Verification)
	}
	if signers == smime.AnySigner {
		v := smime.Decisive(found, signers)
		i := slices.IndexFunc(signatures, func(s signatureReport) bool { return s.Result() == v.Result() })
		return finding{stateOf(v), &signatures[i]}
	}
	worst := finding{stateOf(&found[0]), &signatures[0]}
	for i := range found {
		if state := stateOf(&found[i]); state > worst.state {
			worst = finding{state, &signatures[i]}
		}
	}
	return worst
}

func stateOf(v *signer.Verification) signatureState {
	switch integrity := v.Integrity.Verdict; {
	case v.Result().Verdict == signer.Pass:
		return stateGood
	case integrity == signer.Fail || integrity == signer.PermError:
		return stateBad
	case integrity == signer.None:
		return stateUnsigned
	}
	return stateUntrusted
}

// hold says why the message is not simply accepted, or is nil. No reply has a
// word of what was decrypted.
func (p *peeler) hold(found finding) *refusal {
	broken := slices.ContainsFunc(p.layers, func(l layer) bool { return l.decrypt != nil && l.decrypt.verdict == signer.PermError })
	counts := func(one *policies.Policy) map[policies.Action]Cause {
		all := map[policies.Action]Cause{}
		if one.Verify != nil {
			switch found.state {
			case stateBad:
				all[one.OnBadSignature] = CauseBadSignature
			case stateUntrusted:
				all[one.OnUntrusted] = CauseUntrusted
			case stateUnsigned:
				all[one.OnNoSignature] = CauseNoSignature
			}
		}
		if one.Decrypt != nil && broken {
			all[one.OnDecryptError] = CauseDecrypt
		}
		return all
	}
	causes := map[policies.Action]Cause{}
	action := p.g.strictest(func(one *policies.Policy) policies.Action {
		all := counts(one)
		for _, a := range []policies.Action{policies.Reject, policies.Tempfail, policies.Discard, policies.Quarantine} {
			if cause, ok := all[a]; ok {
				causes[a] = cause
				return a
			}
		}
		return policies.Accept
	})
	if action == policies.Accept {
		return nil
	}
	return &refusal{action: action, cause: causes[action]}
}
