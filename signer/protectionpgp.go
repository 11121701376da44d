package signer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// OpenPGP packet types (RFC 9580, Section 5).
const (
	pgpPublicKeySession = 1
	pgpSignature        = 2
	pgpPasswordSession  = 3
	pgpCompressed       = 8
	pgpEncrypted        = 9 // without integrity protection
	pgpMarker           = 10
	pgpLiteral          = 11
	pgpIntegrity        = 18 // encrypted, with integrity protection
	pgpAEAD             = 20 // encrypted, as GnuPG 2.3 wrote it
	pgpPadding          = 21
)

// Bounds of what stands before encrypted data or in a signature, in bytes.
const (
	maxPGPPacket  = 128 << 10 // the largest signatures in use are 50 KB
	maxPGPPackets = maxEnvelope
)

var errPackets = errors.New("malformed OpenPGP packets")

// pgpPacket is what is looked at of a packet.
type pgpPacket struct {
	tag  byte
	size int64    // of its body
	head [16]byte // the beginning of its body
}

// packetReader walks through OpenPGP packets from front to back. It holds nothing
// but its place.
type packetReader struct{ r *bufio.Reader }

// next reads the next packet to its end. Between packets the end of input is
// io.EOF.
func (p *packetReader) next() (pgpPacket, error) {
	c, err := p.r.ReadByte()
	if err != nil {
		return pgpPacket{}, err
	}
	packet := pgpPacket{tag: c & 0x3f}
	switch {
	case c&0x80 == 0:
		return packet, errPackets
	case c&0x40 == 0: // the old format, Section 4.2.2
		packet.tag = c >> 2 & 0xf
		err = p.oldBody(&packet, c&3)
	default:
		err = p.newBody(&packet)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return packet, err
}

// number reads an unsigned number of that many bytes.
func (p *packetReader) number(bytes int) (int64, error) {
	n := int64(0)
	for range bytes {
		c, err := p.r.ReadByte()
		if err != nil {
			return 0, err
		}
		n = n<<8 | int64(c)
	}
	return n, nil
}

func (p *packetReader) oldBody(packet *pgpPacket, lengthType byte) error {
	if lengthType == 3 { // up to the end of input
		if !packet.holdsData() {
			return errPackets
		}
		for {
			switch _, err := p.r.Peek(1); err {
			case nil:
			case io.EOF:
				return nil
			default:
				return err
			}
			if err := p.body(packet, int64(p.r.Buffered())); err != nil {
				return err
			}
		}
	}
	n, err := p.number(1 << lengthType)
	if err != nil {
		return err
	}
	return p.body(packet, n)
}

// newBody reads lengths and bodies of the format of RFC 9580, Section 4.2.1.
func (p *packetReader) newBody(packet *pgpPacket) error {
	for first := true; ; first = false {
		n, err := p.number(1)
		if err != nil {
			return err
		}
		partial := n >= 224 && n < 255
		switch {
		case partial:
			if n = 1 << (n & 0x1f); !packet.holdsData() || first && n < 512 {
				return errPackets
			}
		case n == 255:
			n, err = p.number(4)
		case n >= 192:
			var low int64
			low, err = p.number(1)
			n = (n-192)<<8 + low + 192
		}
		if err != nil {
			return err
		}
		if err := p.body(packet, n); err != nil || !partial {
			return err
		}
	}
}

// isEncrypted reports whether a packet is encrypted data.
func (p *pgpPacket) isEncrypted() bool {
	return p.tag == pgpEncrypted || p.tag == pgpIntegrity || p.tag == pgpAEAD
}

// holdsData reports whether a packet may have a length that is not known at its
// beginning.
func (p *pgpPacket) holdsData() bool {
	return p.isEncrypted() || p.tag == pgpCompressed || p.tag == pgpLiteral
}

// body reads n bytes of a packet's body.
func (p *packetReader) body(packet *pgpPacket, n int64) error {
	for n > 0 && packet.size < int64(len(packet.head)) {
		c, err := p.r.ReadByte()
		if err != nil {
			return err
		}
		packet.head[packet.size] = c
		packet.size++
		n--
	}
	packet.size += n
	for n > 0 {
		m, err := p.r.Discard(int(min(n, 1<<20)))
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}

// readEncrypted checks that r is an encrypted OpenPGP message (RFC 9580, Section
// 10.3): session keys for someone, then encrypted data, then nothing.
func readEncrypted(r io.Reader) error {
	p := &packetReader{bufio.NewReader(r)}
	keys, before := 0, int64(0)
	for {
		packet, err := p.next()
		switch {
		case err == io.EOF:
			return errors.New("no encrypted data")
		case err != nil:
			return err
		}
		if packet.isEncrypted() {
			if keys == 0 {
				return errors.New("no recipients")
			}
			if err := packet.checkEncrypted(); err != nil {
				return err
			}
			switch _, err := p.next(); err {
			case io.EOF:
				return nil
			case nil:
				return errors.New("data after the encrypted data")
			default:
				return err
			}
		}
		version := packet.head[0]
		switch packet.tag {
		case pgpPublicKeySession:
			if packet.size < 16 || version != 3 && version != 6 {
				return errPackets
			}
			keys++
		case pgpPasswordSession:
			if packet.size < 4 || version < 4 || version > 6 {
				return errPackets
			}
			keys++
		default:
			if !packet.meansNothing() {
				return fmt.Errorf("packet of type %d, not encrypted data", packet.tag)
			}
		}
		if before += packet.size; packet.size > maxPGPPacket || before > maxPGPPackets {
			return errors.New("too much before the encrypted data")
		}
	}
}

// checkEncrypted checks what can be seen of encrypted data.
func (p *pgpPacket) checkEncrypted() error {
	const (
		prefix = 8 + 2        // of random bytes, for the smallest block
		mdc    = 22           // modification detection code
		v2     = 4 + 32 + 16  // parameters, salt, tag
		aead   = 4 + 12 + 2*8 // parameters, the shortest nonce, tags
	)
	version := p.head[0]
	switch {
	case p.tag == pgpEncrypted && p.size > prefix,
		p.tag == pgpIntegrity && version == 1 && p.size > prefix+mdc,
		p.tag == pgpIntegrity && version == 2 && p.size > v2,
		p.tag == pgpAEAD && version == 1 && p.size > aead:
		return nil
	}
	return errors.New("encrypted data is too short or of an unknown version")
}

// meansNothing reports whether a packet is one that readers pass over.
func (p *pgpPacket) meansNothing() bool {
	return p.tag == pgpMarker && p.size == 3 && string(p.head[:3]) == "PGP" || p.tag == pgpPadding
}

// readSignatures checks that r is OpenPGP signatures, one or more, and nothing
// else (RFC 9580, Section 10.4).
func readSignatures(r io.Reader) error {
	p := &packetReader{bufio.NewReader(r)}
	for signatures := 0; ; {
		packet, err := p.next()
		switch {
		case err == io.EOF && signatures > 0:
			return nil
		case err == io.EOF:
			return errors.New("no signature")
		case err != nil:
			return err
		case packet.meansNothing() && packet.size <= maxPGPPacket:
		case packet.tag != pgpSignature:
			return fmt.Errorf("packet of type %d, not a signature", packet.tag)
		case packet.size < 16 || packet.size > maxPGPPacket || packet.head[0] < 2 || packet.head[0] > 6:
			return errPackets
		default:
			signatures++
		}
	}
}
