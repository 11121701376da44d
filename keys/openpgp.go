package keys

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The packet types of RFC 9580, Section 5, that matter here.
const (
	tagSecretKey    = 5
	tagPublicKey    = 6
	tagSecretSubkey = 7
	tagPublicSubkey = 14
)

// The armor header lines of RFC 9580, Section 6.2.1.
const (
	armorSecret = "PGP PRIVATE KEY BLOCK"
	armorPublic = "PGP PUBLIC KEY BLOCK"
)

// ParseOpenPGPKey makes a PGP key from an armored or binary transferable secret
// key. It looks at the outside alone: user IDs, expiry and what the key may be
// used for are read by those who use it.
func ParseOpenPGPKey(e Entry, data []byte) (*Key, error) {
	if err := checkOpenPGP(data, true); err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	return &Key{Entry: e, OpenPGP: data}, nil
}

// ParseRemoteOpenPGPKey is as ParseOpenPGPKey, for a transferable public key
// whose private part is kept elsewhere and has the given public part. Signer and
// Decrypter of what it returns are not set yet.
func ParseRemoteOpenPGPKey(e Entry, data []byte, public crypto.PublicKey) (*Key, error) {
	if err := checkOpenPGP(data, false); err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	if !openPGPHas(data, public) {
		return nil, fmt.Errorf("%s: the private key belongs to none of the certificate's keys", e)
	}
	return &Key{Entry: e, OpenPGP: data}, nil
}

// ParseOpenPGPCertificate is as ParseOpenPGPKey, for a transferable public key.
func ParseOpenPGPCertificate(e Entry, data []byte) (*Certificate, error) {
	if err := checkOpenPGP(data, false); err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	return &Certificate{Entry: e, OpenPGP: data}, nil
}

func checkOpenPGP(data []byte, secret bool) error {
	packets, err := dearmor(data)
	if err != nil {
		return err
	}
	tag, _, _, err := nextPacket(packets)
	if err != nil {
		return err
	}
	switch {
	case tag == tagSecretKey && !secret:
		return errors.New("a private key where a public key belongs: export it with gpg --export")
	case tag == tagPublicKey && secret:
		return errors.New("a public key where a private key belongs: export it with gpg --export-secret-keys")
	case tag != tagSecretKey && tag != tagPublicKey:
		return fmt.Errorf("not an OpenPGP key: it begins with a packet of type %d", tag)
	}
	return nil
}

// publicPart returns the transferable public key (RFC 9580, Section 10.1) of a
// transferable secret key, in binary form. Of secret key packets only what is
// known to be public is copied; all other packets stay as they are.
func publicPart(data []byte) ([]byte, error) {
	in, err := dearmor(data)
	if err != nil {
		return nil, err
	}
	var out []byte
	for len(in) > 0 {
		tag, body, rest, err := nextPacket(in)
		if err != nil {
			return nil, err
		}
		whole := in[:len(in)-len(rest)]
		in = rest
		if tag != tagSecretKey && tag != tagSecretSubkey {
			out = append(out, whole...)
			continue
		}
		n, err := publicLength(body)
		if err != nil {
			return nil, err
		}
		public := byte(tagPublicKey)
		if tag == tagSecretSubkey {
			public = tagPublicSubkey
		}
		out = append(out, 0xc0|public, 0xff)
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = append(out, body[:n]...)
	}
	return out, nil
}

// publicLength returns how many octets of a key packet's body are the public
// key (RFC 9580, Sections 5.5.2 and 5.5.5).
func publicLength(body []byte) (int, error) {
	if len(body) < 6 {
		return 0, errDamaged
	}
	algorithm, n := body[5], 6
	switch body[0] {
	case 4:
	case 6:
		if len(body) < 10 {
			return 0, errDamaged
		}
		n = 10 + int(binary.BigEndian.Uint32(body[6:10]))
		if n > len(body) {
			return 0, errDamaged
		}
		return n, nil
	default:
		return 0, fmt.Errorf("OpenPGP key of version %d: use version 4 or 6", body[0])
	}
	const mpi, octets = 0, -1 // field kinds; a positive one is a fixed length
	var fields []int
	switch algorithm {
	case 1, 2, 3: // RSA
		fields = []int{mpi, mpi}
	case 16: // Elgamal
		fields = []int{mpi, mpi, mpi}
	case 17: // DSA
		fields = []int{mpi, mpi, mpi, mpi}
	case 18: // ECDH: curve, point, parameters
		fields = []int{octets, mpi, octets}
	case 19, 22: // ECDSA, EdDSALegacy
		fields = []int{octets, mpi}
	case 25, 27: // X25519, Ed25519
		fields = []int{32}
	case 26: // X448
		fields = []int{56}
	case 28: // Ed448
		fields = []int{57}
	case 35: // ML-KEM-768+X25519 (RFC 9980), of which subkeys may have version 4
		fields = []int{32, 1184}
	default:
		return 0, fmt.Errorf("OpenPGP public-key algorithm %d is unknown", algorithm)
	}
	for _, f := range fields {
		switch {
		case f == mpi && len(body)-n >= 2:
			f = 2 + (int(binary.BigEndian.Uint16(body[n:]))+7)/8
		case f == octets && len(body)-n >= 1:
			f = 1 + int(body[n])
		}
		if f <= 0 || len(body)-n < f {
			return 0, errDamaged
		}
		n += f
	}
	return n, nil
}

var errDamaged = errors.New("damaged OpenPGP key: a packet is cut short")

// nextPacket cuts the first packet off (RFC 9580, Section 4.2). Partial and
// indeterminate lengths are for data, not for keys.
func nextPacket(in []byte) (tag byte, body, rest []byte, err error) {
	if len(in) < 2 || in[0]&0x80 == 0 {
		return 0, nil, nil, errors.New("not an OpenPGP key")
	}
	var head int
	var length uint64
	if in[0]&0x40 == 0 { // legacy format
		tag = in[0] >> 2 & 0x0f
		size := 1 << (in[0] & 3)
		if size == 8 || len(in) < 1+size {
			return 0, nil, nil, errDamaged
		}
		head = 1 + size
		for _, b := range in[1:head] {
			length = length<<8 | uint64(b)
		}
	} else {
		tag = in[0] & 0x3f
		switch l := in[1]; {
		case l < 192:
			head, length = 2, uint64(l)
		case l < 224 && len(in) >= 3:
			head, length = 3, uint64(l-192)<<8+uint64(in[2])+192
		case l == 255 && len(in) >= 6:
			head, length = 6, uint64(binary.BigEndian.Uint32(in[2:6]))
		default:
			return 0, nil, nil, errDamaged
		}
	}
	if uint64(len(in)-head) < length {
		return 0, nil, nil, errDamaged
	}
	end := head + int(length)
	return tag, in[head:end], in[end:], nil
}

// dearmor returns the packets of a key; binary ones are returned as they are.
// The armor checksum is not looked at (RFC 9580, Section 6.1, lets one).
func dearmor(data []byte) ([]byte, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("larger than %d octets", MaxSize)
	}
	if len(data) > 0 && data[0]&0x80 != 0 {
		return data, nil
	}
	var b64 strings.Builder
	const outside, headers, body = 0, 1, 2
	state, kind := outside, ""
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), " \t\r\n")
		switch {
		case state == outside && (text == "-----BEGIN "+armorSecret+"-----" || text == "-----BEGIN "+armorPublic+"-----"):
			state, kind = headers, strings.TrimSuffix(strings.TrimPrefix(text, "-----BEGIN "), "-----")
		case state == headers && text == "":
			state = body
		case state == body && text == "-----END "+kind+"-----":
			packets, err := base64.StdEncoding.DecodeString(b64.String())
			if err != nil {
				return nil, errors.New("damaged armor of an OpenPGP key")
			}
			return packets, nil
		case state == body && !strings.HasPrefix(text, "="):
			b64.WriteString(text)
		}
	}
	if state == outside {
		return nil, errors.New("not an OpenPGP key")
	}
	return nil, errors.New("damaged armor of an OpenPGP key: it has no end")
}
