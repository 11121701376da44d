package keytool

import (
	"crypto/x509"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// readPKCS12 reads a PFX (RFC 7292). One without a password is tried first.
func (s *shelf) readPKCS12(der []byte) (err error) {
	defer func() { // it has not been written for hostile files
		if p := recover(); p != nil {
			err = fmt.Errorf("read PKCS #12: the library gave up: %v", p)
		}
	}()
	if err := checkIterations(der, 0); err != nil {
		return fmt.Errorf("read PKCS #12: %w", err)
	}
	err = s.openPKCS12(der, "")
	if !errors.Is(err, pkcs12.ErrIncorrectPassword) && !errors.Is(err, pkcs12.ErrDecryption) {
		return err
	}
	if s.options.Passphrase == nil {
		return errors.New("read PKCS #12: it has a password, and none was given")
	}
	word, err := s.options.Passphrase()
	if err != nil {
		return err
	}
	return s.openPKCS12(der, string(word))
}

func (s *shelf) openPKCS12(der []byte, password string) error {
	key, c, authorities, err := pkcs12.DecodeChain(der, password)
	if err == nil {
		if err := s.addKey(key); err != nil {
			return err
		}
		return s.add(append([]*x509.Certificate{c}, authorities...)...)
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption) {
		return fmt.Errorf("read PKCS #12: the password is another one: %w", err)
	}
	// One with certificates only, or with several keys.
	if certs, other := pkcs12.DecodeTrustStore(der, password); other == nil {
		return s.add(certs...)
	}
	blocks, other := pkcs12.ToPEM(der, password)
	if other != nil {
		return fmt.Errorf("read PKCS #12: %w; convert it with openssl pkcs12 -nodes and import the PEM", err)
	}
	for _, b := range blocks {
		if b.Type == "CERTIFICATE" {
			err = s.readCertificate(b.Bytes)
		} else {
			err = s.readKey(b.Bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
