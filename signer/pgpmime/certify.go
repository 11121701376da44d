package pgpmime

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// certifier makes the signatures that hold a certificate together.
type certifier struct {
	remote  crypto.Signer
	primary *packet.PublicKey
	options BuildOptions
	env     environment
}

// Key flags and features, RFC 9580, Sections 5.2.3.29 and 5.2.3.32.
const (
	flagCertify   = 0x01
	flagSign      = 0x02
	flagEncrypt   = 0x04 | 0x08
	featureSEIPD1 = 0x01
	featureSEIPD2 = 0x08
)

// head returns the primary key with its user ids.
func (c *certifier) head() ([]byte, error) {
	var out bytes.Buffer
	if err := c.primary.Serialize(&out); err != nil {
		return nil, err
	}
	if c.primary.Version == 6 { // what the key is for stands in a signature of its own
		direct, err := c.certify(packet.SigTypeDirectSignature, nil, c.properties)
		if err != nil {
			return nil, err
		}
		out.Write(direct)
	}
	for i, id := range c.options.UserIDs {
		out.Write(appendPacket(nil, tagUserID, []byte(id)))
		what := binary.BigEndian.AppendUint32([]byte{0xb4}, uint32(len(id)))
		certification, err := c.certify(packet.SigTypePositiveCert, append(what, id...), func(s *remoteSignature) {
			if i == 0 {
				s.subpacket(subPrimaryUserID, []byte{1})
			}
			if c.primary.Version == 4 {
				c.properties(s)
			}
		})
		if err != nil {
			return nil, err
		}
		out.Write(certification)
	}
	return out.Bytes(), nil
}

// properties says what the primary key is for, how long it is valid, and what
// can be sent to its owner.
func (c *certifier) properties(s *remoteSignature) {
	s.subpacket(critical|subKeyFlags, []byte{flagCertify | flagSign})
	c.lifetime(s)
	s.subpacket(subPreferredCiphers, []byte{byte(packet.CipherAES256), byte(packet.CipherAES192), byte(packet.CipherAES128)})
	s.subpacket(subPreferredDigests, []byte{10, 9, 8})
	s.subpacket(subPreferredCompress, []byte{0})
	features := byte(featureSEIPD1)
	if c.primary.Version == 6 {
		features |= featureSEIPD2
		s.subpacket(subPreferredAEAD, []byte{byte(packet.CipherAES256), byte(packet.AEADModeOCB)})
	}
	s.subpacket(subFeatures, []byte{features})
}

func (c *certifier) lifetime(s *remoteSignature) {
	if seconds := c.options.Lifetime / time.Second; seconds > 0 {
		s.subpacket(critical|subKeyExpiration, binary.BigEndian.AppendUint32(nil, uint32(seconds)))
	}
}

// bind returns the signature that makes a key a subkey to encrypt to.
func (c *certifier) bind(sub *packet.PublicKey) ([]byte, error) {
	var what bytes.Buffer
	if err := sub.SerializeForHash(&what); err != nil {
		return nil, err
	}
	return c.certify(packet.SigTypeSubkeyBinding, what.Bytes(), func(s *remoteSignature) {
		s.subpacket(critical|subKeyFlags, []byte{flagEncrypt})
		c.lifetime(s)
	})
}

// certify signs the primary key and what follows. RFC 9580, Section 5.2.4.
func (c *certifier) certify(kind packet.SignatureType, what []byte, describe func(*remoteSignature)) ([]byte, error) {
	s := &remoteSignature{
		key: c.primary, remote: c.remote, random: c.env.random(),
		kind: kind, digest: digestFor(c.primary, 0),
	}
	s.hash = s.digest.New()
	if c.primary.Version == 6 {
		size, err := packet.SaltLengthForHash(s.digest)
		if err != nil {
			return nil, err
		}
		s.salt = make([]byte, size)
		if _, err := io.ReadFull(c.env.random(), s.salt); err != nil {
			return nil, fmt.Errorf("choose a salt: %w", err)
		}
		s.hash.Write(s.salt)
	}
	if err := c.primary.SerializeForHash(s.hash); err != nil {
		return nil, err
	}
	s.hash.Write(what)
	s.identify(c.env.now())
	describe(s)
	return s.encode()
}
