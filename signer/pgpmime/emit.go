package pgpmime

import (
	"crypto"
	"crypto/ed25519"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Subpacket types, RFC 9580, Section 5.2.3.7.
const (
	subCreationTime      = 2
	subKeyExpiration     = 9
	subPreferredCiphers  = 11
	subIssuer            = 16
	subPreferredDigests  = 21
	subPreferredCompress = 22
	subPrimaryUserID     = 25
	subKeyFlags          = 27
	subFeatures          = 30
	subIssuerFingerprint = 33
	subIntendedRecipient = 35
	subPreferredAEAD     = 39
	critical             = 0x80
)

// remoteSignature is a signature packet in the making (RFC 9580, Section 5.2.3)
// by a key elsewhere. The library makes such packets with RSA and ECDSA only,
// and drops the error of the key.
type remoteSignature struct {
	key    *packet.PublicKey
	remote crypto.Signer
	random io.Reader
	kind   packet.SignatureType
	digest crypto.Hash
	salt   []byte    // of a v6 key
	hash   hash.Hash // salt and what is signed have been written to it
	hashed []byte    // subpackets
}

// identify adds who signs and when.
func (r *remoteSignature) identify(now time.Time) {
	r.subpacket(critical|subCreationTime, binary.BigEndian.AppendUint32(nil, uint32(now.Unix())))
	if r.key.Version == 4 {
		r.subpacket(subIssuer, binary.BigEndian.AppendUint64(nil, r.key.KeyId))
	}
	r.subpacket(subIssuerFingerprint, append([]byte{byte(r.key.Version)}, r.key.Fingerprint...))
}

// subpacket adds one that is hashed.
func (r *remoteSignature) subpacket(kind byte, content []byte) {
	n := len(content) + 1
	if n < 192 {
		r.hashed = append(r.hashed, byte(n))
	} else {
		r.hashed = binary.BigEndian.AppendUint32(append(r.hashed, 0xff), uint32(n))
	}
	r.hashed = append(append(r.hashed, kind), content...)
}

// encode signs and returns the packet.
func (r *remoteSignature) encode() ([]byte, error) {
	version := byte(r.key.Version)
	body := []byte{version, byte(r.kind), byte(r.key.PubKeyAlgo), digestID(r.digest)}
	body = r.appendLength(body, len(r.hashed))
	body = append(body, r.hashed...)

	// RFC 9580, Section 5.2.4.
	r.hash.Write(body)
	r.hash.Write(binary.BigEndian.AppendUint32([]byte{version, 0xff}, uint32(len(body))))
	digest := r.hash.Sum(nil)

	body = r.appendLength(body, 0) // nothing is not hashed
	body = append(body, digest[:2]...)
	if version == 6 {
		body = append(append(body, byte(len(r.salt))), r.salt...)
	}
	numbers, err := r.sign(digest)
	if err != nil {
		return nil, err
	}
	return appendPacket(nil, tagSignature, append(body, numbers...)), nil
}

func (r *remoteSignature) appendLength(to []byte, n int) []byte {
	if r.key.Version == 6 {
		return binary.BigEndian.AppendUint32(to, uint32(n))
	}
	return binary.BigEndian.AppendUint16(to, uint16(n))
}

// sign has the remote key sign and encodes the result for the algorithm. RFC
// 9580, Section 5.2.3.1 and the following.
func (r *remoteSignature) sign(digest []byte) ([]byte, error) {
	if err := checkRemote(r.key); err != nil {
		return nil, err
	}
	opts := crypto.SignerOpts(r.digest)
	isEd25519 := r.key.PubKeyAlgo == packet.PubKeyAlgoEdDSA || r.key.PubKeyAlgo == packet.PubKeyAlgoEd25519
	if isEd25519 {
		opts = crypto.Hash(0) // to the algorithm, the digest is the message
	}
	sig, err := r.remote.Sign(r.random, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("remote key: %w", err)
	}
	if len(sig) == 0 {
		return nil, errors.New("remote key: it returned no signature")
	}
	if isEd25519 && len(sig) != ed25519.SignatureSize {
		return nil, fmt.Errorf("remote key: it returned %d bytes, which are no Ed25519 signature", len(sig))
	}
	switch r.key.PubKeyAlgo {
	case packet.PubKeyAlgoEd25519:
		return sig, nil
	case packet.PubKeyAlgoEdDSA:
		return appendNumber(appendNumber(nil, sig[:32]), sig[32:]), nil
	case packet.PubKeyAlgoECDSA:
		var n struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(sig, &n); err != nil || len(rest) > 0 || n.R.Sign() <= 0 || n.S.Sign() <= 0 || n.R.BitLen() > 521 || n.S.BitLen() > 521 {
			return nil, errors.New("remote key: it returned no ECDSA signature")
		}
		return appendNumber(appendNumber(nil, n.R.Bytes()), n.S.Bytes()), nil
	}
	if len(sig) > maxModulusBits/8 {
		return nil, errors.New("remote key: it returned no RSA signature")
	}
	return appendNumber(nil, sig), nil
}

// appendNumber appends a multiprecision integer. RFC 9580, Section 3.2.
func appendNumber(to, number []byte) []byte {
	n := new(big.Int).SetBytes(number)
	return append(binary.BigEndian.AppendUint16(to, uint16(n.BitLen())), n.Bytes()...)
}
