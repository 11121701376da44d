package pgpmime

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// candidate is a primary key or subkey that has been found fit for a use.
type candidate struct {
	public  *packet.PublicKey
	private *packet.PrivateKey // nil in a certificate
	binding *packet.Signature  // what says what it is for, and until when
	primary *packet.Signature  // the primary key's self-signature
}

// CheckSign says why the key can't sign at that time. A *UserIDError says that
// it can, but that recipients' programs will not take the signature for one of
// the address.
func (k *Key) CheckSign(now time.Time) error {
	c, err := k.choose(now)
	if err == nil && k.remote != nil {
		err = checkRemote(c.public)
	}
	if err == nil {
		err = k.cert.checkAddress(now)
	}
	if err != nil {
		return fmt.Errorf("OpenPGP key of %s: %w", k.cert.name, err)
	}
	return nil
}

// CheckEncrypt says why nothing can be encrypted to the certificate at that
// time. A *UserIDError says that it can be, but that the certificate may be
// somebody else's.
func (c *Certificate) CheckEncrypt(now time.Time) error {
	_, err := c.choose(now)
	if err == nil {
		err = c.checkAddress(now)
	}
	if err != nil {
		return fmt.Errorf("OpenPGP certificate of %s: %w", c.name, err)
	}
	return nil
}

// NotAfter returns when the key stops being able to sign; the zero time means
// never, or that it already can't.
func (k *Key) NotAfter(now time.Time) time.Time {
	c, err := k.choose(now)
	if err != nil {
		return time.Time{}
	}
	return c.notAfter(k.cert.entity.PrimaryKey)
}

// NotAfter returns when the certificate stops being able to encrypt; the zero
// time means never, or that it already can't.
func (c *Certificate) NotAfter(now time.Time) time.Time {
	chosen, err := c.choose(now)
	if err != nil {
		return time.Time{}
	}
	return chosen.notAfter(c.entity.PrimaryKey)
}

// notAfter returns the earlier end of the key and of its primary key.
func (c candidate) notAfter(primary *packet.PublicKey) time.Time {
	var end time.Time
	for _, life := range []struct {
		created time.Time
		seconds *uint32
	}{
		{primary.CreationTime, c.primary.KeyLifetimeSecs},
		{c.public.CreationTime, c.binding.KeyLifetimeSecs},
		{c.binding.CreationTime, c.binding.SigLifetimeSecs},
	} {
		if life.seconds == nil || *life.seconds == 0 {
			continue
		}
		t := life.created.Add(time.Duration(*life.seconds) * time.Second)
		if end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end
}

// choose returns the (sub)key to sign with: of those whose private part we
// have, the newest subkey that may sign, else the primary key.
func (k *Key) choose(now time.Time) (candidate, error) {
	if k.remote != nil {
		return k.cert.chooseFrom(now, "sign", func(c candidate) bool {
			return c.public == k.remoteKey
		}, signs)
	}
	return k.cert.chooseFrom(now, "sign", func(c candidate) bool {
		return c.private != nil && !c.private.Dummy() && !c.private.Encrypted
	}, signs)
}

// choose returns the newest (sub)key that may be encrypted to.
func (c *Certificate) choose(now time.Time) (candidate, error) {
	return c.chooseFrom(now, "encrypt", func(candidate) bool { return true }, encrypts)
}

// chooseAll returns all (sub)keys that may be encrypted to, the newest first.
func (c *Certificate) chooseAll(now time.Time) ([]candidate, error) {
	return c.suitable(now, "encrypt", func(candidate) bool { return true }, encrypts)
}

func signs(c candidate) bool {
	return c.public.PubKeyAlgo.CanSign() && c.binding.FlagsValid && c.binding.FlagSign
}

func encrypts(c candidate) bool {
	return c.public.PubKeyAlgo.CanEncrypt() && c.binding.FlagsValid &&
		(c.binding.FlagEncryptCommunications || c.binding.FlagEncryptStorage)
}

// chooseFrom returns the best of the suitable keys.
func (c *Certificate) chooseFrom(now time.Time, use string, ours, may func(candidate) bool) (candidate, error) {
	found, err := c.suitable(now, use, ours, may)
	if err != nil {
		return candidate{}, err
	}
	return found[0], nil
}

// suitable returns the keys that are ours and may be used for it: subkeys, the
// newest first, or else the primary key. If none is fit then the error says what
// is wrong with the newest.
func (c *Certificate) suitable(now time.Time, use string, ours, may func(candidate) bool) (found []candidate, err error) {
	defer guard(&err)
	c.mu.Lock()
	defer c.mu.Unlock()
	config := environment{time: now}.config()
	self, err := checkPrimary(c.entity, now, config)
	if err != nil {
		return nil, err
	}

	var reason error
	var reasonTime time.Time
	// Like gpg, take the later one of two that are equally old.
	for i := len(c.entity.Subkeys) - 1; i >= 0; i-- {
		s := &c.entity.Subkeys[i]
		binding, err := s.LatestValidBindingSignature(now, config)
		if err != nil {
			continue
		}
		one := candidate{public: s.PublicKey, private: s.PrivateKey, binding: binding, primary: self}
		if !ours(one) || !may(one) {
			continue
		}
		created := s.PublicKey.CreationTime
		err = checkSubkey(s, binding, now)
		if err == nil {
			err = c.checkExperimental(s.PublicKey)
		}
		if err != nil {
			if reason == nil || created.After(reasonTime) {
				reason, reasonTime = fmt.Errorf("subkey %s: %w", s.PublicKey.KeyIdString(), err), created
			}
			continue
		}
		found = append(found, one)
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return b.public.CreationTime.Compare(a.public.CreationTime)
	})
	if len(found) > 0 {
		return found, nil
	}
	primary := candidate{public: c.entity.PrimaryKey, private: c.entity.PrivateKey, binding: self, primary: self}
	if ours(primary) && may(primary) {
		if err := c.checkExperimental(c.entity.PrimaryKey); err != nil {
			return nil, err
		}
		return []candidate{primary}, nil
	}
	return nil, cmp.Or(reason, fmt.Errorf("%w: none may %s", ErrNoUsableKey, use))
}

// checkExperimental refuses post-quantum keys unless they are allowed.
func (c *Certificate) checkExperimental(k *packet.PublicKey) error {
	if k.IsPQ() && !c.postQuantum {
		return fmt.Errorf("%w: %s is experimental and not allowed here", ErrNoUsableKey, algorithmName(k))
	}
	return nil
}

// checkPrimary says what is wrong with the primary key, on which all depends,
// and returns its self-signature.
func checkPrimary(e *openpgp.Entity, now time.Time, config *packet.Config) (*packet.Signature, error) {
	if e.PrimaryKey.CreationTime.After(now) {
		return nil, fmt.Errorf("%w: it was made on %s; check the clocks", ErrNotYetValid, e.PrimaryKey.CreationTime.UTC().Format(time.DateTime))
	}
	self, err := e.VerifyPrimaryKey(now, config)
	if err != nil {
		return nil, problem(err)
	}
	return self, checkStrength(e.PrimaryKey)
}

// checkSubkey says what is wrong with a subkey apart from its binding.
func checkSubkey(s *openpgp.Subkey, binding *packet.Signature, now time.Time) error {
	switch {
	case s.PublicKey.CreationTime.After(now):
		return ErrNotYetValid
	case s.Revoked(binding, now):
		return ErrRevoked
	case s.Expired(binding, now):
		return ErrExpired
	}
	return checkStrength(s.PublicKey)
}

// problem puts the library's words for what is wrong with a key into ours.
func problem(err error) error {
	switch {
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return ErrRevoked
	case errors.Is(err, pgperrors.ErrKeyExpired), errors.Is(err, pgperrors.ErrSignatureExpired):
		return fmt.Errorf("%w: extend it (gpg --edit-key, expire) or replace it", ErrExpired)
	}
	return err
}

// checkStrength refuses algorithms that RFC 9580, Section 12 deprecates.
func checkStrength(k *packet.PublicKey) error {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoRSAEncryptOnly:
		bits, err := k.BitLength()
		if err != nil {
			return err
		}
		if bits < minRSABits {
			return fmt.Errorf("%w: RSA of %d bits, at least %d are needed", ErrWeakAlgorithm, bits, minRSABits)
		}
	case packet.PubKeyAlgoDSA:
		return fmt.Errorf("%w: DSA", ErrWeakAlgorithm)
	case packet.PubKeyAlgoElGamal:
		return fmt.Errorf("%w: ElGamal", ErrWeakAlgorithm)
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoECDH, packet.PubKeyAlgoEdDSA:
		curve, err := k.Curve()
		if err != nil {
			return err
		}
		if curve == packet.CurveSecP256k1 {
			return fmt.Errorf("%w: elliptic curve %s", ErrWeakAlgorithm, curve)
		}
		if k.Version == 6 && (curve == packet.Curve25519 || curve == packet.Curve448) {
			return errors.New("a v6 key must not have the old form of its curve (RFC 9580, Section 5.5.5)")
		}
	}
	return nil
}
