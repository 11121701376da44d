package smime_test

import (
	"bytes"
	"errors"
	"testing"

	"waxseal/signer/smime"
	"waxseal/signer/smime/cms"
	"waxseal/test/judge"
)

// TestInteropCompress reads what Bouncy Castle compresses. The other programs
// do not compress: OpenSSL of Debian 12 is built without zlib.
func TestInteropCompress(t *testing.T) {
	b := judge.NewBouncyCastle(t, judge.NewPeople(t))
	for _, content := range [][]byte{nil, []byte(text), bytes.Repeat([]byte(text), 20)} {
		for _, pieces := range []bool{false, true} {
			data, err := b.Compress(t, content, pieces)
			if err != nil {
				t.Fatal(err)
			}
			if kind, err := smime.ContentType(bytes.NewReader(data)); err != nil || kind != "compressed-data" {
				t.Errorf("%d bytes, pieces %v: the content type is %q, %v", len(content), pieces, kind, err)
			}
			var out bytes.Buffer
			kind, err := smime.Decompress(&out, bytes.NewReader(data), int64(len(content)))
			if err != nil || kind != "data" || !bytes.Equal(out.Bytes(), content) {
				t.Errorf("%d bytes, pieces %v: got %d bytes of %q, %v", len(content), pieces, out.Len(), kind, err)
			}
			if len(content) == 0 {
				continue
			}
			out.Reset()
			limit := int64(len(content)) - 1
			var large *cms.TooLargeError
			if _, err := smime.Decompress(&out, bytes.NewReader(data), limit); !errors.As(err, &large) || int64(out.Len()) > limit {
				t.Errorf("%d bytes, pieces %v: with a limit below: got %d bytes, %v", len(content), pieces, out.Len(), err)
			}
		}
	}
}
