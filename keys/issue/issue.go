// Package issue gives our own addresses S/MIME keys with certificates that
// Vault's PKI engine signs: when somebody asks for one, when a message needs one,
// and again before it ends. However many programs use the same Vault, a lock
// there lets one of them do it.
package issue

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"waxseal/keys"
	"waxseal/keys/vault"
)

// lockTime bounds how long the one who issues a certificate keeps others from
// doing so: far longer than it takes.
const lockTime = 2 * time.Minute

// Options say how certificates are had.
type Options struct {
	// PKI is the mount of the PKI engine, Role the role there.
	PKI, Role string
	// Transit puts the private keys into Transit, where they stay; else they are
	// made here and stored in KV.
	Transit bool
	// Algorithm is one of Algorithms; "" is the first of them.
	Algorithm string
	// TTL is how long a certificate is to be valid; 0 is what the role says.
	TTL time.Duration
	// RenewBefore is how long before its end a certificate is renewed. Of one
	// that is valid for a short time only, that is after a third of it.
	RenewBefore time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Issuer issues certificates. Use New. It may be used from several goroutines
// at once.
type Issuer struct {
	store   *vault.Store
	options Options
	flights singleflight.Group

	mu     sync.Mutex
	failed map[string]failure
}

// New returns an Issuer, or an error that says what is wrong with the options.
func New(store *vault.Store, o Options) (*Issuer, error) {
	if o.Algorithm == "" {
		o.Algorithm = Algorithms()[0]
	}
	if err := CheckAlgorithm(o.Algorithm, o.Transit); err != nil {
		return nil, err
	}
	if o.PKI == "" || o.Role == "" {
		return nil, errors.New("issue certificates: the mount of the PKI engine and a role are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Issuer{store: store, options: o, failed: map[string]failure{}}, nil
}

// Entry returns the entry of an address, which must be one and not a domain.
func Entry(address string) (keys.Entry, error) {
	name, err := keys.Name(address)
	if err == nil && !strings.Contains(name, "@") {
		err = fmt.Errorf("%q is not an address: %w", address, keys.ErrNotFound)
	}
	return keys.Entry{Scheme: keys.SMIME, Name: name, Own: true}, err
}

// Issue makes a new key and gets a certificate for an address, also where there
// is one already: that one then decrypts only. It returns the version that was
// stored.
func (i *Issuer) Issue(ctx context.Context, address string) (version int, err error) {
	e, err := Entry(address)
	if err != nil {
		return 0, err
	}
	release, err := i.store.Lock(ctx, e.Name, lockTime)
	if err != nil {
		return 0, fmt.Errorf("issue a certificate for %s: %w", e.Name, err)
	}
	defer i.release(ctx, release)
	return i.issue(ctx, e)
}

// release ends a lock, even if the message for which it was taken has gone.
func (i *Issuer) release(ctx context.Context, release func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = release(ctx) // it ends by itself
}

// issue is Issue for the one who holds the lock.
func (i *Issuer) issue(ctx context.Context, e keys.Entry) (version int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("issue a certificate for %s: %w", e.Name, err)
		}
	}()
	replaces := 0
	switch old, err := i.store.Read(ctx, e); {
	case err == nil:
		replaces = old.Version
	case !errors.Is(err, keys.ErrNotFound):
		return 0, err
	}
	m := keys.Material{Source: i.source()}
	var signer crypto.Signer
	if i.options.Transit {
		m.TransitKey = TransitName(e)
		signer, m.TransitVersion, err = i.transit(ctx, e, m.TransitKey)
	} else {
		signer, m.PrivateKey, err = NewKey(i.options.Algorithm)
	}
	if err != nil {
		return 0, err
	}
	request, err := Request(e.Name, signer)
	if err != nil {
		return 0, err
	}
	m.Certificate, err = i.store.SignRequest(ctx, i.options.PKI, i.options.Role, request, i.options.TTL)
	if err != nil {
		return 0, err
	}
	if err := i.check(m.Certificate, e, signer.Public()); err != nil {
		return 0, err
	}
	return i.store.Put(ctx, e, m, replaces)
}

// source says where certificates of this issuer come from. Renew knows its own
// by it.
func (i *Issuer) source() string {
	return "issued by " + strings.Trim(i.options.PKI, "/") + "/sign/" + i.options.Role
}

// transit makes a key in Transit, or a version of it that no certificate is for.
func (i *Issuer) transit(ctx context.Context, e keys.Entry, name string) (crypto.Signer, int, error) {
	history, err := i.store.History(ctx, e)
	if err != nil && !errors.Is(err, keys.ErrNotFound) {
		return nil, 0, err
	}
	return i.store.FreshTransitKey(ctx, name, i.options.Algorithm, func(version int) bool {
		for _, r := range history {
			if r.TransitKey == name && r.TransitVersion >= version {
				return true
			}
		}
		return false
	})
}

// check looks at what the store does not: a role that was set up for servers
// gives certificates that S/MIME programs refuse.
func (i *Issuer) check(chain []byte, e keys.Entry, public crypto.PublicKey) error {
	c, err := leaf(chain)
	if err != nil {
		return err
	}
	where := i.options.PKI + "/sign/" + i.options.Role
	if p, ok := public.(interface{ Equal(crypto.PublicKey) bool }); !ok || !p.Equal(c.PublicKey) {
		return fmt.Errorf("%s has signed another key than it was asked to", where)
	}
	for _, usage := range c.ExtKeyUsage {
		if usage == x509.ExtKeyUsageEmailProtection {
			return nil
		}
	}
	return fmt.Errorf("the certificate from %s is not for mail: set email_protection_flag=true on the role: %w", where, vault.ErrRefused)
}

// leaf returns the first certificate.
func leaf(chain []byte) (*x509.Certificate, error) {
	b, _ := pem.Decode(chain)
	if b == nil || b.Type != "CERTIFICATE" {
		return nil, errors.New("there is no certificate at the beginning")
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return c, nil
}
