package pgpmime

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Certificate is the public part of somebody's OpenPGP key: to encrypt to. It
// is safe for concurrent use.
type Certificate struct {
	name        string
	postQuantum bool // such keys are used for writing

	// mu guards entity: the library notes in it which self-signatures it has
	// verified.
	mu     sync.Mutex
	entity *openpgp.Entity
}

// Key is one of our own keys, to sign with. It is safe for concurrent use if
// its remote signer is.
type Key struct {
	cert *Certificate
	// remote, if not nil, holds the private part of remoteKey.
	remote    crypto.Signer
	remoteKey *packet.PublicKey
}

// ParseKey reads one of our own keys, armored or binary. If remote is nil then
// data holds the secret key, which must not be protected by a passphrase.
// Otherwise data is the certificate, and remote signs for the one of its
// (sub)keys that has remote's public key. The name stands in errors, and
// CheckSign compares it with the key's user ids.
func ParseKey(name string, data []byte, remote crypto.Signer) (*Key, error) {
	return ParseOptions{}.Key(name, data, remote)
}

// ParseOptions says what keys and certificates are used for; the zero value is
// that of ParseKey and ParseCertificate.
type ParseOptions struct {
	// PostQuantum allows to sign with and encrypt to keys of RFC 9980, such as
	// ML-DSA-65+Ed25519 and ML-KEM-768+X25519. That is experimental: few
	// programs can read it. What others have made with them is always read.
	PostQuantum bool
}

// Key is ParseKey with these options.
func (o ParseOptions) Key(name string, data []byte, remote crypto.Signer) (*Key, error) {
	c, err := o.parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("read OpenPGP key of %s: %w", name, err)
	}
	k, err := newKey(c, remote)
	if err != nil {
		return nil, fmt.Errorf("read OpenPGP key of %s: %w", name, err)
	}
	return k, nil
}

// newKey makes a key of a certificate, which holds the private parts if remote
// is nil.
func newKey(c *Certificate, remote crypto.Signer) (*Key, error) {
	if remote != nil {
		public, err := remotePublicKey(c.entity, remote)
		if err != nil {
			return nil, err
		}
		return &Key{cert: c, remote: remote, remoteKey: public}, nil
	}
	if err := checkSecret(c.entity); err != nil {
		return nil, err
	}
	return &Key{cert: c}, nil
}

// checkSecret says why there is nothing in an entity to sign with.
func checkSecret(e *openpgp.Entity) error {
	private := []*packet.PrivateKey{e.PrivateKey}
	for _, s := range e.Subkeys {
		private = append(private, s.PrivateKey)
	}
	var usable, protected bool
	for _, p := range private {
		switch {
		case p == nil || p.Dummy():
		case p.Encrypted:
			protected = true
		default:
			usable = true
		}
	}
	switch {
	case protected:
		return fmt.Errorf("%w: store it without one (gpg --edit-key, passwd)", ErrProtected)
	case !usable:
		return errors.New("it has no secret part: store what gpg --export-secret-keys writes, or name the remote key")
	}
	return nil
}

// ParseCertificate reads somebody's public key, armored or binary. The name
// stands in errors, and CheckEncrypt compares it with the user ids.
func ParseCertificate(name string, data []byte) (*Certificate, error) {
	return ParseOptions{}.Certificate(name, data)
}

// Certificate is ParseCertificate with these options.
func (o ParseOptions) Certificate(name string, data []byte) (*Certificate, error) {
	c, err := o.parse(name, data)
	if err == nil && hasSecret(c.entity) {
		err = errors.New("it is a secret key: store what gpg --export writes, and keep the secret key elsewhere")
	}
	if err != nil {
		return nil, fmt.Errorf("read OpenPGP certificate of %s: %w", name, err)
	}
	return c, nil
}

func hasSecret(e *openpgp.Entity) bool {
	if e.PrivateKey != nil {
		return true
	}
	for _, s := range e.Subkeys {
		if s.PrivateKey != nil {
			return true
		}
	}
	return false
}

// Certificate returns the public part, to encrypt to ourselves.
func (k *Key) Certificate() *Certificate { return k.cert }

// Name returns the name that the certificate was parsed with.
func (c *Certificate) Name() string { return c.name }

// Fingerprint returns the fingerprint of the primary key in hexadecimal.
func (c *Certificate) Fingerprint() string {
	return fmt.Sprintf("%X", c.entity.PrimaryKey.Fingerprint)
}

// NeedsRFC9580 reports whether programs that are older than RFC 9580 do not know
// this kind of primary key: version 6, or version 4 with one of the algorithms
// that are new there.
func (c *Certificate) NeedsRFC9580() bool {
	primary := c.entity.PrimaryKey
	return primary.Version > 4 || primary.PubKeyAlgo > packet.PubKeyAlgoEdDSA
}

// parse reads the one entity that data holds, public or secret.
func (o ParseOptions) parse(name string, data []byte) (c *Certificate, err error) {
	defer guard(&err)
	binary, err := dearmor(data)
	if err != nil {
		return nil, err
	}
	if err := checkPackets(binary); err != nil {
		return nil, err
	}
	entity, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(binary)))
	if err != nil {
		return nil, err
	}
	if n := selfSignatures(entity); n > maxSelfSignatures {
		return nil, fmt.Errorf("it has %d self-signatures and revocations, and at most %d are read: remove the old ones (gpg --edit-key, clean)", n, maxSelfSignatures)
	}
	return &Certificate{name: name, postQuantum: o.PostQuantum, entity: entity}, nil
}

// selfSignatures counts the signatures that may have to be verified.
func selfSignatures(e *openpgp.Entity) int {
	n := len(e.Revocations) + len(e.DirectSignatures)
	for _, id := range e.Identities {
		n += len(id.SelfCertifications) + len(id.Revocations)
	}
	for _, s := range e.Subkeys {
		n += len(s.Bindings) + len(s.Revocations)
	}
	return n
}
