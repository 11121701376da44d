package pgpmime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"waxseal/signer"
)

// maxSignatures is the size of detached signatures, armored, in bytes.
const maxSignatures = 1 << 20

// VerifyOptions says how signatures are verified; the zero value verifies them
// as of now and asks about no address.
type VerifyOptions struct {
	// Address is the one that the signer should have: the visible author's. If
	// it is "" then nothing is said about addresses.
	Address string
	// Time is when the message was received, now if zero.
	Time time.Time
	// MaxSize is how much text is taken at most, in bytes; 0 means 256 MiB. It
	// does not matter for detached signatures.
	MaxSize int64
}

func (o VerifyOptions) verifier(certificates []*Certificate) *verifier {
	return &verifier{certificates: certificates, address: o.Address, now: environment{time: o.Time}.now()}
}

// defaultMaxSize is how much text is taken at most, in bytes.
const defaultMaxSize = 256 << 20

// orDefaultSize returns a limit that can be calculated with.
func orDefaultSize(n int64) int64 {
	if n <= 0 {
		return defaultMaxSize
	}
	return min(n, 1<<50)
}

// Verify checks the detached signatures, armored or not, over content: the first
// part of a multipart/signed as it stands in the message, with CRLF line ends
// (RFC 3156, Section 5). The certificates are those that are held, each under
// the name it was parsed with: a signature by another key is Neutral.
//
// There is a verification for every signature, in order. Of more than 32 the
// others are not checked, which the last one says. An error is one of reading
// the content.
func Verify(content io.Reader, signature []byte, certificates []*Certificate, o VerifyOptions) ([]signer.Verification, error) {
	claims, excess, err := readSignatures(signature)
	if err != nil {
		return []signer.Verification{malformedSignature(err.Error())}, nil
	}
	d := digests{}
	for i := range claims {
		d.add(claims[i].digestKey())
	}
	if _, err := io.CopyBuffer(d, onlyReader{content}, make([]byte, 32<<10)); err != nil {
		return nil, fmt.Errorf("read what is signed: %w", err)
	}
	return o.verifier(certificates).all(claims, d, excess), nil
}

// onlyReader hides what else a reader can do, so that the buffer is used.
type onlyReader struct{ io.Reader }

// all verifies signatures over a document that has been hashed.
func (v *verifier) all(claims []claim, d digests, excess bool) (found []signer.Verification) {
	for i := range claims {
		found = append(found, v.verify(&claims[i], d.state(claims[i].digestKey())))
	}
	if excess {
		found = append(found, tooManySignatures())
	}
	return found
}

// readSignatures reads detached signatures. RFC 9580, Section 10.4. The error
// says in words what is wrong with them.
func readSignatures(data []byte) (claims []claim, excess bool, err error) {
	if len(data) > maxSignatures {
		return nil, false, fmt.Errorf("the signature is larger than %d bytes", maxSignatures)
	}
	broken := errors.New("the signature is malformed")
	packets, kind, err := unarmor(bytes.NewReader(data))
	if err != nil || kind != "" && kind != kindSignature && kind != kindMessage {
		return nil, false, broken
	}
	s := &packetStream{r: packets}
	for {
		tag, body, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, false, broken
		}
		switch {
		case meansNothing(tag):
			continue
		case tag != tagSignature:
			return nil, false, fmt.Errorf("the signature has a packet of type %d", tag)
		case len(claims) == maxSignaturesOfOne:
			excess = true
			continue
		}
		p, err := body.bytes(maxSignaturePacket)
		if err != nil {
			return nil, false, broken
		}
		claims = append(claims, readClaim(p))
	}
	if len(claims) == 0 {
		return nil, false, errors.New("the signature is empty")
	}
	return claims, excess, nil
}

// Opened is what was found in an OpenPGP message that is not encrypted.
type Opened struct {
	// Format is that of the text (RFC 9580, Section 5.9): 'b' for binary data,
	// 't' or 'u' for text.
	Format byte
	// Signatures is what was found about each signature over the text; nothing
	// if there are none.
	Signatures []signer.Verification
}

// VerifyMessage reads an OpenPGP message that is signed, compressed or neither,
// but not encrypted, armored or not, and writes its text to w. The signatures
// are over exactly what is written.
//
// If it fails, what has been written to w is worthless. The error is
// ErrMalformed, ErrTooLarge, or one of r and w.
func VerifyMessage(w io.Writer, r io.Reader, certificates []*Certificate, o VerifyOptions) (*Opened, error) {
	src := &source{r: r}
	d := newDocument(w, orDefaultSize(o.MaxSize))
	packets, err := openMessage(src)
	if err == nil {
		err = d.read(packets, 0)
	}
	if src.err != nil {
		return nil, fmt.Errorf("read OpenPGP message: %w", src.err)
	}
	if err != nil {
		return nil, d.fault(err)
	}
	return &Opened{Format: d.format, Signatures: d.verifications(o.verifier(certificates))}, nil
}

// openMessage returns the packets of a message, armored or not.
func openMessage(r io.Reader) (*bufio.Reader, error) {
	packets, kind, err := unarmor(r)
	if err != nil {
		return nil, err
	}
	if kind != "" && kind != kindMessage {
		return nil, malformed("armor of another kind")
	}
	return packets, nil
}
