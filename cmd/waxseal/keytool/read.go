package keytool

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"waxseal/signer/smime"
)

// MaxFile is the size in octets of the largest file that Read reads.
const MaxFile = 64 << 20

// maxCertificates bounds how many certificates and keys a file may have.
const maxCertificates = 10000

// ReadOptions say how a file is read.
type ReadOptions struct {
	// Name is the entry's; "" takes the addresses in the certificate.
	Name string
	// Source says where it comes from, for the store.
	Source string
	// Passphrase is asked when one is needed.
	Passphrase func() ([]byte, error)
	// Now is the time for which addresses and subkeys are valid.
	Now time.Time
}

// Read reads keys and certificates: PKCS #12, PEM, DER, a PKCS #7 bundle, or
// OpenPGP, armored or binary. Certificates of authorities that nobody's
// certificate leads to are returned by their names, as they are no entries.
func Read(data []byte, o ReadOptions) (found []Found, authorities []string, err error) {
	if len(data) > MaxFile {
		return nil, nil, fmt.Errorf("it is larger than %d octets", MaxFile)
	}
	if bytes.Contains(data, []byte("-----BEGIN PGP ")) || len(data) > 0 && data[0]&0x80 != 0 {
		found, err = readOpenPGP(data, o)
		return found, nil, err
	}
	s := &shelf{options: o}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		err = s.readPEM(data)
	} else {
		err = s.readDER(data)
	}
	if err != nil {
		return nil, nil, err
	}
	return s.entries()
}

// shelf collects certificates and private keys.
type shelf struct {
	options ReadOptions
	certs   []*x509.Certificate
	private []any
}

func (s *shelf) add(certs ...*x509.Certificate) error {
	for _, c := range certs {
		if len(s.certs) == maxCertificates {
			return fmt.Errorf("it has more than %d certificates", maxCertificates)
		}
		s.certs = append(s.certs, c)
	}
	return nil
}

func (s *shelf) addKey(key any) error {
	if len(s.private) == maxCertificates {
		return fmt.Errorf("it has more than %d private keys", maxCertificates)
	}
	s.private = append(s.private, key)
	return nil
}

func (s *shelf) readPEM(text []byte) error {
	blocks := 0
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if blocks++; blocks > 2*maxCertificates {
			return fmt.Errorf("it has more than %d blocks", 2*maxCertificates)
		}
		var err error
		switch {
		case b.Type == "CERTIFICATE" || b.Type == "TRUSTED CERTIFICATE" || b.Type == "X509 CERTIFICATE":
			err = s.readCertificate(b.Bytes)
		case b.Type == "PKCS7" || b.Type == "CMS":
			err = s.readBundle(b.Bytes)
		case b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "":
			err = errors.New("the private key has a passphrase: take it off with openssl pkey, or import a PKCS #12 file")
		case strings.HasSuffix(b.Type, "PRIVATE KEY"):
			err = s.readKey(b.Bytes)
		}
		if err != nil {
			return err
		}
	}
	if blocks == 0 {
		return errors.New("damaged PEM: a block that begins doesn't end")
	}
	return nil
}

var oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

// readDER reads one of the structures that may be without PEM around them.
func (s *shelf) readDER(der []byte) error {
	var outer asn1.RawValue
	if len(der) == 0 || der[0] != 0x30 {
		return errors.New("it is nothing that keys or certificates are kept in: PKCS #12, PEM, DER, PKCS #7, OpenPGP")
	}
	if oid, err := asn1.Marshal(oidSignedData); err == nil && bytes.Contains(der[:min(len(der), 30)], oid) {
		return s.readBundle(der)
	}
	if _, err := asn1.Unmarshal(der, &outer); err == nil {
		// A PFX begins with its version, 3 (RFC 7292, Section 4).
		if bytes.HasPrefix(outer.Bytes, []byte{2, 1, 3}) {
			return s.readPKCS12(der)
		}
		if bytes.HasPrefix(outer.Bytes, []byte{2, 1}) {
			return s.readKey(der)
		}
	} else if bytes.Contains(der[:min(len(der), 12)], []byte{2, 1, 3}) { // in BER, as some programs write it
		return s.readPKCS12(der)
	}
	return s.readCertificate(der)
}

func (s *shelf) readCertificate(der []byte) error {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("read certificate %d: %w", len(s.certs)+1, err)
	}
	return s.add(c)
}

func (s *shelf) readBundle(der []byte) error {
	certs, err := smime.ReadBundle(der)
	if err != nil {
		return err
	}
	return s.add(certs...)
}

// readKey reads a private key in any of its forms.
func (s *shelf) readKey(der []byte) error {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if k, other := x509.ParsePKCS1PrivateKey(der); other == nil {
			key, err = k, nil
		} else if k, other := x509.ParseECPrivateKey(der); other == nil {
			key, err = k, nil
		}
	}
	if err != nil {
		return fmt.Errorf("read private key: %w", err)
	}
	return s.addKey(key)
}
