package pgpmime

import (
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"waxseal/signer"
)

// clockTolerance is by how much a signer's clock may be ahead of ours.
const clockTolerance = 15 * time.Minute

// maxUserID is how many characters of a user id are reported.
const maxUserID = 256

// verifier says what is to be said about signatures over one document.
type verifier struct {
	certificates []*Certificate
	address      string
	now          time.Time
	// recipient is the key that the document was decrypted with; nil if it was
	// not encrypted.
	recipient *packet.PublicKey
}

// signingKey is a key of a certificate that may be the one that signed.
type signingKey struct {
	certificate *Certificate
	public      *packet.PublicKey
	sub         *openpgp.Subkey // nil if it is the primary key
}

// verify checks a signature over a document whose digest is h; nil if the
// document was not hashed for it.
func (v *verifier) verify(c *claim, h hash.Hash) signer.Verification {
	found := signer.Verification{
		Scheme:      "pgp",
		Algorithm:   c.algorithmName(nil),
		Fingerprint: c.issuer(),
		Identifier:  c.issuer(),
	}
	if c.packet != nil {
		found.SignedAt = c.packet.CreationTime
	}
	none := signer.Finding{Verdict: signer.None, Reason: "not checked"}
	switch {
	case c.why.Verdict != "":
		found.Integrity = c.why
	case !c.isOfDocument():
		found.Integrity = signer.Finding{Verdict: signer.Fail, Reason: fmt.Sprintf("the signature is not over a document but of type 0x%02x", c.kind)}
	case h == nil:
		found.Integrity = signer.Finding{Verdict: signer.PermError, Reason: "the signature is not announced before the text"}
	}
	if found.Integrity.Verdict != "" {
		found.Certificate, found.Chain, found.Address, found.Revocation = none, none, none, none
		return found
	}
	keys := v.signingKeys(c.packet)
	if len(keys) == 0 {
		unknown := signer.Finding{Verdict: signer.Neutral, Reason: "the signer's key " + c.issuer() + " is not known here"}
		found.Integrity, found.Certificate = unknown, unknown
		found.Chain, found.Address, found.Revocation = none, none, none
		return found
	}
	var best signer.Verification
	for i, k := range keys {
		state := h
		if i < len(keys)-1 {
			var err error
			if state, err = clone(h); err != nil {
				break
			}
		}
		one := v.verifyWith(c, k, state, found)
		if i == 0 || best.Result().Verdict != signer.Pass && one.Result().Verdict == signer.Pass ||
			best.Integrity.Verdict == signer.Fail && one.Integrity.Verdict != signer.Fail {
			best = one
		}
	}
	return best
}

func clone(h hash.Hash) (hash.Hash, error) {
	cloner, ok := h.(hash.Cloner)
	if !ok {
		return nil, errors.New("a digest that can't be copied")
	}
	return cloner.Clone()
}

// signingKeys returns the keys that the signature names.
func (v *verifier) signingKeys(sig *packet.Signature) (keys []signingKey) {
	for _, c := range v.certificates {
		if sig.CheckKeyIdOrFingerprint(c.entity.PrimaryKey) {
			keys = append(keys, signingKey{c, c.entity.PrimaryKey, nil})
		}
		for i := range c.entity.Subkeys {
			if s := &c.entity.Subkeys[i]; sig.CheckKeyIdOrFingerprint(s.PublicKey) {
				keys = append(keys, signingKey{c, s.PublicKey, s})
			}
		}
	}
	return keys
}

// verifyWith makes all findings with one key.
func (v *verifier) verifyWith(c *claim, k signingKey, h hash.Hash, found signer.Verification) signer.Verification {
	found.Fingerprint = k.certificate.Fingerprint()
	found.Algorithm = c.algorithmName(k.public)
	found.Addresses = k.certificate.addresses(v.now)
	found.Identifier = k.certificate.userID(v.now)
	found.Integrity = v.integrity(c, k.public, h)
	found.Certificate, found.Revocation = k.certificate.mayHaveSigned(k, c.packet.CreationTime, v.now)
	found.Chain = v.chain(k.certificate)
	found.Address = v.addressOf(k.certificate)
	return found
}

// integrity checks the signature itself, and whether its algorithms are good
// enough.
func (v *verifier) integrity(c *claim, k *packet.PublicKey, h hash.Hash) signer.Finding {
	fail := func(reason string) signer.Finding { return signer.Finding{Verdict: signer.Fail, Reason: reason} }
	sig := c.packet
	if sig.Version != k.Version {
		return fail(fmt.Sprintf("a signature of version %d can't be of a key of version %d", sig.Version, k.Version))
	}
	if err := verifySignature(k, h, sig); err != nil {
		return fail("the signature does not match the text")
	}
	if end := expiry(sig.CreationTime, sig.SigLifetimeSecs); !end.IsZero() && v.now.After(end) {
		return fail("the signature expired on " + date(end))
	}
	if sig.CreationTime.After(v.now.Add(clockTolerance)) {
		return fail("the signature is dated in the future: " + date(sig.CreationTime))
	}
	for _, n := range sig.Notations {
		if n.IsCritical {
			return fail("the signature has a critical notation that is not known here")
		}
	}
	if len(sig.IntendedRecipients) > 0 && v.recipient != nil && !v.isIntended(sig.IntendedRecipients) {
		return signer.Finding{Verdict: signer.Policy, Reason: "the signer meant the message for other recipients"}
	}
	if isWeakDigest(c.digest) {
		_, name := digestByID(c.digest)
		return signer.Finding{Verdict: signer.Policy, Reason: "digest " + name + " is too weak"}
	}
	if err := checkStrength(k); err != nil {
		return signer.Finding{Verdict: signer.Policy, Reason: err.Error()}
	}
	return signer.Finding{Verdict: signer.Pass}
}

func verifySignature(k *packet.PublicKey, h hash.Hash, sig *packet.Signature) (err error) {
	defer guard(&err)
	return k.VerifySignature(h, sig)
}

// isIntended reports whether the recipient is named. RFC 9580, Section 5.2.3.36.
func (v *verifier) isIntended(names []*packet.Recipient) bool {
	return slices.ContainsFunc(names, func(r *packet.Recipient) bool {
		return r.KeyVersion == v.recipient.Version && slices.Equal(r.Fingerprint, v.recipient.Fingerprint)
	})
}

// chain says whether the certificate is held for the address, or for its domain.
func (v *verifier) chain(c *Certificate) signer.Finding {
	if v.address == "" || c.isFor(v.address) {
		return signer.Finding{Verdict: signer.Pass}
	}
	return signer.Finding{Verdict: signer.Fail, Reason: fmt.Sprintf("the certificate is held for %s, not for %s", c.name, v.address)}
}

// addressOf says whether a user id holds the address, or as much of it as the
// certificate of a domain has to.
func (v *verifier) addressOf(c *Certificate) signer.Finding {
	if v.address == "" {
		return signer.Finding{Verdict: signer.None, Reason: "no address was asked about"}
	}
	if slices.ContainsFunc(c.addresses(v.now), func(a string) bool { return foldAddress(a) == foldAddress(v.address) }) {
		return signer.Finding{Verdict: signer.Pass}
	}
	if !c.isForAddress() && c.isFor(v.address) && c.CheckUserID(v.now) == nil {
		return signer.Finding{Verdict: signer.Pass}
	}
	return signer.Finding{Verdict: signer.Fail, Reason: "no valid user id holds the address " + v.address}
}

// isFor reports whether the certificate is stored for the address or its domain.
func (c *Certificate) isFor(address string) bool {
	if c.isForAddress() {
		return foldAddress(c.name) == foldAddress(address)
	}
	_, domain, ok := cutAddress(address)
	return ok && foldDomain(domain) == foldDomain(c.name)
}

// userID returns the user id to name the certificate by, or its fingerprint.
func (c *Certificate) userID(now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id := primaryUserID(c.entity, now); id != "" {
		return id
	}
	return c.Fingerprint()
}

func primaryUserID(e *openpgp.Entity, now time.Time) (id string) {
	var err error
	defer guard(&err)
	if _, identity := e.PrimaryIdentity(now, environment{time: now}.config()); identity != nil {
		return printable(identity.Name)
	}
	return ""
}

// printable returns a user id for a report: without control characters, and not
// endless.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxUserID {
		return string(r[:maxUserID])
	}
	return s
}

// mayHaveSigned says whether a key of the certificate may sign, now that the
// message has come, and could when it was signed.
func (c *Certificate) mayHaveSigned(k signingKey, signedAt, now time.Time) (certificate, revocation signer.Finding) {
	err := c.checkSigner(k, signedAt, now)
	pass := signer.Finding{Verdict: signer.Pass}
	switch {
	case err == nil:
		return pass, pass
	case errors.Is(err, ErrRevoked):
		revoked := signer.Finding{Verdict: signer.Fail, Reason: "the key has been revoked"}
		return revoked, revoked
	case errors.Is(err, ErrWeakAlgorithm):
		return signer.Finding{Verdict: signer.Policy, Reason: err.Error()}, pass
	}
	return signer.Finding{Verdict: signer.Fail, Reason: err.Error()}, pass
}

func (c *Certificate) checkSigner(k signingKey, signedAt, now time.Time) (err error) {
	defer guard(&err)
	c.mu.Lock()
	defer c.mu.Unlock()
	config := environment{time: now}.config()
	binding, err := checkPrimary(c.entity, now, config)
	if errors.Is(err, ErrExpired) {
		return errors.New("the key has expired")
	}
	if err != nil {
		return err
	}
	mayLackFlags := true
	if k.sub != nil {
		mayLackFlags = false
		// The library wants the subkey's signature over the primary key too, so
		// that nobody can claim another's subkey. RFC 9580, Section 10.1.5.
		if binding, err = k.sub.LatestValidBindingSignature(time.Time{}, config); err != nil {
			return errors.New("the subkey is not bound to the certificate")
		}
		switch err := checkSubkey(k.sub, binding, now); {
		case errors.Is(err, ErrExpired):
			return errors.New("the subkey has expired")
		case err != nil:
			return err
		}
	}
	if !binding.FlagSign && (binding.FlagsValid || !mayLackFlags) {
		return fmt.Errorf("%w: it may not sign", ErrNoUsableKey)
	}
	if signedAt.Before(k.public.CreationTime) {
		return fmt.Errorf("the signature of %s is older than the key", date(signedAt))
	}
	return nil
}

// expiry returns when something made then ends that lasts so many seconds; the
// zero time means never.
func expiry(from time.Time, seconds *uint32) time.Time {
	if seconds == nil || *seconds == 0 {
		return time.Time{}
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

func date(t time.Time) string { return t.UTC().Format(time.DateTime) }

// tooManySignatures stands for the signatures that were not looked at.
func tooManySignatures() signer.Verification {
	return malformedSignature(fmt.Sprintf("more than %d signatures: the others were not checked", maxSignaturesOfOne))
}

// malformedSignature stands for what can't be read as a signature.
func malformedSignature(reason string) signer.Verification {
	none := signer.Finding{Verdict: signer.None, Reason: "not checked"}
	return signer.Verification{
		Scheme:      "pgp",
		Integrity:   signer.Finding{Verdict: signer.PermError, Reason: reason},
		Certificate: none, Chain: none, Address: none, Revocation: none,
	}
}
