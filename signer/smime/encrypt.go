package smime

import (
	"crypto/x509"
	"fmt"
	"io"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
)

// Cipher is a content-encryption algorithm. cms.ParseCipher knows their names.
type Cipher = cms.Cipher

// The ciphers. The first is the zero value.
const (
	CipherAES256CBC = cms.AES256CBC
	CipherAES256GCM = cms.AES256GCM
	CipherAES128CBC = cms.AES128CBC
	CipherAES128GCM = cms.AES128GCM
)

// EncryptOptions say how to encrypt: the cipher, what RSA keys are used with,
// and how recipients are named. The zero value is what every S/MIME program can
// decrypt.
type EncryptOptions = cms.EncryptOptions

// Encrypt encrypts an entity to the owners of the certificates (RFC 8551,
// Sections 3.3 and 3.4), writes the body that results, in base64, to w, and
// returns the fields that describe it, all of them Content-*. A certificate that
// is there twice is used once. e is not held in memory.
//
// RSA keys are used as o.KeyTransport says, those of elliptic curves with ECDH,
// X25519 as RFC 8418 has it; one message may have recipients of all kinds.
//
// What is wrong with a certificate or its key is an error before anything is
// written; after any later error what has been written is worthless. An error of
// w or of the entity's body is wrapped.
func Encrypt(w io.Writer, e *signer.Entity, to []*x509.Certificate, o EncryptOptions) (signer.Header, error) {
	for _, cert := range to {
		if err := checkRecipientKey(cert); err != nil {
			return nil, fmt.Errorf("encrypt with S/MIME to certificate %x of %q: %w", cert.SerialNumber, cert.Subject, err)
		}
	}
	smimeType := "enveloped-data"
	if o.Cipher.Authenticates() {
		smimeType = "authEnveloped-data"
	}
	header, err := pkcs7Header("application/pkcs7-mime", smimeType, "smime.p7m")
	if err != nil {
		return nil, err
	}
	if err := encryptBody(w, e, to, o); err != nil {
		return nil, fmt.Errorf("encrypt with S/MIME: %w", err)
	}
	return header, nil
}

func encryptBody(w io.Writer, e *signer.Entity, to []*x509.Certificate, o EncryptOptions) error {
	encoder := signer.NewBase64Writer(w)
	encrypter, err := cms.NewEncrypter(encoder, to, o, e.Size())
	if err != nil {
		return err
	}
	if _, err := e.WriteTo(encrypter); err != nil {
		return err
	}
	if err := encrypter.Close(); err != nil {
		return err
	}
	return encoder.Close()
}
