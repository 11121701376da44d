package cms

import (
	"bufio"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// TooLargeError says that compressed content is larger than is allowed.
type TooLargeError struct {
	// Limit is what is allowed, in octets.
	Limit int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the compressed content is larger than %d bytes", e.Limit)
}

// Decompress writes the content of CompressedData (RFC 3274) in BER to w while
// it reads, at most limit octets, and returns the content's type as
// Decrypted.ContentType has it. Nothing of the content must be used before it
// has returned without an error. The error is a *TooLargeError for more content,
// a *SyntaxError for what is no CompressedData, an *UnsupportedError for another
// algorithm or content type; any other is one of in or w.
func Decompress(w io.Writer, in io.Reader, limit int64) (contentType string, err error) {
	r := NewReader(in, Limits{})
	oid, err := r.enterContentInfo()
	if err != nil {
		return "", err
	}
	if !oid.Equal(oidCompressedData) {
		return "", &UnsupportedError{"content type", contentTypeName(oid)}
	}
	if err := r.Enter(TagSequence); err != nil {
		return "", err
	}
	if err := r.Skip(TagInteger); err != nil { // version
		return "", err
	}
	algorithm, err := r.Element(TagSequence)
	if err != nil {
		return "", err
	}
	if oid, _, ok := parseAlgorithm(algorithm); !ok || !oid.Equal(oidZlib) {
		return "", &UnsupportedError{"compression", oid.String()}
	}
	if err := r.Enter(TagSequence); err != nil { // EncapsulatedContentInfo
		return "", err
	}
	if oid, err = r.objectIdentifier(); err != nil {
		return "", err
	}
	if err := r.Enter(TagContext | TagConstructed); err != nil {
		return "", err
	}
	content, err := r.Octets(TagOctetString)
	if err != nil {
		return "", err
	}
	if err := inflate(w, content, limit); err != nil {
		return "", err
	}
	for range 2 {
		if err := r.Leave(); err != nil {
			return "", err
		}
	}
	return contentTypeName(oid), r.leaveContentInfo()
}

// inflate writes what in holds (RFC 1950) to w.
func inflate(w io.Writer, in io.Reader, limit int64) error {
	source := &failing{Reader: in}
	buffered := bufio.NewReader(source) // zlib reads no further than it has to
	z, err := zlib.NewReader(buffered)
	if err != nil {
		return source.cause("the compressed content")
	}
	out := &failing{Writer: w}
	_, err = io.CopyN(out, z, limit)
	if err == nil {
		var more int
		if more, err = io.ReadFull(z, make([]byte, 1)); more > 0 {
			return &TooLargeError{limit}
		}
	}
	switch {
	case out.err != nil:
		return out.err
	case err != io.EOF:
		return source.cause("the compressed content")
	}
	if n, err := io.Copy(io.Discard, buffered); n > 0 && err == nil {
		return shapeError("what follows the compressed content")
	}
	return source.err
}

// failing keeps an error, to tell whose it was.
type failing struct {
	io.Reader
	io.Writer
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	f.err = err
	return n, err
}

// cause is the reader's own error, or that its content is not as it should be.
func (f *failing) cause(what string) error {
	if f.err != nil {
		return f.err
	}
	return shapeError(what)
}
