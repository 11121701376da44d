package pgpmime

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	pgped25519 "github.com/ProtonMail/go-crypto/openpgp/ed25519"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// remotePublicKey returns the (sub)key of the entity that the remote key
// belongs to.
func remotePublicKey(e *openpgp.Entity, remote crypto.Signer) (public *packet.PublicKey, err error) {
	defer guard(&err)
	want := remote.Public()
	if samePublicKey(e.PrimaryKey, want) {
		return e.PrimaryKey, nil
	}
	for _, s := range e.Subkeys {
		if samePublicKey(s.PublicKey, want) {
			return s.PublicKey, nil
		}
	}
	return nil, errors.New("the remote key belongs to none of the certificate's keys: store the certificate that was made for it")
}

// pointer is what the library's ECDSA and EdDSA public keys have in common.
type pointer interface{ MarshalPoint() []byte }

// samePublicKey compares a key of the library with one of crypto/....
func samePublicKey(k *packet.PublicKey, want crypto.PublicKey) bool {
	switch want := want.(type) {
	case *rsa.PublicKey:
		have, ok := k.PublicKey.(*rsa.PublicKey)
		return ok && have.Equal(want)
	case *ecdsa.PublicKey:
		point, err := want.Bytes()
		have, ok := k.PublicKey.(pointer)
		return err == nil && ok && k.PubKeyAlgo == packet.PubKeyAlgoECDSA && bytes.Equal(have.MarshalPoint(), point)
	case ed25519.PublicKey:
		switch have := k.PublicKey.(type) {
		case *pgped25519.PublicKey:
			return bytes.Equal(have.Point, want)
		case pointer: // of RFC 4880bis: 0x40 and the point
			return k.PubKeyAlgo == packet.PubKeyAlgoEdDSA && bytes.Equal(have.MarshalPoint(), append([]byte{0x40}, want...))
		}
	}
	return false
}

// checkRemote says whether a remote key of this kind can sign.
func checkRemote(k *packet.PublicKey) error {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEd25519:
		return nil
	case packet.PubKeyAlgoEdDSA:
		if curve, err := k.Curve(); err == nil && curve == packet.Curve25519 {
			return nil
		}
	}
	return fmt.Errorf("%w: %s; use RSA, ECDSA or Ed25519", ErrRemoteAlgorithm, algorithmName(k))
}
