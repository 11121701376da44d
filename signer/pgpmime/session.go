package pgpmime

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxAttempts is how many operations with private keys one message may cost.
const maxAttempts = 64

// dataForm is what the encrypted data says about itself.
type dataForm struct {
	version int // of the packet; 0 for that of GnuPG 2.3
	cipher  packet.CipherFunction
	mode    packet.AEADMode
}

// name returns the cipher for reports.
func (f dataForm) name(c packet.CipherFunction) string {
	mode := ""
	switch {
	case f.version == 0:
		mode = "-aead"
	case f.version == 1:
	case f.mode == packet.AEADModeOCB:
		mode = "-ocb"
	case f.mode == packet.AEADModeGCM:
		mode = "-gcm"
	case f.mode == packet.AEADModeEAX:
		mode = "-eax"
	}
	switch c {
	case packet.Cipher3DES:
		return "3des" + mode
	case packet.CipherCAST5:
		return "cast5" + mode
	case packet.CipherAES128:
		return "aes128" + mode
	case packet.CipherAES192:
		return "aes192" + mode
	case packet.CipherAES256:
		return "aes256" + mode
	}
	return fmt.Sprintf("cipher%d%s", c, mode)
}

// sessionVersion is that of the packets that hold the session key: the two go
// together, RFC 9580, Section 10.3.2.1.
func (f dataForm) sessionVersion() int {
	if f.version == 2 {
		return 6
	}
	return 3
}

// sessionKeys are the session key as encrypted to each recipient.
type sessionKeys struct{ packets []*packet.EncryptedKey }

// add reads a packet. One that is not understood may be somebody else's.
func (s *sessionKeys) add(body []byte) {
	p, _ := parsePacket(tagPublicKeySession, body)
	encrypted, ok := p.(*packet.EncryptedKey)
	if !ok {
		encrypted = &packet.EncryptedKey{}
	}
	s.packets = append(s.packets, encrypted)
}

// sessionKey is what the data is decrypted with.
type sessionKey struct {
	cipher packet.CipherFunction
	secret []byte
	owner  *Key
	public *packet.PublicKey // that of the owner's keys which it was encrypted to
	hidden bool              // no packet names a key of ours
	decoy  bool              // there is none: it is random
}

// decryptionKey is a private key of ours that may decrypt.
type decryptionKey struct {
	owner   *Key
	private *packet.PrivateKey
	remote  *remoteDecrypter // nil if the key is here
}

// decryptionKeys returns the private keys that may decrypt: those for
// encryption, whether or not they have ended. Keys for signing only are not
// used, whatever algorithm they have.
func (k *Key) decryptionKeys() (keys []decryptionKey) {
	add := func(public *packet.PublicKey, private *packet.PrivateKey, signatures []*packet.VerifiableSignature) {
		if !public.PubKeyAlgo.CanEncrypt() || !forEncryption(signatures) {
			return
		}
		if private != nil && !private.Dummy() && !private.Encrypted {
			keys = append(keys, decryptionKey{k, private, nil})
			return
		}
		// A subkey may have the numbers of the primary key: one key in Vault for both.
		if d, ok := k.remote.(crypto.Decrypter); ok && samePublicKey(public, d.Public()) {
			if n, ok := d.Public().(*rsa.PublicKey); ok {
				remote := &remoteDecrypter{Decrypter: d, key: n}
				keys = append(keys, decryptionKey{k, &packet.PrivateKey{PublicKey: *public, PrivateKey: remote}, remote})
			}
		}
	}
	e := k.cert.entity
	for _, s := range e.Subkeys {
		add(s.PublicKey, s.PrivateKey, s.Bindings)
	}
	var self []*packet.VerifiableSignature
	for _, id := range e.Identities {
		self = append(self, id.SelfCertifications...)
	}
	add(e.PrimaryKey, e.PrivateKey, append(self, e.DirectSignatures...))
	return keys
}

// forEncryption reports whether one of a key's own signatures is for encryption,
// or none says what it is for. They are not verified: the key is our own.
func forEncryption(signatures []*packet.VerifiableSignature) bool {
	flags := false
	for _, s := range signatures {
		if s.Packet.FlagEncryptCommunications || s.Packet.FlagEncryptStorage {
			return true
		}
		flags = flags || s.Packet.FlagsValid
	}
	return !flags
}

// names reports whether a packet is for a key, and whether it says so.
func names(p *packet.EncryptedKey, k *packet.PublicKey) (hidden, ok bool) {
	if p.Algo != k.PubKeyAlgo {
		return false, false
	}
	switch {
	case p.Version == 3 && p.KeyId == 0, p.Version == 6 && p.KeyVersion == 0:
		return true, true
	case p.Version == 3:
		return false, p.KeyId == k.KeyId
	case p.Version == 6:
		return false, p.KeyVersion == k.Version && string(p.KeyFingerprint) == string(k.Fingerprint)
	}
	return false, false
}

// isForOneOf reports whether the message names one of the keys.
func (s *sessionKeys) isForOneOf(keys []*Key) bool {
	for _, k := range keys {
		for _, d := range k.decryptionKeys() {
			for _, p := range s.packets {
				if hidden, ok := names(p, &d.private.PublicKey); ok && !hidden {
					return true
				}
			}
		}
	}
	return false
}

// find decrypts the session key. If there is one for us that can't be decrypted
// then it returns a random one, so that nobody can tell by the answer or the
// time (RFC 9580, Section 13.5). The error is ErrNoKey, or a remote key's that
// is not about the ciphertext.
func (s *sessionKeys) find(keys []*Key, form dataForm) (*sessionKey, error) {
	var named, hiding []func() (*sessionKey, error)
	for _, k := range keys {
		for _, d := range k.decryptionKeys() {
			for _, p := range s.packets {
				hidden, ok := names(p, &d.private.PublicKey)
				if !ok || p.Version != form.sessionVersion() {
					continue
				}
				attempt := func() (*sessionKey, error) { return d.decrypt(p, form) }
				if hidden {
					hiding = append(hiding, attempt)
				} else {
					named = append(named, attempt)
				}
			}
		}
	}
	if len(named)+len(hiding) == 0 {
		return nil, ErrNoKey
	}
	var unavailable error
	for i, attempt := range append(named, hiding...) {
		if i == maxAttempts {
			break
		}
		key, err := attempt()
		if err == nil {
			key.hidden = len(named) == 0
			return key, nil
		}
		var remote *remoteError
		if errors.As(err, &remote) {
			unavailable = remote
		}
	}
	if unavailable != nil {
		return nil, unavailable
	}
	return decoy(form, len(named) == 0)
}

// decoy returns a session key that decrypts nothing.
func decoy(form dataForm, hidden bool) (*sessionKey, error) {
	c := packet.CipherAES256
	if form.version == 2 {
		c = form.cipher
	}
	secret := make([]byte, c.KeySize())
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return nil, fmt.Errorf("choose a random key: %w", err)
	}
	return &sessionKey{cipher: c, secret: secret, hidden: hidden, decoy: true}, nil
}

// decrypt decrypts the session key with one private key.
func (d *decryptionKey) decrypt(p *packet.EncryptedKey, form dataForm) (key *sessionKey, err error) {
	defer guard(&err)
	one := *p
	err = one.Decrypt(d.private, environment{}.config())
	if d.remote != nil && d.remote.err != nil {
		return nil, &remoteError{d.owner.cert.name, d.remote.err}
	}
	if err != nil {
		return nil, err
	}
	c := one.CipherFunc
	if form.version == 2 {
		c = form.cipher
	}
	if !c.IsSupported() || c.KeySize() != len(one.Key) {
		return nil, errors.New("session key of another length")
	}
	return &sessionKey{cipher: c, secret: one.Key, owner: d.owner, public: &d.private.PublicKey}, nil
}

// remoteError says that a remote key could not be used.
type remoteError struct {
	name string
	err  error
}

func (e *remoteError) Error() string {
	return fmt.Sprintf("decrypt with remote OpenPGP key of %s: %v", e.name, e.err)
}

func (e *remoteError) Unwrap() error { return e.err }

// remoteDecrypter keeps what a remote key says that is not about the
// ciphertext. RFC 9580, Section 5.1.3 wants PKCS #1 v1.5.
type remoteDecrypter struct {
	crypto.Decrypter
	key *rsa.PublicKey
	err error
}

// Decrypt decrypts with the remote key. What can't be a ciphertext is not sent.
func (r *remoteDecrypter) Decrypt(random io.Reader, ciphertext []byte, _ crypto.DecrypterOpts) ([]byte, error) {
	if len(ciphertext) != r.key.Size() || new(big.Int).SetBytes(ciphertext).Cmp(r.key.N) >= 0 {
		return nil, rsa.ErrDecryption
	}
	plain, err := r.Decrypter.Decrypt(random, ciphertext, &rsa.PKCS1v15DecryptOptions{})
	if err != nil && !errors.Is(err, rsa.ErrDecryption) {
		r.err = err
	}
	return plain, err
}
