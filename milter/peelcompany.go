package milter

import (
	"errors"
	"fmt"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// maxSignedParts is how many signed parts of one message are checked.
const maxSignedParts = 16

// company looks at a multipart with parts of different origin, as mailing lists
// make it when they add a footer, and attackers. Signed parts say nothing about
// the message as a whole, and nothing is decrypted beside what somebody else may
// have put there: his HTML could send it away (CVE-2017-17688). What is in an
// attached message is nobody's business.
func (p *peeler) company(e entity) error {
	signed := 0
	encrypted := keys.Scheme("")
	var look func(entity) error
	look = func(e entity) error {
		for i, part := range e.part.Parts {
			one := entity{src: e.src, part: part, path: subpath(e.path, i)}
			switch {
			case part.MediaType == "multipart/signed":
				if signed++; signed > maxSignedParts || p.g.verify == nil {
					continue
				}
				signatures, err := p.verifyMultipart(one)
				if err != nil {
					return err
				}
				p.note(one, signatures, "the signature covers part "+one.path+" of the message only")
				continue
			case part.IsMessage() || encrypted != "" && !part.IsMultipart():
				continue
			}
			scheme, err := p.encryption(one)
			if err != nil {
				return err
			}
			if scheme != "" {
				encrypted = scheme
				continue
			}
			if err := look(one); err != nil { // as deep as Slice allows
				return err
			}
		}
		return nil
	}
	if err := look(e); err != nil {
		return err
	}
	if signed > maxSignedParts {
		p.odd = fmt.Sprintf("more than %d signed parts", maxSignedParts)
	}
	if encrypted != "" && p.g.decrypt != nil {
		_, err := p.stays(encrypted, signer.Policy, reasonPart)
		return err
	}
	return nil
}

// encryption says how a part is encrypted, "" if it is not.
func (p *peeler) encryption(e entity) (keys.Scheme, error) {
	found, err := pgpmime.FindEncrypted(e.part, e.src)
	if err != nil {
		return "", fmt.Errorf("look for layers: %w", err)
	}
	if found != nil || e.part.MediaType == "application/pgp-encrypted" {
		return keys.PGP, nil
	}
	switch {
	case isCMS(e.part):
		kind, err := smime.ContentType(e.part.Open(e.src))
		if err != nil && !errors.Is(err, signer.ErrEncoding) {
			return "", fmt.Errorf("look for layers: %w", err)
		}
		if kind == "enveloped-data" || kind == "auth-enveloped-data" {
			return keys.SMIME, nil
		}
	case e.part.MediaType == "text/plain":
		found, err := signer.Inspect(e.message())
		if err != nil {
			return "", fmt.Errorf("look for layers: %w", err)
		}
		if found.Encrypted {
			return keys.PGP, nil
		}
	}
	return "", nil
}
