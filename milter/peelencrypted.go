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

// errNotForAll says that some recipient could not read the message himself.
var errNotForAll = errors.New("it is not encrypted for every recipient")

// stays notes a layer that is not decrypted, and ends the peeling.
func (p *peeler) stays(scheme string, verdict signer.Verdict, reason string) (*entity, error) {
	p.layers = append(p.layers, layer{decrypt: &decryption{scheme: scheme, verdict: verdict, reason: reason}})
	return nil, nil
}

// decryptSMIME decrypts enveloped-data and authEnveloped-data.
func (p *peeler) decryptSMIME(e entity) (*entity, error) {
	if p.g.decrypt == nil {
		return nil, nil
	}
	sets, err := recipientKeys(p, keys.SMIME, func(k *keys.Key) (smimeKeys, error) { return decryptionKeys(k), nil })
	if err != nil {
		return nil, err
	}
	inside := p.tx.NewSpool()
	var done *smime.Decrypted
	options := smime.DecryptOptions{Legacy: p.g.decrypt.LegacyCiphers}
	for i, set := range sets {
		if done != nil && set.has(done.Recipient) {
			continue
		}
		var w io.Writer = io.Discard
		if i == 0 {
			w = inside
		}
		var d *smime.Decrypted
		if d, err = smime.Decrypt(w, e.part.Open(e.src), set, options); err != nil {
			if i > 0 && errors.Is(err, smime.ErrNoKey) {
				err = errNotForAll
			}
			break
		}
		if i == 0 {
			done = d
		}
	}
	switch {
	case len(sets) == 0 || errors.Is(err, smime.ErrNoKey):
		return p.stays("smime", signer.None, "no key of ours")
	case errors.Is(err, errNotForAll):
		return p.stays("smime", signer.None, err.Error())
	case errors.Is(err, smime.ErrDecrypt), smime.IsMalformed(err), errors.Is(err, signer.ErrEncoding):
		return p.stays("smime", signer.PermError, "it can't be decrypted")
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case err != nil:
		return nil, p.g.unavailable(err)
	}
	p.layers = append(p.layers, layer{decrypt: &decryption{
		scheme: "smime", verdict: signer.Pass, cipher: done.Cipher.String(), authenticated: done.Authenticated,
		key: sets[0].name(done.Recipient),
	}})
	return p.opened(p.parse(inside))
}

// opened takes what was decrypted for what is to be delivered.
func (p *peeler) opened(inside *entity, err error) (*entity, error) {
	if inside != nil {
		p.plain, p.bare = inside, nil
	}
	return inside, err
}

// smimeKeys are one recipient's keys.
type smimeKeys []smime.DecryptionKey

func (s smimeKeys) has(c *x509.Certificate) bool {
	for _, k := range s {
		if k.Certificate.Equal(c) {
			return true
		}
	}
	return false
}

// name is the address in a certificate, for the report.
func (s smimeKeys) name(c *x509.Certificate) string {
	if len(c.EmailAddresses) > 0 {
		return c.EmailAddresses[0]
	}
	return fmt.Sprintf("serial %x", c.SerialNumber)
}

// decryptionKeys are the ways in which a key of ours decrypts.
func decryptionKeys(k *keys.Key) smimeKeys {
	var all smimeKeys
	add := func(c *x509.Certificate) {
		if k.Decrypter != nil {
			all = append(all, smime.DecryptionKey{Certificate: c, Key: k.Decrypter})
		}
		if k.ECDH != nil {
			all = append(all, smime.DecryptionKey{Certificate: c, Key: k.ECDH})
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

// recipientKeys collects the keys of each recipient, his own and his domain's,
// older versions too. Two recipients with the same keys are one. The result is
// empty if some recipient has none.
func recipientKeys[S ~[]K, K any](p *peeler, scheme keys.Scheme, read func(*keys.Key) (S, error)) ([]S, error) {
	if len(p.tx.Recipients) > maxDecryptRecipients {
		return nil, nil
	}
	var sets []S
	seen := map[string]bool{}
	for _, recipient := range p.tx.Recipients {
		var set S
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
				return nil, p.g.unavailable(fmt.Errorf("find the keys of %s: %w", name, err))
			}
			names = append(names, name)
			for _, k := range versions {
				some, err := read(k.WithContext(p.ctx))
				if err != nil {
					return nil, p.g.unavailable(err)
				}
				set = append(set, some...)
			}
		}
		if len(set) == 0 {
			return nil, nil
		}
		if id := strings.Join(names, " "); !seen[id] {
			seen[id] = true
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// pgpKeys are one recipient's keys.
type pgpKeys []*pgpmime.Key

func (s pgpKeys) has(fingerprint string) bool {
	for _, k := range s {
		if k.Certificate().Fingerprint() == fingerprint {
			return true
		}
	}
	return false
}

// decryptPGP decrypts PGP/MIME and an inline message.
func (p *peeler) decryptPGP(e entity, kind string) (*entity, error) {
	if p.g.decrypt == nil {
		return nil, nil
	}
	sets, err := recipientKeys(p, keys.PGP, func(k *keys.Key) (pgpKeys, error) {
		parsed, err := p.f.openpgpKey(k)
		return pgpKeys{parsed}, err
	})
	if err != nil {
		return nil, err
	}
	message := e.part
	inline := message.IsLeaf()
	if !inline {
		message = e.part.Parts[1]
	}
	held, err := p.authorCertificates()
	if err != nil {
		return nil, err
	}
	options := pgpmime.DecryptOptions{Certificates: held, Verify: p.pgpOptions()}
	inside := p.tx.NewSpool()
	var done *pgpmime.Decrypted
	for i, set := range sets {
		if done != nil && set.has(done.Fingerprint) {
			continue
		}
		var w io.Writer = io.Discard
		if i == 0 {
			w = inside
		}
		var d *pgpmime.Decrypted
		if d, err = pgpmime.Decrypt(w, message.Open(e.src), set, options); err != nil {
			if i > 0 && errors.Is(err, pgpmime.ErrNoKey) {
				err = errNotForAll
			}
			break
		}
		if i == 0 {
			done = d
		}
	}
	switch {
	case len(sets) == 0 || errors.Is(err, pgpmime.ErrNoKey):
		return p.stays("pgp", signer.None, "no key of ours")
	case errors.Is(err, errNotForAll):
		return p.stays("pgp", signer.None, err.Error())
	case errors.Is(err, ErrSpoolFull):
		return nil, tempfail(CauseSpool, err)
	case errors.Is(err, pgpmime.ErrDecrypt), errors.Is(err, pgpmime.ErrUnprotected), errors.Is(err, pgpmime.ErrTooLarge),
		errors.Is(err, pgpmime.ErrMalformed), errors.Is(err, signer.ErrEncoding):
		return p.stays("pgp", signer.PermError, "it can't be decrypted")
	case err != nil:
		return nil, p.g.unavailable(err)
	}
	p.layers = append(p.layers, layer{decrypt: &decryption{
		scheme: "pgp", verdict: signer.Pass, cipher: done.Cipher, authenticated: done.Authenticated, key: done.Name,
	}})
	if p.g.verify != nil && len(done.Signatures) > 0 {
		p.note(entity{}, done.Signatures, false)
	}
	if inline {
		_, err := p.opened(inlineText(e, inside)) // a text has no layers
		return nil, err
	}
	return p.opened(p.parse(inside))
}

// inlineText makes an entity of the text of an inline message: a text of the
// charset that the message announces, else of UTF-8.
func inlineText(e entity, inside *Spool) (*entity, error) {
	charset := e.part.Params["charset"]
	if charset == "" || strings.EqualFold(charset, "us-ascii") {
		charset = "utf-8"
	}
	var header signer.Header
	for _, f := range [][2]string{{"Content-Type", "text/plain; " + signer.Param("charset", charset)}, {"Content-Transfer-Encoding", "8bit"}} {
		field, err := signer.NewField(f[0], f[1])
		if err != nil {
			return nil, fmt.Errorf("describe the decrypted text: %w", err)
		}
		header = append(header, field)
	}
	return &entity{src: inside, part: &signer.Part{Header: header, MediaType: "text/plain", Encoding: "8bit", BodyEnd: inside.Size()}}, nil
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

func (decryptOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("this key is for decryption only")
}
