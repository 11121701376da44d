package milter

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// signedMultipart checks a multipart/signed (RFC 1847) and goes on with what is
// signed.
func (p *peeler) signedMultipart(e entity) (*entity, error) {
	var signatures []signer.Verification
	var err error
	if p.g.verify != nil {
		if signatures, err = p.verifyMultipart(e); err != nil {
			return nil, err
		}
	}
	var inside *entity
	if len(e.part.Parts) == 2 {
		inside = &entity{src: e.src, part: e.part.Parts[0], path: subpath(e.path, 0)}
	}
	p.uncover(e, signatures, inside)
	return inside, nil
}

// uncover records the signatures of a layer that is the whole of what is left
// of the message, and what is inside; nil if there is nothing to go on with.
func (p *peeler) uncover(e entity, signatures []signer.Verification, inside *entity) {
	p.covered = true
	intact := func(v signer.Verification) bool { return v.Integrity.Verdict == signer.Pass }
	if p.g.verify != nil {
		if inside != nil {
			p.compareAuthor(signatures, inside.part.Header)
		}
		p.note(e, signatures, "")
	}
	p.sealed = p.sealed && inside != nil && len(signatures) > 0 && !slices.ContainsFunc(signatures, func(v signer.Verification) bool { return !intact(v) })
	if p.sealed {
		p.bare = inside
	}
}

// compareAuthor looks at a From field that is signed, as programs write it that
// protect the header: where it names somebody else than the visible one, the
// visible one was put there later.
func (p *peeler) compareAuthor(signatures []signer.Verification, signed signer.Header) {
	if len(fieldsLike(signed, "From")) == 0 || sameAddress(visibleFrom(signed).Address, p.author.Address) {
		return
	}
	for i := range signatures {
		if signatures[i].Address.Verdict != signer.Fail {
			signatures[i].Address = signer.Finding{Verdict: signer.Neutral, Reason: "the signed header names another author"}
		}
	}
}

// verifyMultipart checks the signature of a multipart/signed. What is wrong with
// its structure is a value too.
func (p *peeler) verifyMultipart(e entity) ([]signer.Verification, error) {
	scheme := string(keys.SMIME)
	bad := func(reason string) ([]signer.Verification, error) {
		return []signer.Verification{{Scheme: scheme, Integrity: signer.Finding{Verdict: signer.PermError, Reason: reason}}}, nil
	}
	protocol := strings.ToLower(e.part.Params["protocol"])
	if protocol == "application/pgp-signature" {
		scheme = string(keys.PGP)
	}
	switch {
	case e.part.Ambiguous() != "":
		return bad("the message " + e.part.Ambiguous())
	case len(e.part.Parts) != 2 || !e.part.Closed:
		return bad("a multipart/signed must have two parts and an end")
	}
	content, signature := e.part.Parts[0], e.part.Parts[1]
	if protocol != "" && strings.Replace(protocol, "/x-", "/", 1) != strings.Replace(signature.MediaType, "/x-", "/", 1) {
		return bad("the signature is not of the protocol that the multipart/signed announces")
	}
	covered := section{e.src, signer.Range{Start: content.Offset, End: content.BodyEnd}}
	var found []signer.Verification
	var err error
	switch signature.MediaType {
	case "application/pkcs7-signature", "application/x-pkcs7-signature":
		var options smime.VerifyOptions
		if options, err = p.smimeOptions(); err == nil {
			found, err = smime.Verify(p.ctx, covered, signature.Open(e.src), options)
		}
	case "application/pgp-signature":
		scheme = string(keys.PGP)
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
		if outside != "" && found[i].Integrity.Verdict == signer.Pass {
			found[i].Integrity = signer.Finding{Verdict: signer.Neutral, Reason: outside}
		}
	}
	return found, nil
}

// What may stand in a preamble: mail programs write that this is a
// cryptographically signed message in MIME format.
const (
	maxBeside      = 256 // bytes
	maxBesideWords = 40
)

// beside says what stands in a multipart/signed outside of what is signed, for
// mail programs to show as if it were.
func beside(e entity) (string, error) {
	for _, r := range []signer.Range{e.part.Preamble, e.part.Epilogue} {
		text, err := io.ReadAll(io.NewSectionReader(e.src, r.Start, min(r.Len(), maxBeside)))
		if err != nil {
			return "", fmt.Errorf("look beside the signature: %w", err)
		}
		if r.Len() > maxBeside || len(strings.Fields(string(text))) > maxBesideWords || strings.ContainsRune(string(text), '<') {
			return "there is text beside the signed part", nil
		}
	}
	return "", nil
}

// signedOpaque checks signed-data with the content inside (RFC 8551, Section
// 3.5.2) and goes on with that.
func (p *peeler) signedOpaque(e entity) (*entity, error) {
	options, err := p.smimeOptions()
	if err != nil {
		return nil, err
	}
	inside := p.newLayer()
	found, err := smime.VerifyOpaque(p.ctx, inside, e.part.Open(e.src), options)
	broken := func(reason string) { // and there is nothing to go on with
		p.uncover(e, []signer.Verification{{Scheme: string(keys.SMIME), Integrity: signer.Finding{Verdict: signer.PermError, Reason: reason}}}, nil)
	}
	switch {
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case errors.Is(err, errTooMuch):
		broken(errTooMuch.Error())
		return nil, nil
	case errors.Is(err, signer.ErrEncoding):
		broken("the signature is not in the encoding that it announces")
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("verify: %w", err)
	}
	if e.part.Ambiguous() != "" {
		broken("the message " + e.part.Ambiguous())
		return nil, nil
	}
	var next *entity
	if inside.Size() > 0 && !slices.ContainsFunc(found, func(v signer.Verification) bool { return v.Integrity.Verdict == signer.PermError }) {
		if next, err = p.parse(inside); err != nil {
			return nil, err
		}
	}
	p.uncover(e, found, next)
	return next, nil
}

// maxSignature bounds a detached OpenPGP signature in bytes.
const maxSignature = 1 << 20

func (p *peeler) verifyPGP(covered section, signature io.Reader) ([]signer.Verification, error) {
	data, err := io.ReadAll(io.LimitReader(signature, maxSignature+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSignature {
		return []signer.Verification{{Scheme: string(keys.PGP), Integrity: signer.Finding{Verdict: signer.PermError, Reason: "the signature is too large"}}}, nil
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
	return pgpmime.VerifyOptions{Address: p.author.Address, Time: p.received(), MaxSize: max(p.room(), 1)}
}

func (p *peeler) smimeOptions() (smime.VerifyOptions, error) {
	validator, err := p.g.trust()
	return smime.VerifyOptions{At: p.received(), Address: p.author.Address, Trust: validator, Certificates: p.authorX509}, err
}

// authorX509 are the S/MIME certificates that we hold for the visible author.
func (p *peeler) authorX509(ctx context.Context) ([]*x509.Certificate, error) {
	if p.author.Address == "" {
		return nil, nil
	}
	c, err := keys.FindCertificate(ctx, p.f.Keys, keys.SMIME, p.author.Address)
	switch {
	case errors.Is(err, keys.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, p.g.unavailable(err)
	}
	return c.X509, nil
}

// received is when the message was: certificates are judged as of then.
func (p *peeler) received() time.Time { return p.f.now() }
