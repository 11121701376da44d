package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxSize is the size in octets of the largest entry that a store reads.
const MaxSize = 1 << 20

// maxBlocks is how many PEM blocks one entry may have.
const maxBlocks = 64

// ParseKey makes an S/MIME key from PEM text that holds its certificate, those
// that lead to the trust anchor, in any order, and the private key (PKCS#8,
// PKCS#1 or SEC 1) without a passphrase. It checks that they belong together,
// that the certificate is valid at now, may sign mail, and, for an entry that is
// named by an address, is for that address. All that is wrong is reported at
// once and names the entry; no error holds key material.
func ParseKey(e Entry, text []byte, now time.Time) (*Key, error) {
	certs, private, err := parsePEM(text)
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate: put the certificate and its chain in, as PEM")
	}
	if err == nil && private == nil {
		err = errors.New("no private key: put it in beside the certificate, as PEM")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a private key of type %T can't sign", e, private)
	}
	leaf := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return samePublic(c.PublicKey, signer.Public()) })
	if leaf < 0 {
		return nil, fmt.Errorf("%s: the private key belongs to none of the certificates", e)
	}
	k := &Key{Entry: e, Signer: signer}
	k.Chain = chain(certs[leaf], certs)
	if n := len(certs) - len(k.Chain); n > 0 {
		k.Notes = append(k.Notes, fmt.Sprintf("%d of the certificates are not in the chain and are left out", n))
	}
	if d, ok := private.(*rsa.PrivateKey); ok {
		k.Decrypter = d
	}
	c := k.Chain[0]
	if err := joined(e, append(problems(e, c, now), signProblem(c))); err != nil {
		return nil, err
	}
	return k, nil
}

// ParseCertificate makes an S/MIME certificate from PEM text. Of several it
// takes those that can encrypt to the name of the entry at now, the newest
// first; CA certificates that issued others of them are no candidates. If none
// can, the error says of each why not.
func ParseCertificate(e Entry, text []byte, now time.Time) (*Certificate, error) {
	certs, private, err := parsePEM(text)
	if err == nil && private != nil {
		err = errors.New("there is a private key among somebody's certificates: take it out")
	}
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate: put it in as PEM")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	out := &Certificate{Entry: e}
	var errs []error
	for _, c := range leaves(certs) {
		bad := append(problems(e, c, now), encryptProblem(c))
		if err := errors.Join(bad...); err != nil {
			errs = append(errs, bad...)
			continue
		}
		out.X509 = append(out.X509, c)
	}
	if len(out.X509) == 0 {
		return nil, joined(e, errs)
	}
	slices.SortStableFunc(out.X509, func(a, b *x509.Certificate) int { return b.NotBefore.Compare(a.NotBefore) })
	return out, nil
}

// Certificate returns what is needed to encrypt to the owner of the key. The
// error wraps ErrNotFound if its certificate is for signing alone.
func (k *Key) Certificate() (*Certificate, error) {
	c := &Certificate{Entry: k.Entry}
	if k.Scheme == PGP {
		public, err := publicPart(k.OpenPGP)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Entry, err)
		}
		c.OpenPGP = public
		return c, nil
	}
	if len(k.Chain) == 0 {
		return nil, fmt.Errorf("%s: no certificate", k.Entry)
	}
	if err := encryptProblem(k.Chain[0]); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", k.Entry, err, ErrNotFound)
	}
	c.X509 = k.Chain[:1:1]
	return c, nil
}

// parsePEM returns the certificates of a PEM text, each once, and the private
// key, if there is one.
func parsePEM(text []byte) (certs []*x509.Certificate, private any, err error) {
	if len(text) > MaxSize {
		return nil, nil, fmt.Errorf("larger than %d octets", MaxSize)
	}
	for n := 0; ; n++ {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if n == maxBlocks {
			return nil, nil, fmt.Errorf("more than %d PEM blocks", maxBlocks)
		}
		switch b.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("read certificate %d: %w", len(certs)+1, err)
			}
			if !slices.ContainsFunc(certs, c.Equal) {
				certs = append(certs, c)
			}
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			if private != nil {
				return nil, nil, errors.New("more than one private key")
			}
			if private, err = parsePrivate(b); err != nil {
				return nil, nil, err
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, nil, errPassphrase
		case "EC PARAMETERS": // openssl ecparam writes it before the key, which says the same
		default:
			return nil, nil, fmt.Errorf("a PEM block of type %.40q, where certificates and a private key are expected", b.Type)
		}
	}
	if bytes.Contains(text, []byte("-----BEGIN")) {
		return nil, nil, errors.New("damaged PEM: a block that begins doesn't end")
	}
	return certs, private, nil
}

var errPassphrase = errors.New("the private key has a passphrase: store it without, as openssl pkey does")

func parsePrivate(b *pem.Block) (key any, err error) {
	if b.Headers["DEK-Info"] != "" {
		return nil, errPassphrase
	}
	switch b.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	return key, nil
}

// samePublic compares two public keys.
func samePublic(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *rsa.PublicKey:
		return a.Equal(b)
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case ed25519.PublicKey:
		return a.Equal(b)
	}
	return false
}

// chain returns leaf and what leads up from it, as far as certs have it.
func chain(leaf *x509.Certificate, certs []*x509.Certificate) []*x509.Certificate {
	out := []*x509.Certificate{leaf}
	for {
		last := out[len(out)-1]
		i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
			return !slices.Contains(out, c) && issued(c, last)
		})
		if i < 0 {
			return out
		}
		out = append(out, certs[i])
	}
}

// leaves returns the certificates that issued none of the others and, unless
// there is nothing else, are no CA's.
func leaves(certs []*x509.Certificate) []*x509.Certificate {
	out := slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(certs, func(o *x509.Certificate) bool { return o != c && issued(c, o) })
	})
	if slices.ContainsFunc(out, func(c *x509.Certificate) bool { return !c.IsCA }) {
		out = slices.DeleteFunc(out, func(c *x509.Certificate) bool { return c.IsCA })
	}
	return out
}

// issued compares the names first, as a signature costs time.
func issued(ca, c *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(ca) == nil
}
