package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"go.mozilla.org/pkcs7"

	"waxseal/signer/smime/cms"
)

// Bundle puts certificates into a SignedData without content and signers, a
// ".p7c" file (RFC 8551, Section 3.8), in DER.
func Bundle(certificates []*x509.Certificate) ([]byte, error) {
	var all []byte
	for _, c := range certificates {
		all = append(all, c.Raw...)
	}
	if len(all) == 0 {
		return nil, errors.New("bundle certificates: there are none")
	}
	der, err := pkcs7.DegenerateCertificate(all)
	if err != nil {
		return nil, fmt.Errorf("bundle certificates: %w", err)
	}
	return der, nil
}

// ReadBundle returns the certificates in a SignedData, in DER or BER. Signatures,
// if it has any, are not looked at.
func ReadBundle(der []byte) ([]*x509.Certificate, error) {
	data, err := cms.ReadSignedData(bytes.NewReader(der), cms.Limits{}, func(_ *cms.SignedData, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read a bundle of certificates: %w", err)
	}
	if data.MoreCertificates > 0 {
		return nil, fmt.Errorf("read a bundle of certificates: it has more than %d", cms.MaxCertificates)
	}
	var out []*x509.Certificate
	for n, raw := range data.Certificates {
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, fmt.Errorf("read certificate %d of a bundle: %w", n+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}
