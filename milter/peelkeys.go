package milter

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// maxDecryptRecipients is how many recipients of one message we look for keys
// of. A message to more stays encrypted.
const maxDecryptRecipients = 50

// recipientKeys collects the keys of each recipient, his own and his domain's,
// older versions too. Two recipients with the same keys are one. If the message
// can't be decrypted for all of them, why says so.
func recipientKeys[K any](p *peeler, scheme keys.Scheme, read func(*keys.Key) ([]K, error)) (sets [][]K, why signer.Finding, err error) {
	if len(p.tx.Recipients) > maxDecryptRecipients {
		return nil, signer.Finding{Verdict: signer.Policy, Reason: reasonTooMany}, nil
	}
	seen := map[string]bool{}
	without := false
	for _, recipient := range p.tx.Recipients {
		var set []K
		var names []string
		for _, normal := range []func(string) (string, error){keys.Name, keys.Domain} {
			name, err := normal(recipient)
			if err != nil {
				continue // no store holds such a name
			}
			versions, err := p.f.Keys.Versions(p.ctx, scheme, name)
			if errors.Is(err, keys.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, why, p.g.unavailable(fmt.Errorf("find the keys of %s: %w", name, err))
			}
			names = append(names, name)
			for _, k := range versions {
				some, err := read(k.WithContext(p.ctx))
				if err != nil {
					return nil, why, p.g.unavailable(fmt.Errorf("read the keys of %s: %w", name, err))
				}
				set = append(set, some...)
			}
		}
		if len(set) == 0 {
			without = true
			continue
		}
		if id := strings.Join(names, " "); !seen[id] {
			seen[id] = true
			sets = append(sets, set)
		}
	}
	switch {
	case len(sets) == 0:
		why = signer.Finding{Verdict: signer.None, Reason: reasonNoKey}
	case without:
		why = signer.Finding{Verdict: signer.Policy, Reason: reasonNotForAll}
	}
	return sets, why, nil
}

// smimeKey is a way in which a key of ours decrypts, with its entry's name.
type smimeKey struct {
	smime.DecryptionKey
	entry string
}

// smimeKeysOf are the ways in which a key of ours decrypts.
func smimeKeysOf(k *keys.Key) []smimeKey {
	var all []smimeKey
	add := func(c *x509.Certificate) {
		if k.Decrypter != nil {
			all = append(all, smimeKey{smime.DecryptionKey{Certificate: c, Key: k.Decrypter}, k.Name})
		}
		if k.ECDH != nil {
			all = append(all, smimeKey{smime.DecryptionKey{Certificate: c, Key: k.ECDH}, k.Name})
		}
	}
	if len(k.Chain) > 0 {
		add(k.Chain[0])
	}
	if k.Encryption != nil {
		add(k.Encryption)
	}
	return all
}

// entryOf is the name of the entry with that certificate, or "".
func entryOf(set []smimeKey, c *x509.Certificate) string {
	for _, k := range set {
		if k.Certificate.Equal(c) {
			return k.entry
		}
	}
	return ""
}

// openpgpKey parses a key of ours for decryption.
func (f *Filter) openpgpKey(k *keys.Key) (*pgpmime.Key, error) {
	if k.Decrypter == nil {
		return f.Keyring.Key(k.Name, k.OpenPGP, k.Signer)
	}
	return f.Keyring.Key(k.Name, k.OpenPGP, decryptOnly{k.Decrypter})
}

// decryptOnly is a remote key that is asked for decryption alone.
type decryptOnly struct{ crypto.Decrypter }

// Sign refuses.
func (decryptOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("this key is for decryption only")
}
