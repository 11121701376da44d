package smime

import (
	"fmt"
	"io"

	"waxseal/signer"
)

// pkcs7Header returns the fields of an application/pkcs7-* entity (RFC 8551,
// Section 3.2). The file name is there for programs that know files only.
func pkcs7Header(mediaType, smimeType, filename string) (signer.Header, error) {
	contentType := mediaType
	if smimeType != "" {
		contentType += "; " + signer.Param("smime-type", smimeType)
	}
	return fields(
		"Content-Type", contentType+`; name="`+filename+`"`,
		"Content-Transfer-Encoding", "base64",
		"Content-Disposition", `attachment; filename="`+filename+`"`,
	)
}

// fields builds a header of names and values in turn.
func fields(pairs ...string) (signer.Header, error) {
	var header signer.Header
	for i := 0; i < len(pairs); i += 2 {
		f, err := signer.NewField(pairs[i], pairs[i+1])
		if err != nil {
			return nil, err
		}
		header = append(header, f)
	}
	return header, nil
}

// unchanging is a content that must be as long each time as it was at first:
// what is sent has to be what was signed.
type unchanging struct {
	signer.Content
	size int64
}

// Size is the size at first.
func (u unchanging) Size() int64 { return u.size }

// WriteTo writes the content.
func (u unchanging) WriteTo(w io.Writer) (int64, error) {
	n, err := u.Content.WriteTo(w)
	if err == nil && n != u.size {
		err = fmt.Errorf("the content has %d bytes and was said to have %d", n, u.size)
	}
	return n, err
}

// base64Content is a content in base64.
type base64Content struct{ content signer.Content }

// Size is the size in base64.
func (b base64Content) Size() int64 { return signer.Base64Size(b.content.Size()) }

// WriteTo encodes the content while it writes it.
func (b base64Content) WriteTo(w io.Writer) (int64, error) {
	out := &counter{w: w}
	encoder := signer.NewBase64Writer(out)
	_, err := b.content.WriteTo(encoder)
	if err == nil {
		err = encoder.Close()
	}
	return out.n, err
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
