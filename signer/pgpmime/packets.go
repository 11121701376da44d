package pgpmime

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// Bounds for what is read as a key or certificate.
const (
	maxKeySize        = 1 << 20 // bytes, armored or not
	maxArmorLine      = 998     // bytes, the limit of RFC 5322
	maxPackets        = 4096
	maxSelfSignatures = 512
	maxKeyPacket      = 16 << 10 // bytes
	maxModulusBits    = 8192     // of RSA, DSA and ElGamal, the most that gpg makes
)

// dearmor returns the packets of a key, which may be armored (RFC 9580,
// Section 6.2) or not.
func dearmor(data []byte) ([]byte, error) {
	if len(data) > maxKeySize {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeySize)
	}
	switch blocks := bytes.Count(data, []byte("-----BEGIN PGP ")); {
	case blocks > 1:
		return nil, fmt.Errorf("it has %d armored blocks: store one key in one entry", blocks)
	case blocks == 0 && (len(data) == 0 || data[0]&0x80 == 0):
		return nil, errors.New("it is no OpenPGP key: store what gpg --armor --export writes")
	case blocks == 0:
		return data, nil
	}
	// The library's reader of header lines takes quadratic time on long ones.
	for line := range bytes.Lines(data) {
		if len(line) > maxArmorLine {
			return nil, fmt.Errorf("it has a line of more than %d bytes", maxArmorLine)
		}
	}
	block, err := armor.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read armor: %w", err)
	}
	if block.Type != "PGP PUBLIC KEY BLOCK" && block.Type != "PGP PRIVATE KEY BLOCK" {
		return nil, errors.New("its armor is not that of a key")
	}
	packets, err := io.ReadAll(block.Body)
	if err != nil {
		return nil, fmt.Errorf("read armor: %w", err)
	}
	return packets, nil
}

// Packet types, RFC 9580, Section 5.
const (
	tagSignature    = 2
	tagSecretKey    = 5
	tagPublicKey    = 6
	tagSecretSubkey = 7
	tagTrust        = 12
	tagUserID       = 13
	tagPublicSubkey = 14
	tagAttribute    = 17
	tagPadding      = 21
	tagMarker       = 10
	tagNonCritical  = 40 // and above: to be ignored if not known
)

// checkPackets walks over the packets of a transferable key before the library
// sees them: whole ones, not too many, one primary key, and nothing in them
// that would take long to compute with.
func checkPackets(data []byte) error {
	primaries := 0
	for n := 0; len(data) > 0; n++ {
		if n == maxPackets {
			return fmt.Errorf("it has more than %d packets", maxPackets)
		}
		tag, body, rest, err := nextPacket(data)
		if err != nil {
			return err
		}
		switch tag {
		case tagPublicKey, tagSecretKey:
			primaries++
			err = checkKeyPacket(body)
		case tagPublicSubkey, tagSecretSubkey:
			err = checkKeyPacket(body)
		case tagSignature, tagUserID, tagAttribute, tagTrust, tagMarker, tagPadding:
		default:
			if tag < tagNonCritical {
				err = fmt.Errorf("a packet of type %d is not part of a key", tag)
			}
		}
		if err != nil {
			return err
		}
		data = rest
	}
	if primaries != 1 {
		return fmt.Errorf("it has %d primary keys: store one key in one entry", primaries)
	}
	return nil
}

// nextPacket splits off the first packet. RFC 9580, Section 4.2: a key's
// packets have a definite length.
func nextPacket(data []byte) (tag int, body, rest []byte, err error) {
	short := errors.New("it is cut short")
	if data[0]&0x80 == 0 {
		return 0, nil, nil, errors.New("it has bytes that are no OpenPGP packet")
	}
	head, length := 2, uint64(0)
	if data[0]&0x40 != 0 {
		tag = int(data[0] & 0x3f)
		if len(data) < 2 {
			return 0, nil, nil, short
		}
		switch first := data[1]; {
		case first < 192:
			length = uint64(first)
		case first < 224:
			head = 3
			if len(data) < head {
				return 0, nil, nil, short
			}
			length = uint64(first-192)<<8 + uint64(data[2]) + 192
		case first < 255:
			return 0, nil, nil, errors.New("it has a packet of partial length, which a key must not have")
		default:
			head = 6
			if len(data) < head {
				return 0, nil, nil, short
			}
			length = uint64(binary.BigEndian.Uint32(data[2:]))
		}
	} else {
		tag = int(data[0]>>2) & 0x0f
		size := 1 << (data[0] & 3)
		if size == 8 {
			return 0, nil, nil, errors.New("it has a packet of indeterminate length, which a key must not have")
		}
		head = 1 + size
		if len(data) < head {
			return 0, nil, nil, short
		}
		for _, b := range data[1:head] {
			length = length<<8 | uint64(b)
		}
	}
	if length > uint64(len(data)-head) {
		return 0, nil, nil, short
	}
	end := head + int(length)
	return tag, data[head:end], data[end:], nil
}

// checkKeyPacket refuses numbers that are too long to compute with. RFC 9580,
// Section 5.5.2.
func checkKeyPacket(body []byte) error {
	if len(body) > maxKeyPacket {
		return fmt.Errorf("it has a key packet of more than %d bytes", maxKeyPacket)
	}
	if len(body) < 6 {
		return errors.New("it has a key packet that is cut short")
	}
	version, algorithm, numbers := body[0], body[5], body[6:]
	if version >= 5 {
		if len(numbers) < 4 {
			return errors.New("it has a key packet that is cut short")
		}
		numbers = numbers[4:]
	}
	switch algorithm {
	case 1, 2, 3, 16, 17: // RSA, ElGamal, DSA
		if len(numbers) < 2 {
			return errors.New("it has a key packet that is cut short")
		}
		if bits := binary.BigEndian.Uint16(numbers); bits > maxModulusBits {
			return fmt.Errorf("it has a key of %d bits, and at most %d are used", bits, maxModulusBits)
		}
	}
	return nil
}
