package milter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
)

// reasonBesideText is said of a signature in a text that has more around it.
const reasonBesideText = "there is text beside the signed text"

// text looks for OpenPGP as it was written before PGP/MIME: in the text itself.
// Only a message that is nothing else counts.
func (p *peeler) text(e entity) (*entity, error) {
	found, err := signer.Inspect(e.message())
	if err != nil {
		return nil, fmt.Errorf("look for layers: %w", err)
	}
	if found.Encrypted {
		return p.decryptPGP(e, e.part)
	}
	if !found.Signed && found.Why == "" {
		armored, err := mentionsArmor(e)
		if err != nil || !armored {
			return nil, err
		}
	}
	text := p.newLayer()
	switch _, err := io.Copy(text, e.part.Open(e.src)); {
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case errors.Is(err, signer.ErrEncoding), errors.Is(err, errTooMuch):
		p.odd = "the text is too large, or not in the transfer encoding that it announces"
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for layers: %w", err)
	}
	inline, err := pgpmime.FindInline(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for layers: %w", err)
	case inline == nil:
		return nil, nil
	case inline.Kind == "SIGNED MESSAGE":
		return nil, p.clearSigned(e, text)
	}
	return nil, p.inlineMessage(e, text, inline)
}

// clearSigned checks a text with an OpenPGP signature around it (RFC 9580,
// Section 7).
func (p *peeler) clearSigned(e entity, text signer.Source) error {
	if p.g.verify == nil {
		return nil
	}
	held, err := p.authorCertificates()
	if err != nil {
		return err
	}
	found, err := pgpmime.VerifyClearsigned(io.Discard, text, held, p.pgpOptions())
	switch {
	case errors.Is(err, pgpmime.ErrMalformed), errors.Is(err, pgpmime.ErrTooLarge):
		p.note(e, []signer.Verification{{Scheme: string(keys.PGP), Integrity: signer.Finding{Verdict: signer.PermError, Reason: "the clear-signed text is malformed"}}}, "")
		return nil
	case err != nil:
		return fmt.Errorf("verify: %w", err)
	}
	reason := ""
	if !found.Alone {
		reason = reasonBesideText
	}
	p.note(e, found.Signatures, reason)
	return nil
}

// inlineMessage looks at an OpenPGP message in a text that is not one that is
// decrypted: one that is only signed, or one with other text around it.
func (p *peeler) inlineMessage(e entity, text signer.Source, inline *pgpmime.Inline) error {
	if p.g.verify != nil {
		held, err := p.authorCertificates()
		if err != nil {
			return err
		}
		block := io.NewSectionReader(text, inline.Block.Start, inline.Block.Len())
		switch found, err := pgpmime.VerifyMessage(io.Discard, block, held, p.pgpOptions()); {
		case err == nil && len(found.Signatures) == 0:
			return nil
		case err == nil:
			reason := ""
			if !inline.Alone {
				reason = reasonBesideText
			}
			p.note(e, found.Signatures, reason)
			return nil
		case !errors.Is(err, pgpmime.ErrMalformed) && !errors.Is(err, pgpmime.ErrTooLarge):
			return fmt.Errorf("verify: %w", err)
		}
	}
	if p.g.decrypt != nil {
		_, err := p.stays(keys.PGP, signer.Policy, reasonPart)
		return err
	}
	return nil
}

// armorMark is in every armored OpenPGP message, clear-signed text included.
var armorMark = []byte("-----BEGIN PGP ")

// mentionsArmor searches a part as it stands, and so finds what is not in base64.
func mentionsArmor(e entity) (bool, error) {
	b := e.body()
	buffer := make([]byte, min(b.at.Len(), 64<<10))
	for at := b.at.Start; b.at.End-at >= int64(len(armorMark)); {
		block := buffer[:min(int64(len(buffer)), b.at.End-at)]
		if n, err := b.src.ReadAt(block, at); n < len(block) {
			return false, fmt.Errorf("look for layers: %w", noEOF(err))
		}
		if bytes.Contains(block, armorMark) {
			return true, nil
		}
		at += int64(len(block) - len(armorMark) + 1) // one may stand across two blocks
	}
	return false, nil
}

// inlineText makes an entity of the text of an inline message: a text of the
// charset that the message announces, else of UTF-8.
func inlineText(e entity, inside *layerSpool) (*entity, error) {
	charset := e.part.Params["charset"]
	if charset == "" || strings.EqualFold(charset, "us-ascii") {
		charset = "utf-8"
	}
	return bareEntity("text/plain", "text/plain; "+signer.Param("charset", charset), "8bit", inside.Spool)
}

// bareEntity makes an entity of a content without a header.
func bareEntity(mediaType, contentType, encoding string, content *Spool) (*entity, error) {
	var header signer.Header
	for _, f := range [][2]string{{"Content-Type", contentType}, {"Content-Transfer-Encoding", encoding}} {
		field, err := signer.NewField(f[0], f[1])
		if err != nil {
			return nil, fmt.Errorf("describe what was decrypted: %w", err)
		}
		header = append(header, field)
	}
	return &entity{src: content, part: &signer.Part{Header: header, MediaType: mediaType, Encoding: encoding, BodyEnd: content.Size()}}, nil
}
