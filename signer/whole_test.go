package signer

import (
	"bytes"
	"strings"
	"testing"
)

func TestWhole(t *testing.T) {
	body := "caf\xe9\nbare line end, no last one; " + strings.Repeat("x", 3000)
	cases := []struct{ name, header, want string }{
		{"no MIME", "From: a@b.example\r\nSubject: s\r\n", "Content-Type: text/plain\r\n\r\n"},
		{"MIME", "content-language: de\r\nFrom: a@b.example\r\nMIME-Version: 1.0\r\nCONTENT-TYPE: text/html;\r\n charset=x\r\n",
			"content-language: de\r\nCONTENT-TYPE: text/html;\r\n charset=x\r\n\r\n"},
		{"a type missing", "Content-Transfer-Encoding: 8bit\r\n", "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			header, _, err := ReadHeader(strings.NewReader(c.header+"\r\n"), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			e := Whole(&Message{Header: header, Body: strings.NewReader(body)})
			for range 2 {
				var got bytes.Buffer
				n, err := e.WriteTo(&got)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != c.want+body || n != e.Size() || n != int64(got.Len()) {
					t.Errorf("got %d bytes, said to be %d and %d: %.200q", got.Len(), n, e.Size(), got.String())
				}
			}
		})
	}
}
