package milter

import (
	"fmt"
	"log/slog"
	"strings"

	"waxseal/policies"
	"waxseal/signer"
)

// report prepends Authentication-Results and Waxseal-Result and tags the
// subject.
func (p *peeler) report(header *rewrite, found finding) error {
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
	decrypts := false
	for _, l := range p.layers {
		if l.decrypt != nil {
			parts = append(parts, "decrypt="+l.decrypt.words())
			decrypts = true
		}
	}
	if p.g.decrypt != nil && !decrypts {
		parts = append(parts, "decrypt=none")
	}
	if p.g.verify != nil {
		parts = append(parts, "verify="+found.words())
	}
	if p.odd != "" {
		parts = append(parts, "structure="+string(signer.PermError)+" ("+plainWords(p.odd, maxReason)+")")
	}
	field, err := signer.NewField(ReportName, strings.Join(append(parts, "id="+p.tx.ID), "; "))
	if err != nil {
		return err
	}
	header.insert(field)
	p.tag(header, found.state)
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
		text := d.reason
		if d.scheme != "" {
			text = d.scheme + ": " + text
		}
		return fmt.Sprintf("%s (%s)", d.verdict, text)
	}
	integrity := "not authenticated"
	if d.authenticated {
		integrity = "authenticated"
	}
	return fmt.Sprintf("pass (%s %s %s %s)", d.scheme, d.cipher, integrity, plainWords(d.key, maxReason))
}

// words is what all signatures come to, in the form of decryption.words: "pass
// (smime rsa2048-sha256 bob@example.org)", "fail (smime integrity fail: ...)".
func (f finding) words() string {
	if f.report == nil {
		return string(signer.None)
	}
	verdict := f.verdict()
	text := f.report.Scheme + " " + plainWords(verdict.Reason, maxReason)
	if verdict.Verdict == signer.Pass {
		text = f.report.Scheme + " " + f.report.Algorithm + " " + f.report.signer()
	}
	return fmt.Sprintf("%s (%s)", verdict.Verdict, plainWords(text, maxComment))
}

// log is what the message's log line says: at most maxReported signatures.
func (p *peeler) log(found finding) []slog.Attr {
	var attrs []slog.Attr
	signatures := 0
	for _, l := range p.layers {
		if l.decrypt != nil {
			attrs = append(attrs, slog.String("decrypt", l.decrypt.words()))
		}
		for i := range l.signatures {
			s := &l.signatures[i]
			if signatures++; signatures > maxReported {
				continue
			}
			result := s.Result()
			attrs = append(attrs, slog.String("signature", s.Scheme+" "+string(result.Verdict)+" "+s.signer()))
			if result.Reason != "" {
				attrs = append(attrs, slog.String("reason", plainWords(result.Reason, maxComment)))
			}
		}
	}
	if signatures > maxReported {
		attrs = append(attrs, slog.Int("signatures", signatures))
	}
	if p.g.verify != nil {
		attrs = append(attrs, slog.String("verify", string(found.verdict().Verdict)))
	}
	if p.odd != "" {
		attrs = append(attrs, slog.String("structure", plainWords(p.odd, maxComment)))
	}
	return attrs
}

// tag puts the policy's texts before the subject, after those that the message
// came with have been taken out: only we say what we found.
func (p *peeler) tag(header *rewrite, state signatureState) {
	var tags *policies.SubjectTag
	var ours []string
	for _, one := range p.g.policies {
		if t := one.SubjectTag; t != nil {
			ours = append(ours, t.Decrypted, t.Signed, t.Untrusted, t.Bad)
			if tags == nil {
				tags = t
			}
		}
	}
	if tags == nil {
		return
	}
	var prefix []string
	if p.delivered && tags.Decrypted != "" {
		prefix = append(prefix, tags.Decrypted)
	}
	text := map[signatureState]string{stateGood: tags.Signed, stateUntrusted: tags.Untrusted, stateBad: tags.Bad}[state]
	if text != "" {
		prefix = append(prefix, text)
	}
	header.tagSubject(prefix, ours)
}
