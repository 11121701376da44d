// Package keytool is what the commands about keys do: it reads keys and
// certificates from the files that other programs write, makes them, tries them
// out, and writes their public parts.
package keytool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"waxseal/keys"
	"waxseal/signer/pgpmime"
)

// Found is an entry that is to be stored.
type Found struct {
	Entry keys.Entry
	keys.Material
	// Chain are the certificates, as PEM, that lead from somebody's certificate
	// to its root. They are not stored with it, but see Adopt.
	Chain []byte
}

// Stored says what Store has done.
type Stored struct {
	Entry   keys.Entry
	Version int
	// Done is "stored", "replaced", "unchanged" or "kept for decryption".
	Done string
}

// Store stores an entry. One that can't be used as it is, because it has
// expired for example, is refused; with force, one of our own keys is stored all
// the same, below the one that is there, if it can decrypt.
func Store(ctx context.Context, w keys.Writer, f Found, force bool, now time.Time) (Stored, error) {
	done := Stored{Entry: f.Entry, Done: "stored"}
	old, err := w.Read(ctx, f.Entry)
	if err != nil && !errors.Is(err, keys.ErrNotFound) {
		return done, err
	}
	replaces := 0
	if err == nil {
		replaces, done.Done = old.Version, "replaced"
		if same(old.Material, f.Material) {
			done.Version, done.Done = old.Version, "unchanged"
			return done, nil
		}
	}
	bad := Usable(&keys.Record{Entry: f.Entry, Material: f.Material}, now)
	if bad != nil && !(force && f.Entry.Own) {
		return done, bad
	}
	if done.Version, err = w.Put(ctx, f.Entry, f.Material, replaces); err != nil {
		return done, err
	}
	if bad == nil {
		return done, nil
	}
	done.Done = "kept for decryption"
	if replaces == 0 {
		return done, nil
	}
	// What is there now goes on signing.
	if done.Version, err = w.Put(ctx, f.Entry, old.Material, done.Version); err != nil {
		return done, fmt.Errorf("put the key that was there back on top: %w", err)
	}
	return done, nil
}

// same compares what is stored with what is to be.
func same(a, b keys.Material) bool {
	return bytes.Equal(blocks(a.Certificate), blocks(b.Certificate)) && bytes.Equal(blocks(a.PrivateKey), blocks(b.PrivateKey)) &&
		a.TransitKey == b.TransitKey && (a.TransitVersion == b.TransitVersion || b.TransitVersion == 0)
}

// blocks leaves out what stands before PEM or armor: a store may have written
// there where it comes from.
func blocks(text []byte) []byte {
	return bytes.TrimSpace(text[max(bytes.Index(text, []byte("-----BEGIN ")), 0):])
}

// Usable returns an error if a record, whose key is not in Transit, can't be
// used for messages at that time.
func Usable(r *keys.Record, now time.Time) error {
	if !r.Own {
		c, err := keys.LoadCertificate(r, now)
		if err != nil || r.Scheme == keys.SMIME {
			return err
		}
		parsed, err := pgpmime.ParseCertificate(r.Name, c.OpenPGP)
		if err == nil {
			err = parsed.CheckEncrypt(now)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Entry, err)
		}
		return nil
	}
	if r.TransitKey != "" {
		return nil // which the store checks
	}
	k, err := keys.Load(r, nil, now)
	if err != nil || r.Scheme == keys.SMIME {
		return err
	}
	parsed, err := pgpmime.ParseKey(r.Name, k.OpenPGP, nil)
	if err == nil {
		err = parsed.CheckSign(now)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Entry, err)
	}
	return nil
}
