package pgpmime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// More packet types, RFC 9580, Section 5.
const (
	tagPublicKeySession  = 1
	tagPasswordSession   = 3
	tagOnePass           = 4
	tagCompressed        = 8
	tagUnprotected       = 9
	tagLiteral           = 11
	tagProtected         = 18
	tagModification      = 19
	tagAEAD              = 20 // draft-koch-librepgp, as GnuPG 2.3 writes it
	maxStreamPackets     = 4096
	maxSignaturePacket   = 128 << 10 // bytes; the largest in use have 50 KB
	maxSessionPacket     = 16 << 10  // bytes
	maxOnePassPacket     = 512       // bytes
	maxSignaturesOfOne   = 32        // that are verified of one message
	maxCompressionLevels = 3
)

// malformed is what is wrong with a message's structure, in words.
type malformed string

func (m malformed) Error() string { return "malformed OpenPGP message: " + string(m) }

// Is makes every malformed an ErrMalformed.
func (m malformed) Is(target error) bool { return target == ErrMalformed }

// packetStream walks over the packets of a message of any size. RFC 9580,
// Section 4.2.
type packetStream struct {
	r     *bufio.Reader
	count int
	body  *packetBody // of the packet before; what is left of it is skipped
}

// peek returns the next packet's type without reading its header; io.EOF at the
// end.
func (s *packetStream) peek() (tag int, err error) {
	if s.body != nil {
		if _, err := io.Copy(io.Discard, s.body); err != nil {
			return 0, err
		}
		s.body = nil
	}
	first, err := s.r.Peek(1)
	if err != nil {
		return 0, err
	}
	switch c := first[0]; {
	case c&0x80 == 0:
		return 0, malformed("bytes that are no packet")
	case c&0x40 != 0:
		return int(c & 0x3f), nil
	default:
		return int(c>>2) & 0x0f, nil
	}
}

// next returns the next packet; io.EOF at the end. Its body is to be read
// before the next call, what is left of it is skipped.
func (s *packetStream) next() (tag int, body *packetBody, err error) {
	if tag, err = s.peek(); err != nil {
		return 0, nil, err
	}
	if s.count++; s.count > maxStreamPackets {
		return 0, nil, malformed("too many packets")
	}
	b := &packetBody{r: s.r}
	head, err := s.r.ReadByte()
	if err != nil {
		return 0, nil, errOrTruncated(err)
	}
	if head&0x40 != 0 {
		err = b.length()
	} else if size := head & 3; size == 3 {
		b.endless = true
	} else {
		b.left, err = b.number(1 << size)
	}
	if err != nil {
		return 0, nil, errOrTruncated(err)
	}
	if (b.partial || b.endless) && tag != tagCompressed && tag != tagLiteral && tag != tagProtected && tag != tagAEAD && tag != tagUnprotected {
		return 0, nil, malformed("a packet without a length")
	}
	s.body = b
	return tag, b, nil
}

// packetBody is a packet's content.
type packetBody struct {
	r       *bufio.Reader
	left    int64
	partial bool // another length follows
	endless bool // it goes on to the end of the input
}

func (b *packetBody) number(octets int) (n int64, err error) {
	for range octets {
		c, err := b.r.ReadByte()
		if err != nil {
			return 0, err
		}
		n = n<<8 | int64(c)
	}
	return n, nil
}

// length reads a length of the new format, RFC 9580, Section 4.2.1.
func (b *packetBody) length() error {
	first, err := b.number(1)
	if err != nil {
		return err
	}
	b.partial = false
	switch {
	case first < 192:
		b.left = first
	case first < 224:
		var second int64
		second, err = b.number(1)
		b.left = (first-192)<<8 + second + 192
	case first < 255:
		b.left, b.partial = 1<<(first&0x1f), true
	default:
		b.left, err = b.number(4)
	}
	return err
}

// Read reads the content; io.ErrUnexpectedEOF if it is cut short.
func (b *packetBody) Read(p []byte) (int, error) {
	if b.endless {
		return b.r.Read(p)
	}
	for b.left == 0 {
		if !b.partial {
			return 0, io.EOF
		}
		if err := b.length(); err != nil {
			return 0, errOrTruncated(err)
		}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// ReadByte makes the body an io.ByteReader: decompressors then read no byte
// more than they need.
func (b *packetBody) ReadByte() (byte, error) {
	var one [1]byte
	_, err := io.ReadFull(b, one[:])
	return one[0], err
}

// bytes reads all of the content, which may not be longer than the limit.
func (b *packetBody) bytes(limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(b, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = malformed("a packet that is too long for its type")
	}
	return data, err
}

// parsePacket has the library parse the content of a small packet.
func parsePacket(tag int, body []byte) (p packet.Packet, err error) {
	defer guard(&err)
	return packet.Read(bytes.NewReader(appendPacket(nil, tag, body)))
}

// appendPacket appends a packet with a length of five octets.
func appendPacket(to []byte, tag int, body []byte) []byte {
	n := len(body)
	to = append(to, 0xc0|byte(tag), 0xff, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(to, body...)
}

// meansNothing reports whether readers pass over packets of a type. RFC 9580,
// Section 4.3.
func meansNothing(tag int) bool {
	return tag == tagMarker || tag == tagPadding || tag >= tagNonCritical
}

// source keeps the errors of what is read from apart from those of its content.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// errTooMuch stops a writer at its limit.
var errTooMuch = errors.New("more than the limit")

// sink writes up to a limit, and keeps the writer's error apart.
type sink struct {
	w     io.Writer
	n     int64
	limit int64
	err   error
}

func (s *sink) Write(p []byte) (int, error) {
	if int64(len(p)) > s.limit-s.n {
		return 0, errTooMuch
	}
	n, err := s.w.Write(p)
	s.n += int64(n)
	if err != nil {
		s.err = fmt.Errorf("write the text of an OpenPGP message: %w", err)
	}
	return n, err
}
