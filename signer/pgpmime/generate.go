package pgpmime

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// GenerateOptions says what key Generate makes.
type GenerateOptions struct {
	// Name and Address make the user id; Name may be empty.
	Name, Address string
	// RSABits makes RSA keys of that many bits; 0 makes Ed25519 and X25519, in
	// the form that all programs of today read.
	RSABits int
	// Lifetime is how long the key is valid; without end if zero.
	Lifetime time.Duration
	// Time is when the key is made, now if zero.
	Time time.Time
}

// Generate makes a secret key, armored and without a passphrase: a primary key
// that signs and a subkey to encrypt to.
func Generate(o GenerateOptions) (secret []byte, err error) {
	defer guard(&err)
	if o.Address == "" {
		return nil, errors.New("make an OpenPGP key: it needs an address")
	}
	if o.RSABits != 0 && (o.RSABits < minRSABits || o.RSABits > maxModulusBits) {
		return nil, fmt.Errorf("make an OpenPGP key: %w: RSA of %d bits", ErrWeakAlgorithm, o.RSABits)
	}
	if o.Lifetime < 0 || o.Lifetime/time.Second > math.MaxUint32 {
		return nil, errors.New("make an OpenPGP key: the lifetime is out of range")
	}
	config := environment{time: o.Time}.config()
	config.Algorithm = packet.PubKeyAlgoEdDSA // whose subkeys are of the older form too
	if o.RSABits > 0 {
		config.Algorithm, config.RSABits = packet.PubKeyAlgoRSA, o.RSABits
	}
	config.KeyLifetimeSecs = uint32(o.Lifetime / time.Second)
	e, err := openpgp.NewEntity(o.Name, "", o.Address, config)
	if err != nil {
		return nil, fmt.Errorf("make an OpenPGP key: %w", err)
	}
	var out bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&out, config); err != nil {
		return nil, fmt.Errorf("make an OpenPGP key: %w", err)
	}
	return armorBlockOf("PGP PRIVATE KEY BLOCK", out.Bytes())
}
