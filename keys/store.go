// Package keys says what a key store is, and checks what comes out of one. The
// stores themselves are its subpackages: vault and directory; cache stands in
// front of either.
package keys

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
)

// Scheme is a way of protecting mail.
type Scheme string

// The schemes.
const (
	SMIME Scheme = "smime" // RFC 8551
	PGP   Scheme = "pgp"   // RFC 3156
)

// ErrNotFound is what a Store wraps when it has no entry of that name. It is
// the policy's business what happens then. Every other error is temporary: the
// store could not be asked, or the entry is there and can't be used.
var ErrNotFound = errors.New("not found")

// Store holds our own keys and other people's certificates, each under an
// address or a domain. Names are given in the form that Name returns. Methods
// may be called from several goroutines at once, honour the context, and
// return an error that wraps ErrNotFound if, and only if, there is no such
// entry. What they return is shared and must not be changed.
type Store interface {
	// Key returns the newest of our own keys stored under name.
	Key(ctx context.Context, scheme Scheme, name string) (*Key, error)
	// Versions returns the keys stored under name, now and in the past, for
	// decryption alone: the newest first, at most MaxVersions versions of the
	// entry. They may have expired, have been retired, or be for encryption
	// only; they have no Signer. Versions that can't be used are left out and
	// noted in the first that can. It is an error if there are some and none
	// can be used.
	Versions(ctx context.Context, scheme Scheme, name string) ([]*Key, error)
	// Certificate returns what messages to name are encrypted to.
	Certificate(ctx context.Context, scheme Scheme, name string) (*Certificate, error)
	// Ready returns an error if the store can't be read at this moment.
	Ready(ctx context.Context) error
	// List returns the names of all entries, sorted as Entry.Compare does. It
	// may return entries together with an error that says which others it
	// could not list.
	List(ctx context.Context) ([]Entry, error)
}

// MaxVersions is how many versions of an entry Versions and History look at.
const MaxVersions = 20

// Entry names one entry of a store.
type Entry struct {
	Scheme Scheme
	Name   string
	// Own is true for one of our keys, false for somebody's certificate.
	Own bool
}

// String returns where an administrator finds the entry, as in
// "smime/alice@example.com" or "recipients/bob@example.org (smime)".
func (e Entry) String() string {
	if e.Own {
		return string(e.Scheme) + "/" + e.Name
	}
	return fmt.Sprintf("recipients/%s (%s)", e.Name, e.Scheme)
}

// Compare orders entries: our own first, then by scheme and by name.
func (e Entry) Compare(f Entry) int {
	if e.Own != f.Own {
		if e.Own {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(e.Scheme, f.Scheme); c != 0 {
		return c
	}
	return cmp.Compare(e.Name, f.Name)
}

// Key is one of our own keys with its certificate, checked when it was loaded.
// It may have expired since: ask Valid before every use.
type Key struct {
	Entry
	// Version counts the versions of the entry, from 1; 0 if the store doesn't.
	Version int
	// Chain is the S/MIME certificate followed by those that lead to its
	// trust anchor; nil for PGP.
	Chain []*x509.Certificate
	// Encryption is the S/MIME certificate that messages to the owner are
	// encrypted to, where that is another one than Chain[0].
	Encryption *x509.Certificate
	// OpenPGP is the armored or binary transferable key of RFC 9580, Section
	// 10: a secret key, or, where Signer or Decrypter is set, the public part
	// of a key that is kept elsewhere. It is nil for S/MIME.
	OpenPGP []byte
	// Signer signs with the private key. It is always set for S/MIME, except in
	// what Versions returns.
	Signer crypto.Signer
	// Decrypter is set if the private key is an RSA key: it takes
	// *rsa.PKCS1v15DecryptOptions and *rsa.OAEPOptions. One that is kept
	// elsewhere may refuse some of them.
	Decrypter crypto.Decrypter
	// ECDH is set if the private key can agree on keys (RFC 5753, RFC 8418) and
	// the store has it.
	ECDH *ecdh.PrivateKey
	// Remote is set if the private key is kept elsewhere. It returns the Signer
	// and the Decrypter, or nil, whose requests end with the context.
	Remote func(context.Context) (crypto.Signer, crypto.Decrypter)
	// Notes are what the store finds odd about the entry, such as a key file
	// that everybody can read. Warnings repeats them.
	Notes []string
}

// WithContext returns the key with a Signer and a Decrypter that are bound to
// the context of a message, where they make requests. FindKey does it.
func (k *Key) WithContext(ctx context.Context) *Key {
	if k.Remote == nil {
		return k
	}
	bound := *k
	s, d := k.Remote(ctx)
	if k.Signer != nil {
		bound.Signer = s
	}
	if k.Decrypter != nil {
		bound.Decrypter = d
	}
	return &bound
}

// Format writes the entry's name whatever the verb, so that no private key can
// get into a log by way of fmt.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.Entry.String()) }

// MarshalText does for encoding/json and log/slog what Format does for fmt.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.Entry.String()), nil }

// Certificate is what is needed to encrypt to somebody. It may have expired
// since it was loaded: ask Valid before every use.
type Certificate struct {
	Entry
	// X509 are the S/MIME certificates that can encrypt, the one to use first;
	// nil for PGP.
	X509 []*x509.Certificate
	// OpenPGP is an armored or binary transferable public key; nil for S/MIME.
	OpenPGP []byte
	// Notes are as in Key.
	Notes []string
}
