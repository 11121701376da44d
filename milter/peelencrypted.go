package milter

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// Why a message stays encrypted.
const (
	reasonNoKey     = "no key of ours"
	reasonNotForAll = "not encrypted for every recipient"
	reasonTooMany   = "too many recipients"
	reasonBroken    = "it can't be decrypted"
	reasonTooLarge  = "it is too large"
	reasonAltered   = "what is inside is damaged or was altered"
	reasonPart      = "only a part of the message is encrypted"
)

// errNotForAll says that some recipient could not read the message himself.
var errNotForAll = errors.New(reasonNotForAll)

// stays notes a layer that is not decrypted, and ends the peeling.
func (p *peeler) stays(scheme keys.Scheme, verdict signer.Verdict, reason string) (*entity, error) {
	p.layers = append(p.layers, layer{kind: "encrypted", at: p.at, decrypt: &decryption{scheme: string(scheme), verdict: verdict, reason: reason}})
	return nil, nil
}

// decryptForAll decrypts a message with the keys of the first recipient into w
// and makes sure that the keys of all others give the same. Somebody who has
// come by a message of one recipient could otherwise send it to that one and
// himself, and read it. A name among the message's recipients says nothing,
// since anybody can write it: only the content does.
func decryptForAll[S, D any](w io.Writer, sets []S, decrypt func(io.Writer, S) (D, error), covers func(S, D) bool, final func(error) bool) (D, error) {
	first := sha256.New()
	out := w
	if len(sets) > 1 {
		out = io.MultiWriter(w, first)
	}
	done, err := decrypt(out, sets[0])
	if err != nil {
		return done, err
	}
	for _, set := range sets[1:] {
		if covers(set, done) {
			continue
		}
		same := sha256.New()
		switch _, err := decrypt(same, set); {
		case err != nil && final(err), err == nil && !bytes.Equal(same.Sum(nil), first.Sum(nil)):
			return done, errNotForAll
		case err != nil:
			return done, err
		}
	}
	return done, nil
}

// opened takes what was decrypted for what is to be delivered, unless that can't
// be or must not be.
func (p *peeler) opened(inside *entity, d *decryption) (*entity, error) {
	scheme := keys.Scheme(d.scheme)
	if inside == nil {
		return p.stays(scheme, signer.PermError, reasonAltered)
	}
	if !d.authenticated {
		bad, err := looksAltered(*inside)
		if err != nil {
			return nil, err
		}
		if bad {
			return p.stays(scheme, signer.PermError, reasonAltered)
		}
	}
	if _, ok := contentFields(inside.part.Header); !ok {
		return p.stays(scheme, signer.PermError, "the header of what is inside is too large")
	}
	p.layers = append(p.layers, layer{kind: "encrypted", at: p.at, decrypt: d})
	p.plain, p.signed, p.bare, p.covered, p.sealed = inside, nil, nil, false, true
	return inside, nil
}

// decryptSMIME decrypts enveloped-data and authEnveloped-data.
func (p *peeler) decryptSMIME(e entity) (*entity, error) {
	if p.g.decrypt == nil {
		return nil, nil
	}
	sets, why, err := recipientKeys(p, keys.SMIME, func(k *keys.Key) ([]smimeKey, error) { return smimeKeysOf(k), nil })
	if err != nil {
		return nil, err
	}
	if why.Reason != "" {
		return p.stays(keys.SMIME, why.Verdict, why.Reason)
	}
	final := func(err error) bool {
		return errors.Is(err, smime.ErrNoKey) || errors.Is(err, smime.ErrDecrypt) || smime.IsMalformed(err)
	}
	decrypt := func(w io.Writer, set []smimeKey) (*smime.Decrypted, error) {
		var all []smime.DecryptionKey
		for _, k := range set {
			all = append(all, k.DecryptionKey)
		}
		return smime.Decrypt(w, e.part.Open(e.src), all, smime.DecryptOptions{Legacy: p.g.decrypt.LegacyCiphers})
	}
	covers := func(set []smimeKey, d *smime.Decrypted) bool { return entryOf(set, d.Recipient) != "" }
	inside := p.newLayer()
	done, err := decryptForAll(inside, sets, decrypt, covers, final)
	switch {
	case err == nil:
	case errors.Is(err, smime.ErrNoKey):
		return p.stays(keys.SMIME, signer.None, reasonNoKey)
	case errors.Is(err, errNotForAll):
		return p.stays(keys.SMIME, signer.Policy, reasonNotForAll)
	case errors.Is(err, errTooMuch):
		return p.stays(keys.SMIME, signer.PermError, reasonTooLarge)
	case final(err), errors.Is(err, signer.ErrEncoding):
		return p.stays(keys.SMIME, signer.PermError, reasonBroken)
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case inside.err != nil:
		return nil, fmt.Errorf("keep what was decrypted: %w", inside.err)
	default:
		return nil, p.g.unavailable(err)
	}
	next, err := p.parseCMS(inside, done.ContentType)
	if err != nil {
		return nil, err
	}
	return p.opened(next, &decryption{scheme: string(keys.SMIME), verdict: signer.Pass, cipher: done.Cipher.String(),
		authenticated: done.Authenticated, key: entryOf(sets[0], done.Recipient)})
}

// parseCMS makes an entity of the content of an EnvelopedData: of its type, it
// is a MIME entity, or a SignedData without a header of its own.
func (p *peeler) parseCMS(inside *layerSpool, contentType string) (*entity, error) {
	switch contentType {
	case "data":
		return p.parse(inside)
	case "signed-data":
		return bareEntity("application/pkcs7-mime", "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", "binary", inside.Spool)
	}
	return nil, nil
}

// decryptPGP decrypts PGP/MIME, whose data is that part of e, or an inline
// message, which is e itself.
func (p *peeler) decryptPGP(e entity, data *signer.Part) (*entity, error) {
	if p.g.decrypt == nil {
		return nil, nil
	}
	sets, why, err := recipientKeys(p, keys.PGP, func(k *keys.Key) ([]*pgpmime.Key, error) {
		parsed, err := p.f.openpgpKey(k)
		return []*pgpmime.Key{parsed}, err
	})
	if err != nil {
		return nil, err
	}
	if why.Reason != "" {
		return p.stays(keys.PGP, why.Verdict, why.Reason)
	}
	held, err := p.authorCertificates()
	if err != nil {
		return nil, err
	}
	options := pgpmime.DecryptOptions{Certificates: held, Verify: p.pgpOptions()}
	broken := func(err error) bool {
		return errors.Is(err, pgpmime.ErrDecrypt) || errors.Is(err, pgpmime.ErrMalformed) || errors.Is(err, signer.ErrEncoding)
	}
	final := func(err error) bool {
		return broken(err) || errors.Is(err, pgpmime.ErrNoKey) || errors.Is(err, pgpmime.ErrUnprotected) || errors.Is(err, pgpmime.ErrTooLarge)
	}
	decrypt := func(w io.Writer, set []*pgpmime.Key) (*pgpmime.Decrypted, error) {
		return pgpmime.Decrypt(w, data.Open(e.src), set, options)
	}
	covers := func(set []*pgpmime.Key, d *pgpmime.Decrypted) bool {
		for _, k := range set {
			if k.Certificate().Fingerprint() == d.Fingerprint {
				return true
			}
		}
		return false
	}
	inside := p.newLayer()
	done, err := decryptForAll(inside, sets, decrypt, covers, final)
	switch {
	case err == nil:
	case errors.Is(err, pgpmime.ErrNoKey):
		return p.stays(keys.PGP, signer.None, reasonNoKey)
	case errors.Is(err, errNotForAll):
		return p.stays(keys.PGP, signer.Policy, reasonNotForAll)
	case errors.Is(err, errTooMuch), errors.Is(err, pgpmime.ErrTooLarge):
		return p.stays(keys.PGP, signer.PermError, reasonTooLarge)
	case errors.Is(err, pgpmime.ErrUnprotected):
		return p.stays(keys.PGP, signer.PermError, "it has no integrity protection")
	case broken(err):
		return p.stays(keys.PGP, signer.PermError, reasonBroken)
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case inside.err != nil:
		return nil, fmt.Errorf("keep what was decrypted: %w", inside.err)
	default:
		return nil, p.g.unavailable(err)
	}
	inline := data == e.part
	var next *entity
	if inline {
		next, err = inlineText(e, inside)
	} else {
		next, err = p.parse(inside)
	}
	if err != nil {
		return nil, err
	}
	next, err = p.opened(next, &decryption{scheme: string(keys.PGP), verdict: signer.Pass, cipher: done.Cipher, authenticated: done.Authenticated, key: done.Name})
	if next == nil || err != nil {
		return nil, err
	}
	if len(done.Signatures) > 0 {
		p.uncover(entity{}, done.Signatures, next)
		if !inline {
			if err := p.keepSignature(inside, done); err != nil {
				return nil, err
			}
		}
	}
	if inline {
		return nil, nil // a text has no layers
	}
	return next, nil
}

// keepSignature delivers a message that was signed and encrypted at once as one
// that is signed, so that those behind us can check the signature too. It must
// not need any change that the MTA would make to it.
func (p *peeler) keepSignature(inside *layerSpool, done *pgpmime.Decrypted) error {
	const maxKept = 64 << 10 // bytes of signatures
	if inside.converted || len(done.Signed) > maxKept {
		return nil
	}
	all := section{inside.Spool, signer.Range{End: inside.Size()}}
	if plain, err := isPlain(all); err != nil || !plain {
		return err
	}
	signed, err := pgpmime.Detach(all, done.Signed)
	if err != nil {
		return err
	}
	p.signed = signed
	return nil
}
