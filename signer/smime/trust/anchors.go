package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
)

// maxAnchorFile is the largest file of trust anchors, in bytes. The bundle of
// all authorities that browsers know has 250 kB.
const maxAnchorFile = 16 << 20

// Anchors are certificates that are trusted, each a root authority, another
// authority, or the certificate of one partner. They may be used by several
// goroutines at once.
type Anchors struct {
	certs []*x509.Certificate
}

// NewAnchors returns those certificates as trust anchors.
func NewAnchors(certs ...*x509.Certificate) *Anchors {
	return &Anchors{certs: slices.Clone(certs)}
}

// ReadAnchors reads trust anchors from files of PEM certificates (RFC 7468). It
// collects what is wrong in all of them.
func ReadAnchors(files ...string) (*Anchors, error) {
	all := &Anchors{}
	var problems []error
	for _, file := range files {
		certs, err := readPEM(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("read trust anchors: %w", err))
		}
		all.certs = append(all.certs, certs...)
	}
	return all, errors.Join(problems...)
}

// ReadIntermediates reads certificates of authorities from files of PEM
// certificates, to be used where messages leave them out.
func ReadIntermediates(files ...string) ([]*x509.Certificate, error) {
	anchors, err := ReadAnchors(files...)
	return anchors.certs, err
}

// Certificates are the trust anchors, in the order in which they were read.
func (a *Anchors) Certificates() []*x509.Certificate {
	if a == nil {
		return nil
	}
	return slices.Clone(a.certs)
}

// Store has trust anchors by the names that policies use for them.
type Store map[string]*Anchors

// Select returns the anchors of all those names together.
func (s Store) Select(names ...string) (*Anchors, error) {
	all := &Anchors{}
	for _, name := range names {
		anchors, ok := s[name]
		if !ok {
			return nil, fmt.Errorf("no trust anchors are named %q: add a trust_anchors block of that name", name)
		}
		all.certs = append(all.certs, anchors.certs...)
	}
	return all, nil
}

// readPEM reads the certificates of a PEM file, at least one.
func readPEM(file string) ([]*x509.Certificate, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxAnchorFile {
		return nil, fmt.Errorf("%s: has %d bytes, more than %d", file, info.Size(), maxAnchorFile)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	certs, err := parsePEM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return certs, nil
}

// parsePEM reads certificates in PEM. Text around them is left out, as in the
// bundles that authorities publish.
func parsePEM(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		if bytes.HasPrefix(data, []byte{0x30}) {
			return nil, errors.New("is DER: convert it with openssl x509 -inform der")
		}
		return nil, errors.New("has no PEM certificate")
	}
	return certs, nil
}
