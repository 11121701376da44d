package pgpmime

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxTransferable bounds what Split reads, in bytes, and how many keys.
const (
	maxTransferable     = 64 << 20
	maxTransferableKeys = 10000
)

// Transferable is one transferable key (RFC 9580, Section 10), armored.
type Transferable struct {
	Data []byte
	// Secret says that it has the private parts.
	Secret bool
}

// Split returns the keys in a file, which may be armored, with several blocks, or
// not. What they are worth is for ParseKey and ParseCertificate to say.
func Split(data []byte) ([]Transferable, error) {
	if len(data) > maxTransferable {
		return nil, fmt.Errorf("it is larger than %d bytes", maxTransferable)
	}
	const begin = "-----BEGIN PGP "
	if !bytes.Contains(data, []byte(begin)) {
		return splitPackets(data)
	}
	var out []Transferable
	_, rest, _ := bytes.Cut(data, []byte(begin))
	for n := 1; len(rest) > 0; n++ {
		block, after, more := bytes.Cut(rest, []byte(begin))
		binary, err := dearmor(append([]byte(begin), block...))
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", n, err)
		}
		keys, err := splitPackets(binary)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", n, err)
		}
		if out = append(out, keys...); len(out) > maxTransferableKeys {
			return nil, fmt.Errorf("it has more than %d keys", maxTransferableKeys)
		}
		if !more {
			break
		}
		rest = after
	}
	return out, nil
}

// splitPackets cuts before every primary key.
func splitPackets(data []byte) (out []Transferable, err error) {
	if len(data) == 0 || data[0]&0x80 == 0 {
		return nil, errors.New("it is no OpenPGP key")
	}
	var one []byte
	secret := false
	end := func() error {
		if one == nil {
			return nil
		}
		if len(out) == maxTransferableKeys {
			return fmt.Errorf("it has more than %d keys", maxTransferableKeys)
		}
		kind := "PGP PUBLIC KEY BLOCK"
		if secret {
			kind = "PGP PRIVATE KEY BLOCK"
		}
		armored, err := armorBlockOf(kind, one)
		out = append(out, Transferable{Data: armored, Secret: secret})
		return err
	}
	for len(data) > 0 {
		tag, _, rest, err := nextPacket(data)
		if err != nil {
			return nil, err
		}
		if tag == tagPublicKey || tag == tagSecretKey {
			if err := end(); err != nil {
				return nil, err
			}
			one, secret = []byte{}, tag == tagSecretKey
		} else if one == nil {
			return nil, fmt.Errorf("it begins with a packet of type %d, not with a key", tag)
		}
		one = append(one, data[:len(data)-len(rest)]...)
		data = rest
	}
	return out, end()
}

// Unprotect takes the passphrase off a secret key, armored or not, and returns
// it armored. A key without one stays as it is.
func Unprotect(data, passphrase []byte) (out []byte, err error) {
	defer guard(&err)
	in, err := dearmor(data)
	if err == nil {
		err = checkPackets(in)
	}
	if err != nil {
		return nil, fmt.Errorf("take the passphrase off an OpenPGP key: %w", err)
	}
	var plain bytes.Buffer
	for len(in) > 0 {
		tag, body, rest, err := nextPacket(in)
		if err != nil {
			return nil, fmt.Errorf("take the passphrase off an OpenPGP key: %w", err)
		}
		whole := in[:len(in)-len(rest)]
		in = rest
		if tag == tagSecretKey || tag == tagSecretSubkey {
			p, err := parsePacket(tag, body)
			if err != nil {
				return nil, fmt.Errorf("take the passphrase off an OpenPGP key: %w", err)
			}
			if k, ok := p.(*packet.PrivateKey); ok && k.Encrypted && !k.Dummy() {
				if err := k.Decrypt(passphrase); err != nil {
					return nil, errors.New("take the passphrase off an OpenPGP key: the passphrase is another one")
				}
				k.IsSubkey = tag == tagSecretSubkey
				if err := k.Serialize(&plain); err != nil {
					return nil, fmt.Errorf("take the passphrase off an OpenPGP key: %w", err)
				}
				continue
			}
		}
		plain.Write(whole)
	}
	return armorBlockOf("PGP PRIVATE KEY BLOCK", plain.Bytes())
}

// Addresses returns the addresses in the user ids that are valid at that time,
// sorted.
func (c *Certificate) Addresses(now time.Time) (addresses []string, err error) {
	defer guard(&err)
	return c.addresses(now), nil
}

// Algorithm names the kind of the primary key, for people: "rsa3072", "ed25519".
func (c *Certificate) Algorithm() string { return algorithmName(c.entity.PrimaryKey) }

// Binary returns an armored or binary key without its armor.
func Binary(data []byte) ([]byte, error) { return dearmor(data) }
