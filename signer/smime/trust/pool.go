package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxPEM is the largest file of certificates, in bytes. The bundle of all
// authorities that browsers know has 250 kB.
const maxPEM = 16 << 20

// Pool is a set of certificates: trust anchors (root authorities, others, or
// the certificate of one partner), or certificates of authorities that messages
// may leave out. A nil pool is empty. It does not change, and may be used by
// several goroutines at once.
type Pool struct {
	certs     []*certificate
	bySubject map[string][]*certificate
}

// NewPool returns a pool of those certificates. It is an error if one of them
// can't be read whole, and the pool has the others then.
func NewPool(certs ...*x509.Certificate) (*Pool, error) {
	p := &Pool{}
	var problems []error
	for i, x := range certs {
		c, err := readCertificate(x)
		if err == nil {
			err = c.malformed
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("certificate %d: %w", i+1, err))
			continue
		}
		p.add(c)
	}
	return p, errors.Join(problems...)
}

// ReadPool reads files of PEM certificates (RFC 7468). It collects what is
// wrong in all of them.
func ReadPool(files ...string) (*Pool, error) {
	p := &Pool{}
	var problems []error
	for _, file := range files {
		certs, err := readPEM(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("read certificates of %s: %w", file, err))
		}
		p.add(certs...)
	}
	return p, errors.Join(problems...)
}

// Certificates are those of the pool, in the order in which they were read.
func (p *Pool) Certificates() []*x509.Certificate {
	if p == nil {
		return nil
	}
	certs := make([]*x509.Certificate, len(p.certs))
	for i, c := range p.certs {
		certs[i] = c.x
	}
	return certs
}

// Store has trust anchors by the names that policies use for them.
type Store map[string]*Pool

// Select returns the anchors of all those names together.
func (s Store) Select(names ...string) (*Pool, error) {
	all := &Pool{}
	for _, name := range names {
		anchors, ok := s[name]
		if !ok {
			return nil, fmt.Errorf("no trust anchors are named %q: add a trust_anchors block of that name", name)
		}
		if anchors != nil {
			all.add(anchors.certs...)
		}
	}
	return all, nil
}

// add adds certificates, each only once.
func (p *Pool) add(certs ...*certificate) {
	if p.bySubject == nil {
		p.bySubject = map[string][]*certificate{}
	}
	for _, c := range certs {
		key := c.subject.key()
		if !slices.ContainsFunc(p.bySubject[key], c.same) {
			p.certs = append(p.certs, c)
			p.bySubject[key] = append(p.bySubject[key], c)
		}
	}
}

// named are the certificates whose subject has that key.
func (p *Pool) named(key string) []*certificate {
	if p == nil {
		return nil
	}
	return p.bySubject[key]
}

// readPEM reads the certificates of a PEM file, at least one.
func readPEM(path string) ([]*certificate, error) {
	data, err := readFile(path, maxPEM)
	if err != nil {
		return nil, err
	}
	var certs []*certificate
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // text and keys around them are left out
		}
		x, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		c, err := readCertificate(x)
		if err == nil {
			err = c.malformed
		}
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		if bytes.HasPrefix(data, []byte{0x30}) {
			return nil, errors.New("it is DER: convert it with openssl x509 -inform der")
		}
		return nil, errors.New("it has no PEM certificate")
	}
	return certs, nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, limit)
}

// readLimited reads all of r, at most limit bytes.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}
