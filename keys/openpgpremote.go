package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"math/big"
	"math/bits"
)

// The public-key algorithms of RFC 9580, Section 9.1, that a key kept elsewhere
// can have.
const (
	algorithmRSA         = 1
	algorithmRSASignOnly = 3
	algorithmECDSA       = 19
	algorithmEdDSALegacy = 22
	algorithmEd25519     = 27
)

// curve returns the octets that name a curve, after their number (RFC 9580,
// Section 9.2).
func curve(name string) []byte {
	switch name {
	case "P-256":
		return []byte{8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}
	case "P-384":
		return []byte{5, 0x2b, 0x81, 0x04, 0x00, 0x22}
	case "P-521":
		return []byte{5, 0x2b, 0x81, 0x04, 0x00, 0x23}
	case "Ed25519Legacy":
		return []byte{9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01}
	}
	return nil
}

// openPGPHas reports whether a transferable key has public as its primary key or
// one of its subkeys.
func openPGPHas(data []byte, public crypto.PublicKey) bool {
	in, err := dearmor(data)
	if err != nil {
		return false
	}
	for len(in) > 0 {
		tag, body, rest, err := nextPacket(in)
		if err != nil {
			return false
		}
		in = rest
		head := 6 // version, creation time, algorithm
		if len(body) > 0 && body[0] == 6 {
			head = 10 // and the length of the key material
		}
		if (tag != tagPublicKey && tag != tagPublicSubkey) || len(body) < head {
			continue
		}
		if want := material(body[5], public); want != nil && bytes.Equal(body[head:], want) {
			return true
		}
	}
	return false
}

// material returns the algorithm-specific fields of a public key (RFC 9580,
// Section 5.5.5), or nil if the key is not one of that algorithm.
func material(algorithm byte, public crypto.PublicKey) []byte {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if algorithm >= algorithmRSA && algorithm <= algorithmRSASignOnly {
			return append(mpi(p.N.Bytes()), mpi(big.NewInt(int64(p.E)).Bytes())...)
		}
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		oid := curve(p.Curve.Params().Name)
		if algorithm == algorithmECDSA && err == nil && oid != nil {
			return append(oid, mpi(point)...)
		}
	case ed25519.PublicKey:
		switch algorithm {
		case algorithmEd25519:
			return p
		case algorithmEdDSALegacy:
			return append(curve("Ed25519Legacy"), mpi(append([]byte{0x40}, p...))...)
		}
	}
	return nil
}

// mpi writes a number without leading zeros (RFC 9580, Section 3.2).
func mpi(number []byte) []byte {
	if len(number) == 0 {
		return []byte{0, 0}
	}
	n := 8*(len(number)-1) + bits.Len8(number[0])
	return append([]byte{byte(n >> 8), byte(n)}, number...)
}
