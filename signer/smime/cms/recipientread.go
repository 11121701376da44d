package cms

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Key is a private key with its certificate. For an RSA key, Key is a
// crypto.Decrypter, which may be a key that is kept elsewhere. For a key of an
// elliptic curve it is an *ecdsa.PrivateKey, or an ecdh.KeyExchanger, which
// *ecdh.PrivateKey is one of. A key that is not the certificate's is passed over.
//
// A crypto.Decrypter is asked with *rsa.PKCS1v15DecryptOptions, with a
// SessionKeyLen, or *rsa.OAEPOptions. An error of it means that the ciphertext is
// bad, and is not passed on. Only if it says that the key can't be used now, by
// a method Temporary() bool that returns true or by a context's error, Decrypt
// returns it. Whether it does so must not depend on the ciphertext.
type Key struct {
	Certificate *x509.Certificate
	Key         any
}

// exchanger returns the key if it is one that can agree on a key.
func (k Key) exchanger() (ecdh.KeyExchanger, bool) {
	switch key := k.Key.(type) {
	case *ecdsa.PrivateKey:
		converted, err := key.ECDH()
		return converted, err == nil
	case ecdh.KeyExchanger:
		return key, true
	}
	return nil, false
}

// fits reports whether the key is that of the certificate, and can decrypt.
func (k Key) fits() bool {
	if pub, ok := agreementKey(k.Certificate); ok {
		exchanger, ok := k.exchanger()
		return ok && pub.Equal(exchanger.PublicKey())
	}
	pub, ok := k.Certificate.PublicKey.(*rsa.PublicKey)
	decrypter, isDecrypter := k.Key.(crypto.Decrypter)
	return ok && isDecrypter && pub.Equal(decrypter.Public())
}

// candidate is a recipient's part that one of our keys may open.
type candidate struct {
	key  Key
	name string // of the algorithm
	// checked says that open notices what was not encrypted for the key.
	checked bool
	// open returns the content-encryption key, which has that many octets. It is
	// nil if open noticed, a random one if it must not. An error says that the
	// key can't be used now.
	open func(size int) ([]byte, error)
}

// keyring finds keys by the identifiers of recipients.
type keyring struct {
	byIssuer map[string]Key // by the DER of IssuerAndSerialNumber
	byKeyID  map[string]Key
}

func newKeyring(keys []Key) (*keyring, error) {
	ring := &keyring{map[string]Key{}, map[string]Key{}}
	for _, k := range keys {
		if k.Certificate == nil {
			return nil, errors.New("a key without its certificate")
		}
		if !k.fits() {
			continue
		}
		issuer, err := build("issuer and serial number", func(b *cryptobyte.Builder) {
			addIssuerAndSerialNumber(b, k.Certificate)
		})
		if err != nil {
			return nil, err
		}
		ring.byIssuer[string(issuer)] = k
		if id := k.Certificate.SubjectKeyId; len(id) > 0 {
			ring.byKeyID[string(id)] = k
		}
	}
	return ring, nil
}

// candidates reads RecipientInfos (RFC 5652, Section 6.1), one by one. Of
// recipients who are not ours it reads no more than who they are. If there are
// none, and only because of an algorithm, the error is an *UnsupportedError.
func (ring *keyring) candidates(r *Reader) ([]candidate, error) {
	if err := r.Enter(TagSet); err != nil {
		return nil, err
	}
	var found []candidate
	var unsupported *UnsupportedError
	for {
		tag, err := r.Peek()
		if err != nil {
			return nil, err
		}
		if tag == 0 {
			break
		}
		der, err := r.Element(0)
		if err != nil {
			return nil, err
		}
		more, err := ring.recipient(der)
		if err != nil && !errors.As(err, &unsupported) {
			return nil, err
		}
		if len(found) < maxCandidates {
			found = append(found, more...)
		}
	}
	switch {
	case len(found) > 0:
	case unsupported != nil:
		return nil, unsupported
	default:
		return nil, ErrNoKey
	}
	return found, r.Leave()
}

// maxCandidates is about how many parts are kept that our keys may open.
const maxCandidates = 100

// recipient reads a RecipientInfo.
func (ring *keyring) recipient(der []byte) ([]candidate, error) {
	in := cryptobyte.String(der)
	var info cryptobyte.String
	var tag casn1.Tag
	if !in.ReadAnyASN1(&info, &tag) {
		return nil, shapeError("a recipient")
	}
	switch tag {
	case casn1.SEQUENCE:
		return ring.keyTrans(info)
	case tagExplicit1:
		return ring.keyAgree(info)
	}
	return nil, nil // of a kind that has no keys like ours
}

// find reads a recipient's identifier: IssuerAndSerialNumber, or keyID read by
// the function.
func (ring *keyring) find(in *cryptobyte.String, keyIDTag casn1.Tag, keyID func(*cryptobyte.String) bool) (k Key, ours, ok bool) {
	var id cryptobyte.String
	if in.PeekASN1Tag(keyIDTag) {
		ok = in.ReadASN1(&id, keyIDTag) && keyID(&id)
		k, ours = ring.byKeyID[string(id)]
		return k, ours, ok
	}
	ok = in.ReadASN1Element(&id, casn1.SEQUENCE)
	k, ours = ring.byIssuer[string(id)]
	return k, ours, ok
}

// keyTrans reads a KeyTransRecipientInfo (RFC 5652, Section 6.2.1).
func (ring *keyring) keyTrans(in cryptobyte.String) ([]candidate, error) {
	var algorithm, encrypted cryptobyte.String
	if !in.SkipASN1(casn1.INTEGER) {
		return nil, shapeError("a recipient")
	}
	k, ours, ok := ring.find(&in, tagImplicit0, func(*cryptobyte.String) bool { return true })
	if !ok || !in.ReadASN1Element(&algorithm, casn1.SEQUENCE) || !in.ReadASN1(&encrypted, casn1.OCTET_STRING) || !in.Empty() {
		return nil, shapeError("a recipient")
	}
	decrypter, isRSA := k.Key.(crypto.Decrypter)
	if !ours || !isRSA {
		return nil, nil
	}
	oid, parameters, ok := parseAlgorithm(algorithm)
	switch {
	case !ok:
		return nil, shapeError("a recipient's algorithm")
	case oid.Equal(oidRSAEncryption):
		return []candidate{{k, RSA15.String(), false, func(size int) ([]byte, error) {
			return decryptRSA15(decrypter, encrypted, size)
		}}}, nil
	case oid.Equal(oidRSAESOAEP):
		options, name, err := parseOAEP(parameters)
		if err != nil {
			return nil, err
		}
		return []candidate{{k, name, true, func(int) ([]byte, error) {
			key, err := decrypter.Decrypt(rand.Reader, encrypted, options)
			return key, unavailable(err)
		}}}, nil
	}
	return nil, &UnsupportedError{"key transport", oid.String()}
}

// decryptRSA15 returns a random key if the ciphertext is bad, in the same time
// (RFC 3218, Section 2.3.2). A key that is elsewhere may take its own time to
// say so; what it says stays here.
func decryptRSA15(d crypto.Decrypter, encrypted []byte, size int) ([]byte, error) {
	key := randomKey(size)
	got, err := d.Decrypt(rand.Reader, encrypted, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size})
	if err := unavailable(err); err != nil {
		return nil, err
	}
	if err == nil && len(got) == size {
		subtle.ConstantTimeCopy(1, key, got)
	}
	return key, nil
}

// randomKey is what stands for a key that is not to be had.
func randomKey(size int) []byte {
	key := make([]byte, size)
	rand.Read(key) // never fails
	return key
}

// unavailable returns those errors of a key that say that it can't be used now.
func unavailable(err error) error {
	var temporary interface{ Temporary() bool }
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &temporary) && temporary.Temporary() {
		return fmt.Errorf("use the recipient's key: %w", err)
	}
	return nil
}
