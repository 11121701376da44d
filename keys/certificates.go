package keys

import (
	"crypto/x509"
	"errors"
)

// Addresses returns the mail addresses of a certificate, as they are written in
// it: those of its subjectAltName, or of its subject where that has none (RFC
// 8550, Section 3).
func Addresses(c *x509.Certificate) []string { return addresses(c) }

// Certificates returns the certificates in PEM text, each once, in its order. A
// private key in it is passed over.
func Certificates(text []byte) ([]*x509.Certificate, error) {
	certs, _, err := parsePEM(text)
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate")
	}
	return certs, err
}

// Public returns what may be shown of a record to everybody: the X.509
// certificates, or the transferable public key in binary.
func (r *Record) Public() ([]*x509.Certificate, []byte, error) {
	if r.Scheme == SMIME {
		certs, err := Certificates(r.Certificate)
		return certs, nil, err
	}
	data := r.Certificate
	if len(data) == 0 {
		data = r.PrivateKey
	}
	public, err := publicPart(data)
	return nil, public, err
}
