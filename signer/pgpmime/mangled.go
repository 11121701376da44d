package pgpmime

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"waxseal/signer"
)

// maxControlPart is the size of the small parts beside an encrypted message, in
// bytes; more is no longer small.
const maxControlPart = 4 << 10

// Encrypted is a PGP/MIME message as its parts.
type Encrypted struct {
	// Data is the part that holds the OpenPGP message.
	Data *signer.Part
	// Mangled says that the message was no multipart/encrypted any more.
	Mangled bool
}

// FindEncrypted returns the encrypted part of a multipart/encrypted (RFC 3156,
// Section 4), or of what Microsoft Exchange and others are known to make of one:
// a multipart/mixed of an empty text, the control part and the data, the latter
// two maybe in base64. It returns nil for everything else; where there is a text
// or another part beside the data, nothing is repaired, so that nobody can put
// words of his own around somebody else's. An error is one of the Source's.
func FindEncrypted(p *signer.Part, body signer.Source) (*Encrypted, error) {
	parts := p.Parts
	mangled := false
	switch p.MediaType {
	case "multipart/encrypted":
		if !strings.EqualFold(p.Params["protocol"], "application/pgp-encrypted") {
			return nil, nil
		}
	case "multipart/mixed":
		mangled = true
		if len(parts) == 3 {
			if parts[0].MediaType != "text/plain" {
				return nil, nil
			}
			text, err := smallPart(parts[0], body)
			if err != nil {
				return nil, err
			}
			if text == nil || !saysNothing(string(text)) {
				return nil, nil
			}
			parts = parts[1:]
		}
	default:
		return nil, nil
	}
	if len(parts) != 2 || parts[0].MediaType != "application/pgp-encrypted" || parts[1].MediaType != "application/octet-stream" {
		return nil, nil
	}
	control, err := smallPart(parts[0], body)
	if err != nil {
		return nil, err
	}
	if control == nil || !strings.EqualFold(strings.TrimSpace(string(control)), "Version: 1") {
		return nil, nil
	}
	return &Encrypted{Data: parts[1], Mangled: mangled}, nil
}

// saysNothing reports whether a text is one that a server puts where there was
// none.
func saysNothing(text string) bool {
	text = strings.Trim(text, " \t\r\n\u00a0\ufeff")
	return text == "" || text == "Empty Message"
}

// smallPart returns a part's content; nil if it is not small, or broken.
func smallPart(p *signer.Part, body signer.Source) ([]byte, error) {
	if p.BodyEnd-p.BodyStart > maxControlPart {
		return nil, nil
	}
	text, err := io.ReadAll(p.Open(body))
	switch {
	case errors.Is(err, signer.ErrEncoding):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read a part of a PGP/MIME message: %w", err)
	}
	return text, nil
}
