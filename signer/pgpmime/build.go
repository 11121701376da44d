package pgpmime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
	"time"
	"unicode"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// BuildOptions says what certificate Build makes.
type BuildOptions struct {
	// UserIDs has one at least, as "Alice <alice@example.com>". The first is the
	// primary one.
	UserIDs []string
	// Version is that of the key packets: 4, which everybody reads, or 6. 4 if 0.
	Version int
	// NewEd25519 gives an Ed25519 key of version 4 the form of RFC 9580 and not
	// the older one, which GnuPG 2.2 needs. Keys of version 6 always have it.
	NewEd25519 bool
	// Lifetime is how long the certificate is valid; without end if zero.
	Lifetime time.Duration
	// Encryption adds an X25519 subkey to encrypt to, whose private part Build
	// returns.
	Encryption bool
	// Subkey, an RSA key, is added as a subkey to encrypt to. Its private part is
	// elsewhere.
	Subkey *rsa.PublicKey
	// Time is when the certificate is made, now if zero. A key's fingerprint
	// depends on it.
	Time time.Time
	// Rand is where random bytes come from, crypto/rand if nil.
	Rand io.Reader
}

// Built is what Build makes, both armored.
type Built struct {
	// Certificate is to be published. With the remote key it is also what
	// ParseKey needs to sign.
	Certificate []byte
	// Secret is the certificate with the private part of its encryption subkey;
	// nil without BuildOptions.Encryption. It is what ParseKey needs, with the
	// remote key, to sign and to decrypt.
	Secret []byte
}

// Build makes an OpenPGP certificate (RFC 9580, Section 10.1) for a key that is
// elsewhere: RSA, ECDSA on a NIST curve, or Ed25519.
func Build(remote crypto.Signer, o BuildOptions) (b *Built, err error) {
	defer guard(&err)
	b, err = build(remote, o)
	if err != nil {
		return nil, fmt.Errorf("build an OpenPGP certificate: %w", err)
	}
	return b, nil
}

func build(remote crypto.Signer, o BuildOptions) (*Built, error) {
	if o.Version == 0 {
		o.Version = 4
	}
	if o.Version != 4 && o.Version != 6 {
		return nil, fmt.Errorf("version %d: it has to be 4 or 6", o.Version)
	}
	if err := checkUserIDs(o.UserIDs); err != nil {
		return nil, err
	}
	if o.Lifetime < 0 || o.Lifetime/time.Second > math.MaxUint32 {
		return nil, errors.New("the lifetime is out of range")
	}
	env := environment{time: o.Time, rand: o.Rand}
	primary, err := newPublicKey(remote.Public(), tagPublicKey, o, env)
	if err != nil {
		return nil, err
	}
	c := &certifier{remote: remote, primary: primary, options: o, env: env}
	public, err := c.head()
	if err != nil {
		return nil, err
	}
	secret := bytes.Clone(public)
	if o.Subkey != nil {
		sub, err := newPublicKey(o.Subkey, tagPublicSubkey, o, env)
		if err != nil {
			return nil, err
		}
		bound, err := c.bind(sub)
		if err != nil {
			return nil, err
		}
		var encoded bytes.Buffer
		if err := sub.Serialize(&encoded); err != nil {
			return nil, err
		}
		encoded.Write(bound)
		public, secret = append(public, encoded.Bytes()...), append(secret, encoded.Bytes()...)
	}
	built := &Built{}
	if o.Encryption {
		sub, err := newEncryptionKey(o, env)
		if err != nil {
			return nil, err
		}
		bound, err := c.bind(&sub.PublicKey)
		if err != nil {
			return nil, err
		}
		var open, closed bytes.Buffer
		if err := errors.Join(sub.PublicKey.Serialize(&open), sub.Serialize(&closed)); err != nil {
			return nil, err
		}
		public = append(append(public, open.Bytes()...), bound...)
		secret = append(append(secret, closed.Bytes()...), bound...)
		if built.Secret, err = armorBlockOf("PGP PRIVATE KEY BLOCK", secret); err != nil {
			return nil, err
		}
	}
	if built.Certificate, err = armorBlockOf("PGP PUBLIC KEY BLOCK", public); err != nil {
		return nil, err
	}
	if err := built.check(remote, env.now()); err != nil {
		return nil, err
	}
	return built, nil
}

// check reads the result back, so that a remote key which signs rubbish is
// found out here.
func (b *Built) check(remote crypto.Signer, now time.Time) error {
	for _, data := range [][]byte{b.Certificate, b.Secret} {
		if data == nil {
			continue
		}
		k, err := ParseKey("it", data, remote)
		if err == nil {
			_, err = k.choose(now)
		}
		if err != nil {
			return fmt.Errorf("read it back: %w", err)
		}
	}
	return nil
}

func checkUserIDs(ids []string) error {
	if len(ids) == 0 {
		return errors.New("it needs a user id, such as \"Alice <alice@example.com>\"")
	}
	for _, id := range ids {
		if strings.TrimSpace(id) == "" || len(id) > maxUserID || strings.ContainsFunc(id, unicode.IsControl) {
			return fmt.Errorf("user id %q is empty, too long or has control characters", id)
		}
	}
	return nil
}

func armorBlockOf(kind string, packets []byte) ([]byte, error) {
	var out bytes.Buffer
	a, err := newArmorWriter(&out, kind)
	if err != nil {
		return nil, err
	}
	if _, err := a.Write(packets); err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// newEncryptionKey makes a subkey, in the form that fits the version.
func newEncryptionKey(o BuildOptions, env environment) (*packet.PrivateKey, error) {
	config := env.config()
	config.Algorithm = packet.PubKeyAlgoEdDSA // whose subkeys are of the older form
	if o.Version == 6 {
		config.Algorithm, config.V6Keys = packet.PubKeyAlgoEd25519, true
	}
	e, err := openpgp.NewEntity("", "", "a@example.invalid", config)
	if err != nil {
		return nil, fmt.Errorf("make a subkey: %w", err)
	}
	return e.Subkeys[0].PrivateKey, nil
}

// newPublicKey makes a key packet of a public key. RFC 9580, Section 5.5.2.
func newPublicKey(key crypto.PublicKey, tag int, o BuildOptions, env environment) (*packet.PublicKey, error) {
	var algorithm packet.PublicKeyAlgorithm
	var numbers []byte
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("%w: RSA of %d bits, at least %d are needed", ErrWeakAlgorithm, key.N.BitLen(), minRSABits)
		}
		algorithm = packet.PubKeyAlgoRSA
		numbers = appendNumber(appendNumber(nil, key.N.Bytes()), big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		oid := map[elliptic.Curve]string{
			elliptic.P256(): "\x2a\x86\x48\xce\x3d\x03\x01\x07",
			elliptic.P384(): "\x2b\x81\x04\x00\x22",
			elliptic.P521(): "\x2b\x81\x04\x00\x23",
		}[key.Curve]
		point, err := key.Bytes()
		if oid == "" || err != nil {
			return nil, fmt.Errorf("%w: ECDSA on this curve; use P-256, P-384 or P-521", ErrRemoteAlgorithm)
		}
		algorithm = packet.PubKeyAlgoECDSA
		numbers = appendNumber(append([]byte{byte(len(oid))}, oid...), point)
	case ed25519.PublicKey:
		if o.Version == 6 || o.NewEd25519 {
			algorithm, numbers = packet.PubKeyAlgoEd25519, key
			break
		}
		const oid = "\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"
		algorithm = packet.PubKeyAlgoEdDSA
		numbers = appendNumber(append([]byte{byte(len(oid))}, oid...), append([]byte{0x40}, key...))
	default:
		return nil, fmt.Errorf("%w: %T; use RSA, ECDSA or Ed25519", ErrRemoteAlgorithm, key)
	}
	body := binary.BigEndian.AppendUint32([]byte{byte(o.Version)}, uint32(env.now().Unix()))
	body = append(body, byte(algorithm))
	if o.Version == 6 {
		body = binary.BigEndian.AppendUint32(body, uint32(len(numbers)))
	}
	p, err := parsePacket(tag, append(body, numbers...))
	if err != nil {
		return nil, err
	}
	return p.(*packet.PublicKey), nil
}
