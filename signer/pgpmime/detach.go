package pgpmime

import (
	"fmt"

	"waxseal/signer"
)

// Detach makes a multipart/signed (RFC 3156, Section 5) of what Decrypt has
// decrypted and Decrypted.Signed, so that the signature can be checked again
// after the encryption is gone. content is the text as it was written, a MIME
// entity with CRLF line ends; it is read whenever the result is written.
func Detach(content signer.Content, signed []byte) (*signer.Entity, error) {
	const head = 1 + 5 // of a packet as Decrypt writes it
	digest := "sha256"
	if len(signed) > head {
		if c := readClaim(signed[head:]); c.digest != 0 {
			if h, _ := digestByID(c.digest); h != 0 {
				if name, err := digestName(h); err == nil {
					digest = name
				}
			}
		}
	}
	boundary, err := environment{}.boundary()
	if err != nil {
		return nil, err
	}
	e, err := multipartSigned(content, signed, digest, boundary)
	if err != nil {
		return nil, fmt.Errorf("detach an OpenPGP signature: %w", err)
	}
	return e, nil
}
