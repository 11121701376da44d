package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/smime"
)

// entity is a MIME entity somewhere in a message: a part, and the bytes that
// its offsets count in.
type entity struct {
	src  signer.Source
	part *signer.Part
	// path numbers the part as IMAP does, "" for a whole message.
	path string
}

// body is the entity's body as it stands.
func (e entity) body() section {
	return section{e.src, signer.Range{Start: e.part.BodyStart, End: e.part.BodyEnd}}
}

// message is the entity as a message of its own.
func (e entity) message() *signer.Message {
	b := e.body()
	return &signer.Message{Header: e.part.Header, Body: io.NewSectionReader(b.src, b.at.Start, b.at.Len())}
}

// section is a run of a Source, as Content.
type section struct {
	src signer.Source
	at  signer.Range
}

func (s section) Size() int64 { return s.at.Len() }

func (s section) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{io.NewSectionReader(s.src, s.at.Start, s.at.Len())}, make([]byte, 64<<10))
}

// layer is what one layer of a message was found to be.
type layer struct {
	// decrypt is set for a layer of encryption.
	decrypt *decryption
	// signatures is what was found about the signatures of the layer.
	signatures []signatureReport
	// partial says that the signatures cover a part of the message only.
	partial bool
}

// decryption is the outcome of a layer of encryption.
type decryption struct {
	scheme string
	// verdict is Pass for what was decrypted, None for what is for others,
	// PermError for what is broken.
	verdict       signer.Verdict
	cipher, key   string
	authenticated bool
	reason        string
}

// peeler takes the layers of one message off, from the outside in.
type peeler struct {
	f      *Filter
	ctx    context.Context
	tx     *Transaction
	g      *gateway
	author visibleAuthor

	layers []layer
	// plain is what was inside the innermost encryption; nil if nothing was
	// decrypted.
	plain *entity
	// bare is what was inside the innermost signature after that.
	bare *entity
	// odd is what is wrong with the message's structure, in words.
	odd string
}

// run peels. An error is a refusal, or one of the transaction's own spools.
func (p *peeler) run() error {
	root, err := signer.Slice(p.tx.Header, p.tx.Body)
	var limit *signer.LimitError
	switch {
	case errors.As(err, &limit):
		p.odd = limit.Error()
		return nil
	case err != nil:
		return fmt.Errorf("look for layers: %w", err)
	}
	here := &entity{src: p.tx.Body, part: root}
	for range p.g.maxLayers {
		if here, err = p.peel(*here); err != nil || here == nil {
			return err
		}
	}
	p.odd = "more than " + strconv.Itoa(p.g.maxLayers) + " layers"
	return nil
}

// peel takes one layer off and returns what is inside, or nil where there is
// nothing more to look at.
func (p *peeler) peel(e entity) (*entity, error) {
	found, err := signer.Inspect(e.message())
	if err != nil {
		return nil, fmt.Errorf("look for layers: %w", err)
	}
	if found.Why != "" {
		p.odd = found.Why
	}
	switch kind := e.part.MediaType; {
	case kind == "multipart/signed":
		return p.signedMultipart(e)
	case found.Encrypted && found.Scheme == "smime":
		return p.decryptSMIME(e)
	case found.Encrypted:
		return p.decryptPGP(e, found.Kind)
	case found.Signed && found.Scheme == "smime":
		return p.signedOpaque(e)
	case found.Signed:
		return nil, p.clearSigned(e)
	case kind == "application/pkcs7-mime" || kind == "application/x-pkcs7-mime":
		return p.compressed(e)
	case kind == "multipart/mixed":
		return nil, p.signedParts(e)
	}
	return nil, nil
}

// parse makes an entity of what was inside a layer: a MIME entity with its own
// header.
func (p *peeler) parse(inside *Spool) (*entity, error) {
	wrapper := signer.Header{{Name: "Content-Type", Raw: []byte("Content-Type: message/rfc822\r\n")}}
	root, err := signer.Slice(wrapper, inside)
	var limit *signer.LimitError
	switch {
	case errors.As(err, &limit):
		p.odd = limit.Error()
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look into a layer: %w", err)
	case len(root.Parts) != 1:
		p.odd = "what is inside a layer is no MIME entity"
		return nil, nil
	}
	return &entity{src: inside, part: root.Parts[0]}, nil
}

// compressed undoes RFC 8551, Section 3.6.
func (p *peeler) compressed(e entity) (*entity, error) {
	kind, err := smime.ContentType(e.part.Open(e.src))
	if err != nil && !errors.Is(err, signer.ErrEncoding) {
		return nil, fmt.Errorf("look for layers: %w", err)
	}
	if kind != "compressed-data" {
		return nil, nil
	}
	inside := p.tx.NewSpool()
	if _, err := smime.Decompress(inside, e.part.Open(e.src), p.f.maxPlain()); err != nil {
		if errors.Is(err, ErrSpoolFull) {
			return nil, tempfail(CauseSpool, err)
		}
		p.odd = "compressed data that can't be read"
		return nil, nil
	}
	return p.parse(inside)
}

// signedParts looks for signed parts in a multipart, as mailing lists leave
// them when they add a footer. They say nothing about the message as a whole.
func (p *peeler) signedParts(e entity) error {
	for i, part := range e.part.Parts {
		if part.MediaType != "multipart/signed" || p.g.verify == nil {
			continue
		}
		one := entity{src: e.src, part: part, path: subpath(e.path, i)}
		signatures, err := p.verifyMultipart(one)
		if err != nil {
			return err
		}
		p.note(one, signatures, true)
	}
	return nil
}

func subpath(path string, i int) string {
	if path == "" {
		return strconv.Itoa(i + 1)
	}
	return path + "." + strconv.Itoa(i+1)
}

// note records the signatures of a layer. What is only a part of the message,
// or has something beside it, does not pass, whatever the signature is.
func (p *peeler) note(e entity, signatures []signer.Verification, partial bool) {
	l := layer{partial: partial}
	for _, v := range signatures {
		if partial && v.Result().Verdict == signer.Pass {
			v.Integrity = signer.Finding{Verdict: signer.Neutral, Reason: "the signature covers part " + e.path + " of the message only"}
		}
		if p.author.Reason != "" && v.Address.Verdict != signer.Fail {
			v.Address = signer.Finding{Verdict: signer.Neutral, Reason: p.author.Reason}
		}
		if p.g.verify.Revocation == "require" && v.X509 != nil && v.Revocation.Verdict != signer.Pass && v.Revocation.Verdict != signer.Fail {
			v.Revocation.Verdict = signer.TempError
		}
		l.signatures = append(l.signatures, signatureReport{Verification: v, Part: e.path, Author: p.author.Address})
	}
	p.layers = append(p.layers, l)
}

// beside says what stands in a multipart/signed outside of what is signed, for
// mail programs to show as if it were.
func beside(e entity) (string, error) {
	for _, r := range []signer.Range{e.part.Preamble, e.part.Epilogue} {
		text, err := io.ReadAll(io.NewSectionReader(e.src, r.Start, min(r.Len(), maxBeside)))
		if err != nil {
			return "", fmt.Errorf("look beside the signature: %w", err)
		}
		if r.Len() > maxBeside || len(strings.Fields(string(text))) > maxBesideWords {
			return "there is text beside the signed part", nil
		}
	}
	return "", nil
}

// What may stand in a preamble: mail programs write that this is a
// cryptographically signed message in MIME format.
const (
	maxBeside      = 256 // bytes
	maxBesideWords = 40
)

// content is what is delivered: the header fields that describe it, and it.
type content struct {
	header signer.Header
	body   signer.Content
}

// result is what the mailbox gets in the place of the message's body, or nil
// where that stays.
func (p *peeler) result() *content {
	if p.plain == nil || p.g.decrypt == nil || p.g.decrypt.Deliver == "keep" {
		if p.g.verify == nil || !p.g.verify.StripSignature || p.bare == nil {
			return nil
		}
	}
	e := p.plain
	if p.bare != nil && p.g.verify != nil && p.g.verify.StripSignature {
		e = p.bare
	}
	return &content{header: e.part.Header, body: e.body()}
}

// badSignature, untrusted and unsigned sort what was found for the policy's
// actions. Signatures over a part of the message do not make it a signed one.
func (p *peeler) signatureState() (state signatureState, reason string) {
	state = stateUnsigned
	any := p.g.verify != nil && p.g.verify.Signers == smime.AnySigner
	for _, l := range p.layers {
		if l.partial {
			continue
		}
		best, worst, why := stateUnsigned, stateUnsigned, ""
		for i := range l.signatures {
			s, r := stateOf(&l.signatures[i])
			if best == stateUnsigned || s < best {
				best = s
			}
			if s > worst {
				worst, why = s, r
			}
		}
		if any {
			worst = best
		}
		if worst > state {
			state, reason = worst, why
		}
	}
	return state, reason
}

// signatureState is what the signatures of a message come to, the best first.
type signatureState int

const (
	stateUnsigned signatureState = iota
	stateGood
	stateUntrusted
	stateBad
)

func stateOf(s *signatureReport) (signatureState, string) {
	result := s.Result()
	switch {
	case result.Verdict == signer.Pass:
		return stateGood, ""
	case s.Integrity.Verdict == signer.Fail || s.Integrity.Verdict == signer.PermError:
		return stateBad, s.Integrity.Reason
	case s.Integrity.Verdict == signer.None:
		return stateUnsigned, s.Integrity.Reason
	}
	return stateUntrusted, result.Reason
}

// action is what the policies want for that state.
func (g *gateway) signatureAction(state signatureState) policies.Action {
	return g.strictest(func(p *policies.Policy) policies.Action {
		switch {
		case p.Verify == nil || state == stateGood:
			return policies.Accept
		case state == stateBad:
			return p.OnBadSignature
		case state == stateUntrusted:
			return p.OnUntrusted
		}
		return p.OnNoSignature
	})
}
