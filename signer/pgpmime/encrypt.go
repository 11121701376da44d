package pgpmime

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"waxseal/signer"
)

// EncryptOptions says how Encrypt encrypts; the zero value is a good choice.
type EncryptOptions struct {
	// Digest is that of the signature, as in SignOptions.
	Digest crypto.Hash
	// Blind are further certificates to encrypt to, whose keys the message does
	// not name: those of blind copies. That there are some can be seen, and their
	// owners have to try all their keys. A key that is also one of the others is
	// named.
	Blind []*Certificate
	// Hidden names nobody: neither key ids nor, in the signature, fingerprints.
	Hidden bool
	// Time is when the message is made, now if zero.
	Time time.Time
	// Rand is where random bytes come from, crypto/rand if nil.
	Rand io.Reader
}

// recipient is a certificate with the key that is encrypted to.
type recipient struct {
	certificate *Certificate
	key         candidate
	hidden      bool // it is not named
}

// Encrypt encrypts e, as e.WriteTo writes it, to all certificates and writes
// the body of a multipart/encrypted entity (RFC 3156, Section 4) to w. It
// returns the header of that entity. If sign is not nil then the OpenPGP message
// is signed too (RFC 3156, Section 6.2).
//
// The cipher is AES-256. Integrity is protected by version 2 of the encrypted
// data packet if every certificate says that it can be read, and by version 1
// otherwise. The mode of version 2 is OCB, or GCM if all prefer that. All valid
// encryption keys of a certificate are used, since people may have different ones
// on different devices; of one that has post-quantum keys, only those are.
//
// Encrypt reads e once and needs the same memory whatever its size. If it
// fails, what has been written to w is worthless.
func Encrypt(w io.Writer, e *signer.Entity, to []*Certificate, sign *Key, o EncryptOptions) (signer.Header, error) {
	env := environment{time: o.Time, rand: o.Rand}
	recipients, err := chooseRecipients(to, env.now(), o)
	if err != nil {
		return nil, err
	}
	var s *signature
	if sign != nil {
		if s, err = newSignature(sign, o.Digest, env); err != nil {
			return nil, fmt.Errorf("sign with OpenPGP key of %s: %w", sign.cert.name, err)
		}
		s.packet.IntendedRecipients = intended(s.packet.Version, recipients)
	}
	boundary, err := env.boundary()
	if err != nil {
		return nil, err
	}
	field, err := signer.NewField("Content-Type",
		`multipart/encrypted; protocol="application/pgp-encrypted"; `+signer.Param("boundary", boundary))
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(w, "--%[1]s\r\n"+
		"Content-Type: application/pgp-encrypted\r\n"+
		"Content-Description: PGP/MIME version identification\r\n"+
		"\r\n"+
		"Version: 1\r\n"+
		"\r\n--%[1]s\r\n"+
		"Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n"+
		"Content-Description: OpenPGP encrypted message\r\n"+
		"Content-Disposition: inline; filename=\"encrypted.asc\"\r\n"+
		"\r\n", boundary); err != nil {
		return nil, err
	}
	armor, err := newArmorWriter(w, "PGP MESSAGE")
	if err != nil {
		return nil, err
	}
	if err := encryptMessage(armor, e, recipients, s, env); err != nil {
		return nil, fmt.Errorf("encrypt with OpenPGP: %w", err)
	}
	if err := armor.Close(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(w, "\r\n--%s--\r\n", boundary); err != nil {
		return nil, err
	}
	return signer.Header{field}, nil
}

// Cipher returns the cipher that Encrypt would use, for reports: "aes256", or
// "aes256-ocb" or "aes256-gcm" with version 2 of the encrypted data packet.
func Cipher(to []*Certificate, o EncryptOptions) string {
	recipients, err := chooseRecipients(to, environment{time: o.Time}.now(), o)
	if err != nil {
		return "aes256"
	}
	form := formFor(recipients)
	return form.name(packet.CipherAES256)
}

// maxKeysOfOne is how many keys of a certificate are encrypted to.
const maxKeysOfOne = 16

// chooseRecipients chooses the keys of each certificate and leaves out those that
// are there already.
func chooseRecipients(to []*Certificate, now time.Time, o EncryptOptions) ([]recipient, error) {
	if len(to)+len(o.Blind) == 0 {
		return nil, errors.New("encrypt with OpenPGP: no certificate to encrypt to")
	}
	var recipients []recipient
	seen := map[string]bool{}
	for i, c := range slices.Concat(to, o.Blind) {
		keys, err := c.chooseAll(now)
		if err != nil {
			return nil, fmt.Errorf("encrypt with OpenPGP certificate of %s: %w", c.name, err)
		}
		keys = strongest(keys)
		for _, key := range keys[:min(len(keys), maxKeysOfOne)] {
			if id := string(key.public.Fingerprint); !seen[id] {
				seen[id] = true
				recipients = append(recipients, recipient{c, key, o.Hidden || i >= len(to)})
			}
		}
	}
	return recipients, nil
}

// strongest leaves out the other keys where there are post-quantum ones, which
// they would make useless.
func strongest(keys []candidate) []candidate {
	var quantum []candidate
	for _, k := range keys {
		if k.public.IsPQ() {
			quantum = append(quantum, k)
		}
	}
	if len(quantum) > 0 {
		return quantum
	}
	return keys
}

// formFor returns the form of encrypted data that all can read: version 2 if all
// announce it in their features (RFC 9580, Section 5.2.3.32). OCB is what all of
// them have; GCM, which is faster, is taken if all would rather have it (Section
// 5.2.3.15).
func formFor(recipients []recipient) dataForm {
	form := dataForm{version: 2, cipher: packet.CipherAES256, mode: packet.AEADModeGCM}
	for _, r := range recipients {
		if !r.key.primary.SEIPDv2 {
			return dataForm{version: 1, cipher: packet.CipherAES256}
		}
		if !prefersGCM(r.key.primary.PreferredCipherSuites) {
			form.mode = packet.AEADModeOCB
		}
	}
	return form
}

// prefersGCM reports whether GCM stands before OCB among the modes for AES-256.
func prefersGCM(suites [][2]uint8) bool {
	for _, s := range suites {
		if s[0] == uint8(packet.CipherAES256) && s[1] != uint8(packet.AEADModeEAX) {
			return s[1] == uint8(packet.AEADModeGCM)
		}
	}
	return false
}

// intended names the recipients in the signature, so that none of them can send
// it on as if it had been meant for somebody else. RFC 9580, Section 5.2.3.36.
// Programs that take version 4 signatures for broken if they name a key of
// version 6 are in use (Sequoia 0.27): such a signature names nobody, since one
// that names only some is none for the others. For that reason it names nobody
// either if somebody is hidden.
func intended(version int, recipients []recipient) []*packet.Recipient {
	var out []*packet.Recipient
	var last *packet.PublicKey
	for _, r := range recipients {
		if r.hidden {
			return nil
		}
		primary := r.certificate.entity.PrimaryKey
		if primary == last { // another key of the same certificate
			continue
		}
		last = primary
		if version < 6 && primary.Version >= 6 {
			return nil
		}
		out = append(out, &packet.Recipient{KeyVersion: primary.Version, Fingerprint: primary.Fingerprint})
	}
	return out
}

// encryptMessage writes an OpenPGP message, RFC 9580, Section 10.3: the session
// key for each recipient, and encrypted with it a literal data packet, between
// the two halves of a signature if s is not nil.
func encryptMessage(w io.Writer, e *signer.Entity, recipients []recipient, s *signature, env environment) (err error) {
	defer guard(&err)
	config := env.config()
	form := formFor(recipients)
	sessionKey := make([]byte, packet.CipherAES256.KeySize())
	defer clear(sessionKey)
	if _, err := io.ReadFull(config.Random(), sessionKey); err != nil {
		return fmt.Errorf("choose a session key: %w", err)
	}
	for _, r := range recipients {
		err := packet.SerializeEncryptedKeyAEADwithHiddenOption(w, r.key.public, packet.CipherAES256, form.version == 2, sessionKey, r.hidden, config)
		if err != nil {
			return fmt.Errorf("to %s: %w", r.certificate.name, err)
		}
	}
	plain, err := newSEIPD(w, form, sessionKey, config)
	if err != nil {
		return err
	}
	if s == nil {
		if err := writeLiteral(plain, plain, e); err != nil {
			return err
		}
		return plain.Close()
	}
	if err := s.onePass().Serialize(plain); err != nil {
		return err
	}
	if err := writeLiteral(plain, io.MultiWriter(s, plain), e); err != nil {
		return err
	}
	signaturePacket, err := s.finish()
	if err != nil {
		return fmt.Errorf("sign with key of %s: %w", s.name, err)
	}
	if _, err := plain.Write(signaturePacket); err != nil {
		return err
	}
	return plain.Close()
}

// writeLiteral writes e as a literal data packet: binary, without a file name
// and a date, which are not signed. RFC 9580, Section 5.9.
func writeLiteral(head, body io.Writer, e *signer.Entity) error {
	literal := []byte{'b', 0, 0, 0, 0, 0}
	size := e.Size() + int64(len(literal))
	if size > math.MaxUint32 {
		return errors.New("it is too large for a literal data packet")
	}
	header := binary.BigEndian.AppendUint32([]byte{0xc0 | 11, 0xff}, uint32(size))
	if _, err := head.Write(append(header, literal...)); err != nil {
		return err
	}
	return writeEntity(body, e)
}
