package pgpmime

import (
	"crypto"
	_ "crypto/sha256" // the digests that are used have to be linked in
	_ "crypto/sha512"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// digestName returns the name of a digest that is used for signatures, as in
// micalg after "pgp-". RFC 3156, Section 5.
func digestName(digest crypto.Hash) (string, error) {
	switch digest {
	case crypto.SHA256:
		return "sha256", nil
	case crypto.SHA384:
		return "sha384", nil
	case crypto.SHA512:
		return "sha512", nil
	}
	return "", fmt.Errorf("digest %v is not used for OpenPGP signatures: take SHA-256, SHA-384 or SHA-512", digest)
}

// digestFor returns the digest to sign with: the one that is wanted, by default
// SHA-256, or a longer one if the key is stronger. RFC 9580, Section 5.2.3.
func digestFor(k *packet.PublicKey, want crypto.Hash) crypto.Hash {
	if want == 0 {
		want = crypto.SHA256
	}
	least := crypto.SHA256
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA:
		switch curve, _ := k.Curve(); curve {
		case packet.CurveNistP384, packet.CurveBrainpoolP384:
			least = crypto.SHA384
		case packet.CurveNistP521, packet.CurveBrainpoolP512, packet.Curve448:
			least = crypto.SHA512
		}
	case packet.PubKeyAlgoEd448, packet.PubKeyAlgoMldsa87Ed448, packet.PubKeyAlgoSlhdsaShake256s:
		least = crypto.SHA512
	}
	if _, err := digestName(want); err == nil && want.Size() < least.Size() {
		return least
	}
	return want
}

// Algorithm returns the signature algorithm for reports, such as
// "rsa3072-sha256" or "ed25519-sha256". A digest of 0 means the default; the
// key's strength may raise it.
func (k *Key) Algorithm(digest crypto.Hash) string {
	public := k.cert.entity.PrimaryKey
	if c, err := k.choose(time.Now()); err == nil {
		public = c.public
	}
	name, err := digestName(digestFor(public, digest))
	if err != nil {
		name = "unknown"
	}
	return algorithmName(public) + "-" + name
}

// algorithmName returns a public-key algorithm with its size or curve.
func algorithmName(k *packet.PublicKey) string {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoRSAEncryptOnly:
		bits, _ := k.BitLength()
		return fmt.Sprintf("rsa%d", bits)
	case packet.PubKeyAlgoDSA:
		bits, _ := k.BitLength()
		return fmt.Sprintf("dsa%d", bits)
	case packet.PubKeyAlgoECDSA:
		curve, _ := k.Curve()
		return "ecdsa-" + strings.ToLower(string(curve))
	case packet.PubKeyAlgoEdDSA:
		if curve, _ := k.Curve(); curve == packet.Curve448 {
			return "ed448"
		}
		return "ed25519"
	case packet.PubKeyAlgoEd25519:
		return "ed25519"
	case packet.PubKeyAlgoEd448:
		return "ed448"
	case packet.PubKeyAlgoMldsa65Ed25519:
		return "mldsa65-ed25519"
	case packet.PubKeyAlgoMldsa87Ed448:
		return "mldsa87-ed448"
	case packet.PubKeyAlgoSlhdsaShake128s:
		return "slhdsa-shake128s"
	case packet.PubKeyAlgoSlhdsaShake128f:
		return "slhdsa-shake128f"
	case packet.PubKeyAlgoSlhdsaShake256s:
		return "slhdsa-shake256s"
	case packet.PubKeyAlgoMlkem768X25519:
		return "mlkem768-x25519"
	case packet.PubKeyAlgoMlkem1024X448:
		return "mlkem1024-x448"
	}
	return fmt.Sprintf("algorithm%d", k.PubKeyAlgo)
}
