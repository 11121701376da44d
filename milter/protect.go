package milter

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"waxseal/keys"
	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// protect signs and encrypts as the treatment says and plans the header of the
// result. It returns the new body, or nil where only the header changes.
func (f *Filter) protect(tx *Transaction, header *rewrite, t *treatment) (signer.Content, error) {
	header.strip(t.strip)
	if !isScheme(t.sign) && !isScheme(t.encrypt) {
		return nil, nil
	}
	message := &signer.Message{Header: header.header(), Body: tx.Body}
	entity, err := protectedPart(message, t)
	if err != nil {
		return nil, err
	}
	pgpBoth := t.sign == string(keys.PGP) && t.encrypt == string(keys.PGP)
	if isScheme(t.sign) && !pgpBoth {
		if entity, err = f.sign(entity, t); err != nil {
			return nil, tempfail(CauseCrypto, fmt.Errorf("sign with the key of %s: %w", t.signKey.Name, err))
		}
	}
	if isScheme(t.encrypt) {
		if entity, err = f.encrypt(tx, entity, t, pgpBoth); err != nil {
			return nil, err
		}
	}
	header.replaceContent(entity.Header)
	return entity.Body, nil
}

// protectedPart is what is signed, brought into a form that no MTA alters, or
// what is only encrypted, as it came.
func protectedPart(m *signer.Message, t *treatment) (*signer.Entity, error) {
	if !isScheme(t.sign) {
		return signer.Whole(m), nil
	}
	entity, err := signer.Protectable(m, signer.TransitOptions{PGP: t.usesPGP()})
	var unsafe *signer.UnsafeError
	if errors.As(err, &unsafe) {
		return nil, reject(CauseUnsafe, unsafe.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("prepare the message: %w", err)
	}
	return entity, nil
}

func (f *Filter) sign(entity *signer.Entity, t *treatment) (*signer.Entity, error) {
	if t.sign == string(keys.SMIME) {
		return smime.Sign(entity, t.signKey.Chain, t.signKey.Signer, f.smimeOptions(t))
	}
	key, err := f.Keyring.Key(t.signKey.Name, t.signKey.OpenPGP, t.signKey.Signer)
	if err != nil {
		return nil, err
	}
	return pgpmime.Sign(entity, key, f.pgpOptions(t))
}

func (f *Filter) smimeOptions(t *treatment) smime.SignOptions {
	return smime.SignOptions{Mode: t.mode, Digest: t.digest, PSS: t.pss, EncryptionCertificate: t.signKey.Encryption, Time: f.now()}
}

func (f *Filter) pgpOptions(t *treatment) pgpmime.SignOptions {
	return pgpmime.SignOptions{Digest: t.digest, Time: f.now()}
}

// encrypt writes the encrypted body into a spool of the transaction, so that a
// fault shows before the MTA has been told anything.
func (f *Filter) encrypt(tx *Transaction, entity *signer.Entity, t *treatment, sign bool) (*signer.Entity, error) {
	body := tx.NewSpool()
	var header signer.Header
	var err error
	if t.encrypt == string(keys.SMIME) {
		var to []*x509.Certificate
		for _, c := range t.certificates {
			to = append(to, c.X509[0])
		}
		var o smime.EncryptOptions
		if o, err = smime.ParseEncryptOptions(t.cipher, t.transport); err == nil {
			header, err = smime.Encrypt(body, entity, to, o)
		}
	} else {
		header, err = f.encryptPGP(body, entity, t, sign)
	}
	switch {
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case err != nil:
		return nil, tempfail(CauseCrypto, fmt.Errorf("encrypt to %d certificates: %w", len(t.certificates)+len(t.blind), err))
	}
	return &signer.Entity{Header: header, Body: body}, nil
}

func (f *Filter) encryptPGP(body *Spool, entity *signer.Entity, t *treatment, sign bool) (signer.Header, error) {
	to, o, err := f.pgpEncryption(t)
	if err != nil {
		return nil, err
	}
	var key *pgpmime.Key
	if sign {
		if key, err = f.Keyring.Key(t.signKey.Name, t.signKey.OpenPGP, t.signKey.Signer); err != nil {
			return nil, err
		}
	}
	return pgpmime.Encrypt(body, entity, to, key, o)
}

// pgpEncryption returns to whom and how to encrypt.
func (f *Filter) pgpEncryption(t *treatment) ([]*pgpmime.Certificate, pgpmime.EncryptOptions, error) {
	o := pgpmime.EncryptOptions{Digest: t.digest, Hidden: t.hidden, Time: f.now()}
	to, err := f.pgpCertificates(t.certificates)
	if err == nil {
		o.Blind, err = f.pgpCertificates(t.blind)
	}
	return to, o, err
}

func (f *Filter) pgpCertificates(certificates []*keys.Certificate) ([]*pgpmime.Certificate, error) {
	var to []*pgpmime.Certificate
	for _, c := range certificates {
		parsed, err := f.Keyring.Certificate(c.Name, c.OpenPGP)
		if err != nil {
			return nil, err
		}
		to = append(to, parsed)
	}
	return to, nil
}

// stripKey joins the triggers that leave the message into a comparable form.
func stripKey(triggers []policies.Trigger) string {
	var b strings.Builder
	for _, t := range triggers {
		if t.Strip {
			fmt.Fprintf(&b, "%s\x00%s\x00", t.Name, t.Contains)
		}
	}
	return b.String()
}

// strip takes triggers out: the text where there is one, the field otherwise.
func (r *rewrite) strip(triggers string) {
	parts := strings.Split(triggers, "\x00")
	for ; len(parts) >= 2; parts = parts[2:] {
		name, text := parts[0], parts[1]
		for i := range r.fields {
			p := &r.fields[i]
			if !p.Is(name) || p.deleted {
				continue
			}
			if text == "" {
				p.deleted = true
			} else if changed, ok := signer.StripText(p.Field, text); ok {
				p.Field, p.changed = changed, true
			}
		}
	}
}
