package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	k, err := signingKey(e, certs, signer.Public(), now)
	if err != nil {
		return nil, err
	}
	k.Signer = signer
	k.decrypts(private)
	k.leftOut(certs)
	return k, nil
}

// ParseRemoteKey is as ParseKey, for a private key that is kept elsewhere and
// has the given public part. The Signer of what it returns is not set yet. A
// private key in the text is one for decryption, with a certificate of its own
// in the text, which becomes the key's Encryption.
func ParseRemoteKey(e Entry, text []byte, public crypto.PublicKey, now time.Time) (*Key, error) {
	certs, private, err := parsePEM(text)
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate: put the certificate and its chain in, as PEM")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	k, err := signingKey(e, certs, public, now)
	if err != nil {
		return nil, err
	}
	if private != nil {
		i := indexOf(certs, private)
		if i < 0 {
			return nil, fmt.Errorf("%s: the private key for decryption belongs to none of the certificates", e)
		}
		if bad := errors.Join(append(problems(e, certs[i], now), encryptProblem(certs[i]))...); bad != nil {
			k.Notes = append(k.Notes, "the certificate for encryption can't be used: "+strings.ReplaceAll(bad.Error(), "\n", "; "))
		} else {
			k.Encryption = certs[i]
		}
	}
	k.leftOut(certs)
	return k, nil
}

// ParseVersion makes keys for decryption from the text of an S/MIME entry: of
// its private key and of remote, if that is not nil, a private key that is kept
// elsewhere. It is content with certificates that have expired, or are for
// something else, or too weak for new messages.
func ParseVersion(e Entry, text []byte, remote crypto.Decrypter) ([]*Key, error) {
	certs, private, err := parsePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	var out []*Key
	if i := indexOf(certs, private); i >= 0 {
		k := &Key{Entry: e, Chain: chain(certs[i], certs)}
		k.decrypts(private)
		if k.Decrypter != nil || k.ECDH != nil {
			out = append(out, k)
		}
	}
	if remote != nil {
		if i := publicIndex(certs, remote.Public()); i >= 0 {
			out = append(out, &Key{Entry: e, Chain: chain(certs[i], certs), Decrypter: remote})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no private key with its certificate that can decrypt", e)
	}
	return out, nil
}

// Fits reports whether a certificate as it is stored, PEM or OpenPGP, is one for
// a public key. What can't be read fits nothing.
func Fits(scheme Scheme, certificate []byte, public crypto.PublicKey) bool {
	if scheme == PGP {
		return openPGPHas(certificate, public)
	}
	certs, _, err := parsePEM(certificate)
	return err == nil && publicIndex(certs, public) >= 0
}

// signingKey finds the certificate for a public key and checks that it can be
// used to sign.
func signingKey(e Entry, certs []*x509.Certificate, public crypto.PublicKey, now time.Time) (*Key, error) {
	leaf := publicIndex(certs, public)
	if leaf < 0 {
		return nil, fmt.Errorf("%s: the private key belongs to none of the certificates", e)
	}
	k := &Key{Entry: e, Chain: chain(certs[leaf], certs)}
	c := k.Chain[0]
	if err := joined(e, append(problems(e, c, now), signProblem(c))); err != nil {
		return nil, err
	}
	return k, nil
}

// decrypts sets what a private key can decrypt with.
func (k *Key) decrypts(private any) {
	switch p := private.(type) {
	case *rsa.PrivateKey:
		k.Decrypter = p
	case *ecdsa.PrivateKey:
		k.ECDH, _ = p.ECDH() // not for P-224
	case *ecdh.PrivateKey:
		k.ECDH = p
	}
}

// leftOut notes the certificates that are of no use.
func (k *Key) leftOut(certs []*x509.Certificate) {
	used := k.Chain
	if k.Encryption != nil {
		used = append(slices.Clone(used), chain(k.Encryption, certs)...)
	}
	n := 0
	for _, c := range certs {
		if !slices.Contains(used, c) {
			n++
		}
	}
	if n > 0 {
		k.Notes = append(k.Notes, fmt.Sprintf("%d of the certificates are not in the chain and are left out", n))
	}
}

// indexOf returns the certificate for a private key, or -1.
func indexOf(certs []*x509.Certificate, private any) int {
	if p, ok := private.(interface{ Public() crypto.PublicKey }); ok {
		return publicIndex(certs, p.Public())
	}
	return -1
}

func publicIndex(certs []*x509.Certificate, public crypto.PublicKey) int {
	return slices.IndexFunc(certs, func(c *x509.Certificate) bool { return samePublic(c.PublicKey, public) })
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
	if k.Encryption != nil {
		c.X509 = []*x509.Certificate{k.Encryption}
		return c, nil
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
	case *ecdh.PublicKey: // X25519
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
