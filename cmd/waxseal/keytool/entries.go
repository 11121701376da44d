package keytool

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"waxseal/keys"
)

// maxNames bounds for how many addresses one certificate is stored.
const maxNames = 20

// entries makes entries of what has been collected: one of our own for every
// private key, and one of somebody's for every other certificate that is not an
// authority's.
func (s *shelf) entries() (found []Found, authorities []string, err error) {
	used := map[*x509.Certificate]bool{}
	for _, key := range s.private {
		own, chain, err := s.own(key)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range chain {
			used[c] = true
		}
		found = append(found, own...)
	}
	for _, c := range s.certs {
		if !c.IsCA {
			for _, above := range s.chain(c)[1:] {
				used[above] = true
			}
		}
	}
	byName := map[string]int{}
	for _, c := range s.certs {
		switch {
		case used[c]:
			continue
		case c.IsCA:
			authorities = append(authorities, c.Subject.String())
			continue
		}
		names, err := s.names(keys.Addresses(c), "certificate of "+c.Subject.String())
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			chain := s.chain(c)
			text := encode(chain[:1])
			if i, ok := byName[name]; ok { // one to sign and one to encrypt, as a rule
				found[i].Certificate = append(found[i].Certificate, text...)
				continue
			}
			byName[name] = len(found)
			found = append(found, Found{keys.Entry{Scheme: keys.SMIME, Name: name}, keys.Material{Certificate: text, Source: s.options.Source}, encode(chain[1:])})
		}
	}
	if len(found) == 0 && len(authorities) == 0 {
		return nil, nil, errors.New("there is neither a key nor a certificate in it")
	}
	return found, authorities, nil
}

// own makes the entries of a private key.
func (s *shelf) own(key any) (found []Found, chain []*x509.Certificate, err error) {
	p, ok := key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, nil, fmt.Errorf("a private key of type %T can't be used", key)
	}
	i := slices.IndexFunc(s.certs, func(c *x509.Certificate) bool {
		public, ok := p.Public().(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(c.PublicKey)
	})
	if i < 0 {
		return nil, nil, errors.New("there is a private key whose certificate is not in the file: put it in, as PEM")
	}
	chain = s.chain(s.certs[i])
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write a private key: %w", err)
	}
	names, err := s.names(keys.Addresses(chain[0]), "certificate of "+chain[0].Subject.String())
	if err != nil {
		return nil, nil, err
	}
	m := keys.Material{
		Certificate: encode(chain),
		PrivateKey:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		Source:      s.options.Source,
	}
	for _, name := range names {
		found = append(found, Found{keys.Entry{Scheme: keys.SMIME, Name: name, Own: true}, m, nil})
	}
	return found, chain, nil
}

// encode writes certificates as PEM.
func encode(certs []*x509.Certificate) []byte {
	var text bytes.Buffer
	for _, c := range certs {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return text.Bytes()
}

// chain returns a certificate and those that lead up from it.
func (s *shelf) chain(leaf *x509.Certificate) []*x509.Certificate {
	out := []*x509.Certificate{leaf}
	for len(out) < 10 {
		last := out[len(out)-1]
		i := slices.IndexFunc(s.certs, func(c *x509.Certificate) bool {
			return c.IsCA && !slices.Contains(out, c) && bytes.Equal(c.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		out = append(out, s.certs[i])
	}
	return out
}

// names returns the names of the entries for something with these addresses.
func (s *shelf) names(addresses []string, what string) ([]string, error) {
	return names(s.options, addresses, what)
}

func names(o ReadOptions, addresses []string, what string) ([]string, error) {
	if o.Name != "" {
		name, err := keys.Name(o.Name)
		if err != nil {
			return nil, err
		}
		return []string{name}, nil
	}
	var out []string
	for _, a := range addresses {
		if name, err := keys.Name(a); err == nil && !slices.Contains(out, name) && len(out) < maxNames {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%.200s: there is no address in it: give -name ADDRESS", what)
	}
	return out, nil
}
