package pgpmime

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// signature is one signature in the making: what is signed is written to it,
// and finish makes the packet.
type signature struct {
	name   string // whose key it is, for errors
	key    *packet.PrivateKey
	remote crypto.Signer // nil if the key is here
	digest crypto.Hash
	packet *packet.Signature
	hash   hash.Hash
	config *packet.Config
}

// newSignature begins a signature over binary data (type 0x00): what is signed
// has the line ends that it is sent with, so there is nothing to canonicalize.
func newSignature(k *Key, digest crypto.Hash, env environment) (s *signature, err error) {
	defer guard(&err)
	c, err := k.choose(env.now())
	if err != nil {
		return nil, err
	}
	s = &signature{name: k.cert.name, key: c.private, config: env.config(), digest: digestFor(c.public, digest)}
	if _, err := digestName(s.digest); err != nil {
		return nil, err
	}
	if k.remote != nil {
		if err := checkRemote(c.public); err != nil {
			return nil, err
		}
		s.remote = k.remote
		s.key = &packet.PrivateKey{PublicKey: *c.public}
	}
	s.packet = &packet.Signature{
		Version:           c.public.Version,
		SigType:           packet.SigTypeBinary,
		PubKeyAlgo:        c.public.PubKeyAlgo,
		Hash:              s.digest,
		CreationTime:      env.now(),
		IssuerKeyId:       &c.public.KeyId,
		IssuerKeyVersion:  uint8(c.public.Version),
		IssuerFingerprint: c.public.Fingerprint,
	}
	s.hash, err = s.packet.PrepareSign(s.config)
	return s, err
}

// Write adds to what is signed.
func (s *signature) Write(p []byte) (int, error) { return s.hash.Write(p) }

// onePass returns the packet that announces the signature, RFC 9580,
// Section 5.4.
func (s *signature) onePass() *packet.OnePassSignature {
	ops := &packet.OnePassSignature{
		Version:    3,
		SigType:    s.packet.SigType,
		Hash:       s.digest,
		PubKeyAlgo: s.key.PubKeyAlgo,
		KeyId:      s.key.KeyId,
		IsLast:     true,
	}
	if s.key.Version == 6 {
		ops.Version = 6
		ops.KeyFingerprint = s.key.Fingerprint
		ops.Salt = s.packet.Salt()
	}
	return ops
}

// finish signs and returns the signature packet. The packet is read back and
// verified with the public key: what a broken remote key returns never leaves.
func (s *signature) finish() (encoded []byte, err error) {
	defer guard(&err)
	state, ok := s.hash.(hash.Cloner)
	if !ok {
		return nil, fmt.Errorf("digest %v can't be verified", s.digest)
	}
	check, err := state.Clone()
	if err != nil {
		return nil, err
	}
	if encoded, err = s.encode(); err != nil {
		return nil, err
	}
	read, err := packet.Read(bytes.NewReader(encoded))
	if err != nil {
		return nil, fmt.Errorf("read the new signature back: %w", err)
	}
	made, ok := read.(*packet.Signature)
	if !ok {
		return nil, errors.New("read the new signature back: it is none")
	}
	if err := s.key.PublicKey.VerifySignature(check, made); err != nil {
		return nil, fmt.Errorf("the new signature does not verify with the certificate: %w", err)
	}
	return encoded, nil
}

// encode signs and returns the packet.
func (s *signature) encode() ([]byte, error) {
	if s.remote != nil {
		r := remoteSignature{
			key:    &s.key.PublicKey,
			remote: s.remote,
			random: s.config.Random(),
			kind:   s.packet.SigType,
			digest: s.digest,
			salt:   s.packet.Salt(),
			hash:   s.hash,
		}
		r.identify(s.packet.CreationTime)
		for _, to := range s.packet.IntendedRecipients {
			r.subpacket(subIntendedRecipient, append([]byte{byte(to.KeyVersion)}, to.Fingerprint...))
		}
		return r.encode()
	}
	if err := s.packet.Sign(s.hash, s.key, s.config); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := s.packet.Serialize(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
