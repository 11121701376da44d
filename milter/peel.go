package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"waxseal/signer"
	"waxseal/signer/pgpmime"
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

// Size is the number of bytes that WriteTo writes.
func (s section) Size() int64 { return s.at.Len() }

// WriteTo writes the bytes as they are.
func (s section) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{io.NewSectionReader(s.src, s.at.Start, s.at.Len())}, make([]byte, 64<<10))
}

// layer is what one layer of a message was found to be.
type layer struct {
	// kind names its structure, at is where it stands.
	kind string
	at   entity
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
	// Policy for what we could decrypt and don't, PermError for what is broken.
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
	// at is the entity that is looked at.
	at entity
	// spooled is how many bytes all layers together have come to.
	spooled int64
	// plain is what was inside the innermost encryption or compression; nil if
	// the message is delivered as it came.
	plain *entity
	// signed is plain with its signatures, where these were encrypted together
	// with it; nil where they are in it or there are none.
	signed *signer.Entity
	// bare is what was inside the signatures after that, as far as they are
	// intact; nil without any.
	bare *entity
	// covered says that there has been a signature since plain, sealed that all
	// of these are intact.
	covered, sealed bool
	// delivered says that the mailbox gets what was decrypted.
	delivered bool
	// odd is what is wrong with the message's structure, in words.
	odd string
}

// run peels. An error is a refusal, or one of the transaction's own spools.
func (p *peeler) run() error {
	p.sealed = true
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
	// One more look tells a text from a further layer.
	if isLayer(here.part) {
		p.odd = "more than " + strconv.Itoa(p.g.maxLayers) + " layers"
	}
	return nil
}

// peel takes one layer off and returns what is inside, or nil where there is
// nothing more to look at.
func (p *peeler) peel(e entity) (*entity, error) {
	p.at = e
	kind := e.part.MediaType
	switch {
	case kind == "multipart/signed":
		return p.signedMultipart(e)
	case kind == "multipart/encrypted" || kind == "multipart/mixed":
		found, err := pgpmime.FindEncrypted(e.part, e.src)
		if err != nil {
			return nil, fmt.Errorf("look for layers: %w", err)
		}
		if found != nil {
			return p.decryptPGP(e, found.Data)
		}
		return nil, p.company(e)
	case e.part.IsMultipart():
		return nil, p.company(e)
	case kind == "text/plain":
		return p.text(e)
	case isCMS(e.part):
		return p.cms(e)
	}
	return nil, nil
}

// isLayer reports whether a part looks like one more layer.
func isLayer(part *signer.Part) bool {
	return part.MediaType == "multipart/signed" || part.MediaType == "multipart/encrypted" || isCMS(part)
}

// isCMS reports whether programs take a part for S/MIME (RFC 8551, Section 3.9).
func isCMS(part *signer.Part) bool {
	switch part.MediaType {
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return true
	case "application/octet-stream":
		names := []string{part.Params["name"]}
		for _, f := range part.Header.Fields("Content-Disposition") {
			_, params := signer.ParseContentType("x/" + f.Value())
			names = append(names, params["filename"])
		}
		for _, name := range names {
			switch strings.ToLower(path.Ext(strings.TrimSpace(name))) {
			case ".p7m", ".p7z":
				return true
			}
		}
	}
	return false
}

// cms looks into a CMS structure, whatever its smime-type says.
func (p *peeler) cms(e entity) (*entity, error) {
	kind, err := smime.ContentType(e.part.Open(e.src))
	switch {
	case errors.Is(err, signer.ErrEncoding):
		p.odd = "an S/MIME part is not in the transfer encoding that it announces"
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for layers: %w", err)
	}
	switch kind {
	case "enveloped-data", "auth-enveloped-data":
		return p.decryptSMIME(e)
	case "signed-data":
		return p.signedOpaque(e)
	case "compressed-data":
		return p.compressed(e)
	}
	p.odd = "what announces S/MIME is none"
	return nil, nil
}

// compressed undoes RFC 8551, Section 3.6. The mailbox gets what was inside,
// unless a signature covers the compressed form: few mail programs can read it.
func (p *peeler) compressed(e entity) (*entity, error) {
	inside := p.newLayer()
	switch kind, err := smime.Decompress(inside, e.part.Open(e.src), inside.room()); {
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case inside.err != nil:
		return nil, fmt.Errorf("decompress: %w", inside.err)
	case err != nil || kind != "data":
		p.odd = "compressed data that can't be read, or are too large"
		return nil, nil
	}
	p.layers = append(p.layers, layer{kind: "compressed-data", at: e})
	next, err := p.parse(inside)
	if next != nil && !p.covered && p.g.decrypt != nil {
		p.plain = next
	}
	return next, err
}

// parse makes an entity of what was inside a layer: a MIME entity with its own
// header.
func (p *peeler) parse(inside *layerSpool) (*entity, error) {
	text, err := inside.asMail()
	if err != nil {
		return nil, err
	}
	wrapper := signer.Header{{Name: "Content-Type", Raw: []byte("Content-Type: message/rfc822\r\n")}}
	root, err := signer.Slice(wrapper, text)
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
	return &entity{src: text, part: root.Parts[0]}, nil
}

// note records the signatures of a layer. What covers a part of the message
// only does not pass, whatever the signature is; beside says what is not covered.
func (p *peeler) note(e entity, signatures []signer.Verification, beside string) {
	l := layer{kind: signedKind(e.part), at: e, partial: beside != ""}
	for _, v := range signatures {
		if v.Integrity.Verdict == signer.None {
			continue // nobody has signed
		}
		if l.partial && v.Integrity.Verdict == signer.Pass {
			v.Integrity = signer.Finding{Verdict: signer.Neutral, Reason: beside}
		}
		if p.author.Reason != "" && v.Address.Verdict != signer.Fail {
			v.Address = signer.Finding{Verdict: signer.Neutral, Reason: p.author.Reason}
		}
		l.signatures = append(l.signatures, signatureReport{Verification: v, Part: e.path, Author: p.author.Address})
	}
	if len(l.signatures) > 0 {
		p.layers = append(p.layers, l)
	}
}

// signedKind names a signed structure; part is nil for the inside of an OpenPGP
// message.
func signedKind(part *signer.Part) string {
	switch {
	case part == nil:
		return "OpenPGP message"
	case part.MediaType == "multipart/signed":
		return "multipart/signed"
	case isCMS(part):
		return "signed-data"
	}
	return "OpenPGP text"
}

// asItCame gives up what was found inside: the message is delivered as it came.
func (p *peeler) asItCame(verdict signer.Verdict, reason string) {
	p.plain, p.signed, p.bare, p.delivered = nil, nil, nil, false
	said := false
	for _, l := range p.layers {
		if l.decrypt != nil && l.decrypt.verdict == signer.Pass {
			l.decrypt.verdict, l.decrypt.reason = verdict, reason
			said = true
		}
	}
	if !said {
		p.layers = append(p.layers, layer{kind: "encrypted", at: p.at, decrypt: &decryption{verdict: verdict, reason: reason}})
	}
}

func subpath(path string, i int) string {
	if path == "" {
		return strconv.Itoa(i + 1)
	}
	return path + "." + strconv.Itoa(i+1)
}
