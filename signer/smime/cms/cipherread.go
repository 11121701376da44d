package cms

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/asn1"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// contentAlgorithm is a content-encryption algorithm that was read, with its
// parameters.
type contentAlgorithm struct {
	Cipher
	suite
	iv  []byte
	tag int // the length of the authentication tag, in octets
}

// parseAlgorithm takes an AlgorithmIdentifier apart.
func parseAlgorithm(der []byte) (oid asn1.ObjectIdentifier, parameters cryptobyte.String, ok bool) {
	in := cryptobyte.String(der)
	var inner cryptobyte.String
	ok = in.ReadASN1(&inner, casn1.SEQUENCE) && in.Empty() && inner.ReadASN1ObjectIdentifier(&oid)
	return oid, inner, ok
}

// parseContentAlgorithm reads a ContentEncryptionAlgorithmIdentifier.
func parseContentAlgorithm(der []byte) (contentAlgorithm, error) {
	oid, parameters, ok := parseAlgorithm(der)
	if !ok {
		return contentAlgorithm{}, shapeError("the content-encryption algorithm")
	}
	i := slices.IndexFunc(suites[:], func(s suite) bool { return s.oid.Equal(oid) })
	if i < 0 {
		return contentAlgorithm{}, &UnsupportedError{"content encryption", oid.String()}
	}
	a := contentAlgorithm{Cipher: Cipher(i), suite: suites[i]}
	var iv cryptobyte.String
	if !a.gcm {
		if !parameters.ReadASN1(&iv, casn1.OCTET_STRING) || !parameters.Empty() || len(iv) != a.ivSize() {
			return a, shapeError("the initialization vector")
		}
		a.iv = iv
		return a, nil
	}
	var gcm cryptobyte.String
	a.tag = 12 // the default (RFC 5084, Section 3.2)
	if !parameters.ReadASN1(&gcm, casn1.SEQUENCE) || !parameters.Empty() ||
		!gcm.ReadASN1(&iv, casn1.OCTET_STRING) ||
		!gcm.Empty() && !gcm.ReadASN1Integer(&a.tag) || !gcm.Empty() ||
		a.tag < 12 || a.tag > tagSize {
		return a, shapeError("the parameters of GCM")
	}
	if len(iv) != nonceSize {
		return a, &UnsupportedError{"content encryption", "GCM with a nonce that is not 12 octets long"}
	}
	a.iv = iv
	return a, nil
}

// contentReader decrypts content to w. It says whether the content is sound only
// once all that is public about the message has been looked at, so that
// whatever is wrong with a key takes as long as with none.
type contentReader interface {
	// decrypt writes the plaintext of all of in. Errors are those of in and w,
	// or come from what is public about the ciphertext.
	decrypt(w io.Writer, in io.Reader) error
	// sound is 1 if the plaintext is right, else 0, given the authenticated
	// attributes and the MAC, both nil for a cipher that does not authenticate.
	sound(attributes, mac []byte) int
}

// newContentReader returns the cipher under that key, ready for one content.
func (a contentAlgorithm) newContentReader(key []byte) (contentReader, error) {
	block, err := a.block(key)
	if err != nil {
		return nil, err
	}
	if a.gcm {
		g, err := newGCM(block, a.iv)
		return &gcmReader{g: g, tag: a.tag}, err
	}
	return &cbcReader{mode: cipher.NewCBCDecrypter(block, a.iv)}, nil
}

type cbcReader struct {
	mode cipher.BlockMode
	good int // whether the padding is right
}

// decrypt keeps the last block back until it knows that it is the last.
func (c *cbcReader) decrypt(w io.Writer, in io.Reader) error {
	size := c.mode.BlockSize()
	buf := make([]byte, size+chunkSize) // one block kept back, and a chunk
	held := 0
	for {
		n, err := io.ReadFull(in, buf[size:])
		if err == io.EOF {
			break
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		if n%size != 0 {
			return shapeError("the length of the encrypted content")
		}
		c.mode.CryptBlocks(buf[size:size+n], buf[size:size+n])
		if _, err := w.Write(buf[size-held : n]); err != nil {
			return err
		}
		copy(buf[:size], buf[n:n+size])
		held = size
	}
	if held == 0 {
		return shapeError("the length of the encrypted content")
	}
	last := buf[:size]
	var left int
	left, c.good = unpad(last)
	_, err := w.Write(last[:left])
	return err
}

// unpad returns how many octets of the last block are content, and 1 if the
// padding (RFC 5652, Section 6.3) is right, else 0. Its time depends on neither.
func unpad(last []byte) (left, good int) {
	size := len(last)
	pad := int(last[size-1])
	good = subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, size)
	for i, c := range last {
		inside := subtle.ConstantTimeLessOrEq(size-pad, i)
		good &= 1 ^ inside | subtle.ConstantTimeByteEq(c, byte(pad))
	}
	return subtle.ConstantTimeSelect(good, size-pad, 0), good
}

func (c *cbcReader) sound(_, _ []byte) int { return c.good }

type gcmReader struct {
	g   *gcm
	tag int
}

func (r *gcmReader) decrypt(w io.Writer, in io.Reader) error {
	buf := make([]byte, chunkSize)
	for {
		n, err := io.ReadFull(in, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		if r.g.length += int64(n); r.g.length > maxContent {
			return shapeError("the length of the encrypted content")
		}
		r.g.hash.fold(buf[:n])
		r.g.ctr.XORKeyStream(buf[:n], buf[:n])
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
	}
}

func (r *gcmReader) sound(attributes, mac []byte) int {
	return subtle.ConstantTimeCompare(r.g.macWith(attributes)[:r.tag], mac)
}
