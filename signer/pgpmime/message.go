package pgpmime

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"waxseal/signer"
)

// document reads an OpenPGP message that is not encrypted (RFC 9580, Section
// 10.3): one text, maybe compressed, maybe between signatures. The text goes to
// out and is hashed on the way; nothing is verified before all has been read.
type document struct {
	out     *sink
	digests digests
	format  byte // of the text: 'b', 't', 'u'; 0 if there was none
	packets int
	claims  []foundClaim
	excess  bool   // there are more signatures than are verified
	raw     []byte // the packets of the claims
}

// foundClaim is a signature of the document.
type foundClaim struct {
	claim
	announced bool // by a one-pass packet or by standing before the text
}

func newDocument(w io.Writer, limit int64) *document {
	return &document{out: &sink{w: w, limit: limit}, digests: digests{}}
}

// read reads a message of packets. Its depth is that of compression.
func (d *document) read(r *bufio.Reader, depth int) error {
	s := &packetStream{r: r}
	announced, content := 0, false
	for {
		tag, body, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if d.packets++; d.packets > maxStreamPackets {
			return malformed("too many packets")
		}
		switch {
		case tag == tagOnePass && !content:
			err = d.readOnePass(body)
			announced++
		case tag == tagSignature:
			if content {
				announced--
			}
			err = d.readSignature(body, !content, announced >= 0)
		case tag == tagCompressed && !content:
			content = true
			err = d.readCompressed(body, depth)
		case tag == tagLiteral && !content:
			content = true
			err = d.readLiteral(body)
		case meansNothing(tag):
		default:
			err = malformed(fmt.Sprintf("a packet of type %d in a place where it means nothing", tag))
		}
		if err != nil {
			return err
		}
	}
	if !content {
		return malformed("no text")
	}
	for range announced {
		d.addClaim(foundClaim{claim: claim{why: signer.Finding{Verdict: signer.PermError, Reason: "a signature is announced and not there"}}})
	}
	return nil
}

// readOnePass reads how the text has to be hashed. RFC 9580, Section 5.4. What
// else the packet says is said again by the signature, and there it is signed.
func (d *document) readOnePass(body *packetBody) error {
	p, err := body.bytes(maxOnePassPacket)
	if err != nil {
		return err
	}
	if len(p) < 5 {
		return malformed("a one-pass packet that is cut short")
	}
	k := digestKey{id: p[2], text: p[1] == 1}
	switch p[0] {
	case 3:
	case 6:
		size := int(p[4])
		if len(p) < 5+size {
			return malformed("a one-pass packet that is cut short")
		}
		k.salt = string(p[5 : 5+size])
	default:
		return nil // its signature will not be understood either
	}
	d.digests.add(k)
	return nil
}

// readSignature reads a signature, which in old messages stands before the text.
func (d *document) readSignature(body *packetBody, before, announced bool) error {
	p, err := body.bytes(maxSignaturePacket)
	if err != nil {
		return err
	}
	if len(d.claims) == maxSignaturesOfOne { // not worth reading
		d.excess = true
		return nil
	}
	c := readClaim(p)
	if before {
		d.digests.add(c.digestKey())
	}
	d.raw = appendSignaturePacket(d.raw, p)
	d.addClaim(foundClaim{c, before || announced})
	return nil
}

// appendSignaturePacket appends a packet with a length of five octets (RFC 9580,
// Section 4.2.1.3).
func appendSignaturePacket(to, body []byte) []byte {
	to = append(to, 0xc0|tagSignature, 0xff)
	to = binary.BigEndian.AppendUint32(to, uint32(len(body)))
	return append(to, body...)
}

func (d *document) addClaim(c foundClaim) {
	if len(d.claims) == maxSignaturesOfOne {
		d.excess = true
		return
	}
	d.claims = append(d.claims, c)
}

// readLiteral reads the text. RFC 9580, Section 5.9.
func (d *document) readLiteral(body *packetBody) error {
	if d.format != 0 {
		return malformed("more than one text")
	}
	var head [2]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return errOrTruncated(err)
	}
	if head[0] == 0 {
		return malformed("a text without a format")
	}
	d.format = head[0]
	// The file name and the date are not signed, so nobody should see them.
	if _, err := io.CopyN(io.Discard, body, int64(head[1])+4); err != nil {
		return errOrTruncated(err)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			d.digests.Write(buf[:n])
			if _, err := d.out.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readCompressed reads the message within compressed data. RFC 9580, Section 5.6.
func (d *document) readCompressed(body *packetBody, depth int) error {
	if depth == maxCompressionLevels {
		return malformed("compressed too many times")
	}
	algorithm, err := body.ReadByte()
	if err != nil {
		return errOrTruncated(err)
	}
	in := bufio.NewReaderSize(body, 4<<10)
	var plain io.Reader
	switch algorithm {
	case 0:
		plain = in
	case 1:
		plain = flate.NewReader(in)
	case 2:
		if plain, err = zlib.NewReader(in); err != nil {
			return malformed("compressed data that can't be read")
		}
	case 3:
		plain = bzip2.NewReader(in)
	default:
		return malformed("compressed data of an unknown algorithm")
	}
	// What is not text takes little room: signatures, and a header now and then.
	limited := &limitedReader{r: plain, left: d.out.limit + maxSignaturesOfOne*maxSignaturePacket + 1<<20}
	return d.read(bufio.NewReaderSize(limited, 32<<10), depth+1)
}

// limitedReader fails at its limit, which io.LimitReader takes for the end.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooMuch
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// fault puts an error of reading a document into words that tell nothing of it.
func (d *document) fault(err error) error {
	switch {
	case d.out.err != nil:
		return d.out.err
	case errors.Is(err, errTooMuch):
		return fmt.Errorf("%w: at most %d bytes of text are taken", ErrTooLarge, d.out.limit)
	}
	return structureFault(err)
}

// structureFault puts an error of reading packets into words.
func structureFault(err error) error {
	switch {
	case errors.Is(err, ErrMalformed):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("it is cut short")
	}
	return malformed("it can't be read")
}

// verifications says what is to be said about each signature.
func (d *document) verifications(v *verifier) []signer.Verification {
	var found []signer.Verification
	for i := range d.claims {
		c := &d.claims[i]
		if !c.announced && c.why.Verdict == "" {
			c.packet = nil
			c.why = signer.Finding{Verdict: signer.PermError, Reason: "the signature is not announced before the text"}
		}
		found = append(found, v.verify(&c.claim, d.digests.state(c.digestKey())))
	}
	if d.excess {
		found = append(found, tooManySignatures())
	}
	return found
}
