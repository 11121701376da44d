package smime

import (
	"crypto/x509"
	"fmt"
	"io"

	"waxseal/signer/smime/cms"
	"waxseal/signer/smime/trust"
)

// Outline is what everybody can see of an encrypted message: the cipher, and for
// whom it is.
type Outline = cms.Outline

// Recipient is one of those for whom a message is encrypted.
type Recipient = cms.Recipient

// ReadOutline reads the body of an encrypted entity up to its content. r gives it
// without its transfer encoding. It is for reports to people: nothing that it
// returns has been checked.
func ReadOutline(r io.Reader) (*Outline, error) {
	o, err := cms.ReadOutline(r)
	if err != nil {
		return nil, fmt.Errorf("look into an S/MIME message: %w", err)
	}
	return o, nil
}

// Certificates returns the certificates that a SignedData carries, as far as they
// can be read. r gives it without its transfer encoding; the content, if there is
// one, is passed over.
func Certificates(r io.Reader) ([]*x509.Certificate, error) {
	s, err := cms.ReadSignedData(r, cms.Limits{}, func(_ *cms.SignedData, content io.Reader) error {
		_, err := io.Copy(io.Discard, content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look into an S/MIME signature: %w", err)
	}
	var certs []*x509.Certificate
	for _, der := range s.Certificates {
		if c, err := trust.ParseCertificate(der); err == nil {
			certs = append(certs, c)
		}
	}
	return certs, nil
}
