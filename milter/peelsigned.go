package milter

import (
	"errors"
	"fmt"
	"io"
	"time"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// signedMultipart checks a multipart/signed (RFC 1847) and goes on with what is
// signed.
func (p *peeler) signedMultipart(e entity) (*entity, error) {
	if p.g.verify != nil {
		signatures, err := p.verifyMultipart(e)
		if err != nil {
			return nil, err
		}
		p.note(e, signatures, false)
	}
	if len(e.part.Parts) != 2 {
		return nil, nil
	}
	inside := &entity{src: e.src, part: e.part.Parts[0], path: subpath(e.path, 0)}
	p.bare = inside
	return inside, nil
}

// verifyMultipart checks the signature of a multipart/signed. What is wrong with
// its structure is a value too.
func (p *peeler) verifyMultipart(e entity) ([]signer.Verification, error) {
	bad := func(reason string) ([]signer.Verification, error) {
		return []signer.Verification{{Scheme: "smime", Integrity: signer.Finding{Verdict: signer.PermError, Reason: reason}}}, nil
	}
	switch {
	case e.part.Ambiguous() != "":
		return bad("the message " + e.part.Ambiguous())
	case len(e.part.Parts) != 2 || !e.part.Closed:
		return bad("a multipart/signed must have two parts and an end")
	}
	content, signature := e.part.Parts[0], e.part.Parts[1]
	covered := section{e.src, signer.Range{Start: content.Offset, End: content.BodyEnd}}
	var found []signer.Verification
	var err error
	switch signature.MediaType {
	case "application/pkcs7-signature", "application/x-pkcs7-signature":
		found, err = smime.Verify(p.ctx, covered, signature.Open(e.src), p.smimeOptions())
	case "application/pgp-signature":
		found, err = p.verifyPGP(covered, signature.Open(e.src))
	default:
		return bad("a multipart/signed of an unknown protocol")
	}
	if errors.Is(err, signer.ErrEncoding) {
		return bad("the signature is not in the encoding that it announces")
	}
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	outside, err := beside(e)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if outside != "" && found[i].Result().Verdict == signer.Pass {
			found[i].Integrity = signer.Finding{Verdict: signer.Neutral, Reason: outside}
		}
	}
	return found, nil
}

// maxSignature bounds a detached OpenPGP signature in bytes.
const maxSignature = 1 << 20

func (p *peeler) verifyPGP(covered section, signature io.Reader) ([]signer.Verification, error) {
	data, err := io.ReadAll(io.LimitReader(signature, maxSignature+1))
	if err != nil {
		return nil, err
	}
	held, err := p.authorCertificates()
	if err != nil {
		return nil, err
	}
	content := io.NewSectionReader(covered.src, covered.at.Start, covered.at.Len())
	return pgpmime.Verify(content, data, held, p.pgpOptions())
}

// authorCertificates are the OpenPGP certificates that we hold for the visible
// author.
func (p *peeler) authorCertificates() ([]*pgpmime.Certificate, error) {
	if p.author.Address == "" {
		return nil, nil
	}
	c, err := keys.FindCertificate(p.ctx, p.f.Keys, keys.PGP, p.author.Address)
	switch {
	case errors.Is(err, keys.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, p.g.unavailable(err)
	}
	parsed, err := p.f.Keyring.Certificate(c.Name, c.OpenPGP)
	if err != nil {
		return nil, p.g.unavailable(err)
	}
	return []*pgpmime.Certificate{parsed}, nil
}

func (p *peeler) pgpOptions() pgpmime.VerifyOptions {
	return pgpmime.VerifyOptions{Address: p.author.Address, Time: p.received(), MaxSize: p.f.maxPlain()}
}

func (p *peeler) smimeOptions() smime.VerifyOptions {
	return smime.VerifyOptions{At: p.received(), Address: p.author.Address, Trust: p.g.trust}
}

// received is when the message was: certificates are judged as of then.
func (p *peeler) received() time.Time { return p.f.now() }

// signedOpaque checks signed-data with the content inside (RFC 8551, Section
// 3.5.2) and goes on with that.
func (p *peeler) signedOpaque(e entity) (*entity, error) {
	inside := p.tx.NewSpool()
	options := p.smimeOptions()
	found, err := smime.VerifyOpaque(p.ctx, inside, e.part.Open(e.src), options)
	switch {
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case err != nil:
		return nil, fmt.Errorf("verify: %w", err)
	}
	if p.g.verify != nil {
		p.note(e, found, false)
	}
	next, err := p.parse(inside)
	if next != nil {
		p.bare = next
	}
	return next, err
}

// clearSigned checks a text with an OpenPGP signature around it (RFC 9580,
// Section 7).
func (p *peeler) clearSigned(e entity) error {
	if p.g.verify == nil {
		return nil
	}
	held, err := p.authorCertificates()
	if err != nil {
		return err
	}
	text := p.tx.NewSpool()
	bad := func(reason string) error {
		p.note(e, []signer.Verification{{Scheme: "pgp", Integrity: signer.Finding{Verdict: signer.PermError, Reason: reason}}}, false)
		return nil
	}
	switch _, err := io.Copy(text, e.part.Open(e.src)); {
	case errors.Is(err, signer.ErrEncoding):
		return bad("the text is not in the encoding that it announces")
	case errors.Is(err, ErrSpoolFull):
		return tempfail(CauseSpool, err)
	case err != nil:
		return fmt.Errorf("verify: %w", err)
	}
	found, err := pgpmime.VerifyClearsigned(io.Discard, text, held, p.pgpOptions())
	if errors.Is(err, pgpmime.ErrMalformed) || errors.Is(err, pgpmime.ErrTooLarge) {
		return bad("the clear-signed text is malformed")
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	p.note(e, found.Signatures, false)
	return nil
}
