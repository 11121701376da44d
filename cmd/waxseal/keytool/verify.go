package keytool

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// probe is what is signed and encrypted to see whether a key works.
const probe = "This text was made by waxseal to try a key.\r\n"

// Tried says what was tried with an entry, in words: "ok", "-" where it is not
// for that, or what is wrong.
type Tried struct {
	Entry    keys.Entry
	Sign     string
	Encrypt  string
	Decrypt  string
	Versions int
	Warnings []string
	// Err is the first thing that is wrong.
	Err error
}

// Try signs, verifies, encrypts and decrypts a probe with an entry, as is done
// with messages. All its versions have to decrypt.
func Try(ctx context.Context, s keys.Store, e keys.Entry, now time.Time) Tried {
	t := Tried{Entry: e, Sign: "-", Encrypt: "-", Decrypt: "-"}
	note := func(result *string, err error) {
		*result = "ok"
		if err != nil {
			*result = "failed"
			if t.Err == nil {
				t.Err = fmt.Errorf("%s: %w", e, err)
			}
		}
	}
	if !e.Own {
		c, err := s.Certificate(ctx, e.Scheme, e.Name)
		if err == nil {
			t.Warnings = c.Warnings(now)
			_, err = seal(c, now)
		}
		note(&t.Encrypt, err)
		return t
	}
	k, err := s.Key(ctx, e.Scheme, e.Name)
	if err == nil {
		t.Warnings = k.Warnings(now)
		err = signProbe(k.WithContext(ctx), now)
	}
	note(&t.Sign, err)
	if err == nil {
		c, err := k.Certificate()
		if err == nil {
			_, err = seal(c, now)
		}
		if !errors.Is(err, keys.ErrNotFound) { // a certificate to sign with only
			note(&t.Encrypt, err)
		}
	}
	all, err := s.Versions(ctx, e.Scheme, e.Name)
	if err == nil {
		t.Versions = len(all)
		if err = t.open(ctx, all, now); err == nil && t.Encrypt == "ok" {
			err = t.openCurrent(ctx, k, all, now)
		}
	}
	if err != nil || t.Encrypt == "ok" || len(all) > 0 {
		note(&t.Decrypt, err)
	}
	return t
}

// open tries that every version decrypts what was encrypted to it.
func (t *Tried) open(ctx context.Context, all []*keys.Key, now time.Time) error {
	for _, k := range all {
		c, err := k.Certificate()
		var sealed []byte
		if err == nil {
			sealed, err = seal(c, now)
		}
		if err != nil {
			// Nobody encrypts to it any more, and what was cannot be made here.
			t.Warnings = append(t.Warnings, fmt.Sprintf("%s: version %d was not tried: %v", t.Entry, k.Version, err))
			continue
		}
		if err := unseal(sealed, []*keys.Key{k.WithContext(ctx)}); err != nil {
			return fmt.Errorf("version %d: %w", k.Version, err)
		}
	}
	return nil
}

// openCurrent tries that what is encrypted to the entry now is decrypted.
func (t *Tried) openCurrent(ctx context.Context, k *keys.Key, all []*keys.Key, now time.Time) error {
	c, err := k.Certificate()
	if err != nil {
		return err
	}
	sealed, err := seal(c, now)
	if err != nil {
		return err
	}
	var bound []*keys.Key
	for _, v := range all {
		bound = append(bound, v.WithContext(ctx))
	}
	return unseal(sealed, bound)
}

func entity() (*signer.Entity, error) {
	f, err := signer.NewField("Content-Type", "text/plain; charset=us-ascii")
	if err != nil {
		return nil, err
	}
	return &signer.Entity{Header: signer.Header{f}, Body: signer.NewContent([]byte(probe))}, nil
}

// signProbe signs and verifies. The transforms verify what a key has signed
// themselves.
func signProbe(k *keys.Key, now time.Time) error {
	e, err := entity()
	if err != nil {
		return err
	}
	if k.Scheme == keys.SMIME {
		if err := smime.CheckSigner(k.Chain[0], now); err != nil {
			return err
		}
		_, err = smime.Sign(e, k.Chain, k.Signer, smime.SignOptions{Time: now})
		return err
	}
	parsed, err := pgpmime.ParseKey(k.Name, k.OpenPGP, k.Signer)
	if err == nil {
		err = parsed.CheckSign(now)
	}
	if err == nil {
		_, err = pgpmime.Sign(e, parsed, pgpmime.SignOptions{Time: now})
	}
	return err
}

// seal encrypts the probe and returns the CMS structure or the OpenPGP message.
func seal(c *keys.Certificate, now time.Time) ([]byte, error) {
	e, err := entity()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if c.Scheme == keys.SMIME {
		if _, err := smime.Encrypt(&out, e, c.X509[:1], smime.EncryptOptions{}); err != nil {
			return nil, err
		}
		return io.ReadAll(base64.NewDecoder(base64.StdEncoding, &out))
	}
	parsed, err := pgpmime.ParseCertificate(c.Name, c.OpenPGP)
	if err == nil {
		err = parsed.CheckEncrypt(now)
	}
	if err == nil {
		_, err = pgpmime.Encrypt(&out, e, []*pgpmime.Certificate{parsed}, nil, pgpmime.EncryptOptions{Time: now})
	}
	if err != nil {
		return nil, err
	}
	const begin, end = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"
	from, to := bytes.Index(out.Bytes(), []byte(begin)), bytes.Index(out.Bytes(), []byte(end))
	if from < 0 || to < from {
		return nil, errors.New("the encrypted probe has no OpenPGP message")
	}
	return append(out.Bytes()[from:to+len(end)], "\r\n"...), nil
}

// unseal decrypts the probe with one of the keys.
func unseal(sealed []byte, all []*keys.Key) error {
	var plain bytes.Buffer
	var err error
	if all[0].Scheme == keys.SMIME {
		var with []smime.DecryptionKey
		for _, k := range all {
			with = append(with, decryptionKeys(k)...)
		}
		_, err = smime.Decrypt(&plain, bytes.NewReader(sealed), with, smime.DecryptOptions{})
	} else {
		var with []*pgpmime.Key
		for _, k := range all {
			parsed, err := openPGPKey(k)
			if err != nil {
				return err
			}
			with = append(with, parsed)
		}
		_, err = pgpmime.Decrypt(&plain, bytes.NewReader(sealed), with, pgpmime.DecryptOptions{})
	}
	if err != nil {
		return fmt.Errorf("decrypt the probe: %w", err)
	}
	if !bytes.HasSuffix(plain.Bytes(), []byte(probe)) {
		return errors.New("decrypt the probe: it is another text than was encrypted")
	}
	return nil
}

func decryptionKeys(k *keys.Key) (all []smime.DecryptionKey) {
	for _, c := range []*x509.Certificate{k.Chain[0], k.Encryption} {
		if c == nil {
			continue
		}
		if k.Decrypter != nil {
			all = append(all, smime.DecryptionKey{Certificate: c, Key: k.Decrypter})
		}
		if k.ECDH != nil {
			all = append(all, smime.DecryptionKey{Certificate: c, Key: k.ECDH})
		}
	}
	return all
}

func openPGPKey(k *keys.Key) (*pgpmime.Key, error) {
	if k.Decrypter == nil {
		return pgpmime.ParseKey(k.Name, k.OpenPGP, k.Signer)
	}
	return pgpmime.ParseKey(k.Name, k.OpenPGP, decryptOnly{k.Decrypter})
}

// decryptOnly is a remote key that is asked for decryption alone.
type decryptOnly struct{ crypto.Decrypter }

// Sign refuses.
func (decryptOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("this key is for decryption only")
}
