package keys

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Load makes the key to sign with from one of our own entries. remote is the
// public part of its key in Transit, or nil if it has none; where it is set,
// the Signer of what Load returns is not.
func Load(r *Record, remote crypto.PublicKey, now time.Time) (k *Key, err error) {
	switch {
	case remote == nil && len(r.PrivateKey) == 0:
		err = fmt.Errorf("%s: the private key is missing", r.Entry)
	case remote != nil && len(r.Certificate) == 0:
		err = fmt.Errorf("%s: the certificate is missing", r.Entry)
	case r.Scheme == PGP && remote == nil:
		k, err = ParseOpenPGPKey(r.Entry, r.PrivateKey)
	case r.Scheme == PGP:
		k, err = ParseRemoteOpenPGPKey(r.Entry, r.Certificate, remote)
	case remote == nil:
		k, err = ParseKey(r.Entry, r.text(), now)
	default:
		k, err = ParseRemoteKey(r.Entry, r.text(), remote, now)
	}
	if err != nil {
		return nil, err
	}
	k.Version = r.Version
	return k, nil
}

// LoadCertificate makes what messages are encrypted to from an entry of
// somebody's.
func LoadCertificate(r *Record, now time.Time) (*Certificate, error) {
	if r.Scheme == PGP {
		return ParseOpenPGPCertificate(r.Entry, r.Certificate)
	}
	return ParseCertificate(r.Entry, r.Certificate, now)
}

// LoadVersions makes the keys to decrypt with from the versions of an entry, as
// Store.Versions says. remote returns what decrypts with the key in Transit of a
// version, or nil if that can only sign; an error that wraps ErrNotFound is one
// of that version alone. It is called for versions that name such a key.
func LoadVersions(e Entry, records []*Record, remote func(*Record) (crypto.Decrypter, error)) ([]*Key, error) {
	var out []*Key
	var bad []error
	for _, r := range records {
		var d crypto.Decrypter
		if r.TransitKey != "" {
			var err error
			if d, err = remote(r); errors.Is(err, ErrNotFound) {
				bad = append(bad, fmt.Errorf("version %d: %w", r.Version, err))
			} else if err != nil {
				return nil, err
			}
		}
		ks, err := loadVersion(r, d)
		if err != nil {
			bad = append(bad, fmt.Errorf("version %d: %w", r.Version, err))
		}
		out = append(out, ks...)
	}
	if len(out) == 0 && len(bad) > 0 {
		// Not wrapped: that a key in Transit is not there doesn't mean that the
		// entry isn't.
		return nil, fmt.Errorf("%s: none of its versions can decrypt; the newest: %v", e, bad[0])
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no versions: %w", e, ErrNotFound)
	}
	for _, err := range bad {
		out[0].Notes = append(out[0].Notes, err.Error())
	}
	return out, nil
}

func loadVersion(r *Record, remote crypto.Decrypter) (out []*Key, err error) {
	if r.Scheme == SMIME {
		out, err = ParseVersion(r.Entry, r.text(), remote)
	} else {
		if len(r.PrivateKey) > 0 {
			var k *Key
			if k, err = ParseOpenPGPKey(r.Entry, r.PrivateKey); err == nil {
				out = append(out, k)
			}
		}
		if remote != nil && openPGPHas(r.Certificate, remote.Public()) {
			out = append(out, &Key{Entry: r.Entry, OpenPGP: r.Certificate, Decrypter: remote})
		}
		if out == nil && err == nil {
			err = fmt.Errorf("%s: no private key that can decrypt", r.Entry)
		}
	}
	for _, k := range out {
		k.Version = r.Version
	}
	return out, err
}

// Check returns an error if material can't be loaded as the entry, neither to
// sign nor to decrypt nor to encrypt to. remote is as for Load.
func Check(e Entry, m Material, remote crypto.PublicKey, now time.Time) error {
	r := &Record{Entry: e, Material: m}
	if !e.Own {
		_, err := LoadCertificate(r, now)
		return err
	}
	_, err := Load(r, remote, now)
	if err == nil || remote != nil {
		return err
	}
	if _, other := loadVersion(r, nil); other == nil {
		return nil
	}
	return err
}

// text is the certificates and the private key of an S/MIME entry.
func (m Material) text() []byte {
	return bytes.Join([][]byte{m.Certificate, m.PrivateKey}, []byte("\n"))
}

// SplitPEM takes the private key out of PEM text. Both parts are written anew,
// without what stands between the blocks; what is no PEM is dropped.
func SplitPEM(text []byte) (certificates, private []byte) {
	for range maxBlocks {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if strings.HasSuffix(b.Type, "PRIVATE KEY") {
			private = append(private, pem.EncodeToMemory(b)...)
		} else {
			certificates = append(certificates, pem.EncodeToMemory(b)...)
		}
	}
	return certificates, private
}

// OneLine makes a text that people wrote fit for one line of 200 characters.
func OneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200])
	}
	return text
}
