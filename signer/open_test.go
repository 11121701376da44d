package signer

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	cases := []struct {
		name, encoding, body, want string
		broken                     bool
	}{
		{"none", "", "a=b\r\n", "a=b\r\n", false},
		{"binary", "binary", "a\x00b", "a\x00b", false},
		{"base64", "BASE64", "aGVs\r\nbG8=\r\n", "hello", false},
		{"quoted-printable", "quoted-printable", "a=3Db=\r\nc\r\n", "a=bc\r\n", false},
		{"text in base64", "base64", "aGVs.bG8=", "", true},
		{"base64 that goes on", "base64", "aGVsbG8=aGVs", "", true},
		{"unknown", "x-rot13", "a", "", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			header := Header{{Name: "Content-Type", Raw: []byte("Content-Type: application/octet-stream\r\n")}}
			if c.encoding != "" {
				header = append(header, newField("Content-Transfer-Encoding", c.encoding))
			}
			src := strings.NewReader(c.body)
			part, err := Slice(header, src)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(part.Open(src))
			if c.broken != errors.Is(err, ErrEncoding) || !c.broken && (err != nil || string(got) != c.want) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestOpenTellsTheSourcesErrors(t *testing.T) {
	for _, encoding := range []string{"7bit", "base64", "quoted-printable"} {
		p := &Part{Encoding: encoding, BodyEnd: 10}
		_, err := io.ReadAll(p.Open(brokenSource{10}))
		if err == nil || errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}
