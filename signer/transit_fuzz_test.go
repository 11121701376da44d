package signer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// seeds are messages of all kinds; more of them stand in testdata/fuzz.
func seeds(f *testing.F) {
	for _, s := range []string{
		"Subject: x\n\nhello\n",
		mixed + "pre\n--b\nContent-Transfer-Encoding: 8bit\n\nf\xc3\xbcr\n--b\nContent-Type: a/b\nContent-Transfer-Encoding: base64\n\nQU\xffI=\n--b--\nepi\n",
		mixed + "--b\nContent-Type: multipart/digest; boundary=\"c d\"\n\n--c d\n\nSubject: \xc3\xbc\n\nx\r\r\n--c d--\n--b\nContent-Type: message/rfc822\n--b",
		"Content-Type: multipart/signed; boundary=b\n\n--b\n\nx \n--b \nContent-Disposition: attachment; filename=\"\xc3\xbc\"\n\n\x00\n--b--",
		"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\na=\nb =\t\n=3\xc3\n=4",
		"Content-Type: multipart/mixed;\n boundary*0=b;\n boundary*1*=%62\n\n--bb\nFrom x\n--bb\n \n--bb--\n--bb\n",
	} {
		f.Add([]byte(s))
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
}

// inOrder says what is wrong with the offsets of a tree.
func inOrder(p *Part, size int64) error {
	switch {
	case p.Offset < 0 || p.BodyStart < p.Offset || p.BodyEnd < p.BodyStart || p.BodyEnd > size:
		return fmt.Errorf("offsets %d, %d, %d of %d", p.Offset, p.BodyStart, p.BodyEnd, size)
	case p.IsMultipart() && !p.IsLeaf() && (p.Preamble.Start != p.BodyStart || p.Preamble.End > p.Parts[0].Offset):
		return fmt.Errorf("preamble %v before %d", p.Preamble, p.Parts[0].Offset)
	case p.Closed && (p.Epilogue.End != p.BodyEnd || p.Epilogue.Len() < 0 || p.Epilogue.Start < p.BodyStart):
		return fmt.Errorf("epilogue %v in %d, %d", p.Epilogue, p.BodyStart, p.BodyEnd)
	}
	at := p.BodyStart
	for _, q := range p.Parts {
		if q.Offset < at || q.BodyEnd > p.BodyEnd {
			return fmt.Errorf("a part from %d to %d in one from %d to %d", q.Offset, q.BodyEnd, at, p.BodyEnd)
		}
		if err := inOrder(q, size); err != nil {
			return err
		}
		at = q.BodyEnd
	}
	return nil
}

func FuzzSlice(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 100_000 {
			return // rawMessage takes one header block
		}
		m := rawMessage(t, string(text))
		p, err := Slice(m.Header, m.Body)
		if err != nil {
			var limit *LimitError
			if !errors.As(err, &limit) {
				t.Fatal(err)
			}
			return
		}
		if err := inOrder(p, m.Body.Size()); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseContentType(f *testing.F) {
	for _, s := range []string{
		"text/plain", `multipart/mixed; boundary="a\"b"; boundary=c`, "text / plain (x (y) \\) z); charset=us-ascii (c)",
		"a/b; name*0*=utf-8''%c3; name*1*=%bc; name*2=\"x\"", "text; name=a b c.txt; x", "text/html charset=utf-8; =;;\"", "a/b; filename=\"\xc3\xbc",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		media, params := ParseContentType(value)
		if strings.Count(media, "/") != 1 || strings.ContainsAny(media, " \t\r\n;\"") {
			t.Errorf("type %q", media)
		}
		if len(params) > maxFieldParams {
			t.Errorf("%d parameters", len(params))
		}
		raw, reason := transitField(Field{"Content-Type", []byte("Content-Type: " + value + "\r\n")}, true)
		if reason == "" && !fieldFits(raw, true) {
			t.Errorf("made of it: %q", raw)
		}
	})
}

// unixLeaves are leaves with LF, because files with LF line ends get CRLF.
func unixLeaves(all []string) []string {
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "\r\n", "\n")
		if i == len(all)-1 {
			all[i] = strings.TrimRight(all[i], "\n")
		}
	}
	return all
}

func FuzzProtectable(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 100_000 {
			return
		}
		for _, pgp := range []bool{false, true} {
			m := rawMessage(t, string(text))
			o := TransitOptions{PGP: pgp}
			e, err := Protectable(m, o)
			if err != nil {
				var unsafe *UnsafeError
				if !errors.As(err, &unsafe) {
					t.Fatal(err)
				}
				continue
			}
			got := written(t, e)
			if flaw := transitFlaw([]byte(got), pgp && !bytes.Contains(bytes.ToLower(text), []byte("signed")) && !bytes.Contains(text, []byte("message/"))); flaw != "" {
				t.Fatalf("%s:\n%q", flaw, got)
			}
			body := got[len(got)-int(e.Body.Size()):]
			in := unixLeaves(leaves(t, m.Header, []byte(bodyOf(t, m))))
			out := unixLeaves(leaves(t, e.Header, []byte(body)))
			if err := sameLeaves(in, out); err != nil {
				t.Fatalf("%v\nof %q", err, got)
			}
			// What is fit for mail stays as it is.
			again, err := Protectable(&Message{Header: e.Header, Body: bytes.NewReader([]byte(body))}, o)
			if err != nil {
				t.Fatalf("%v\nafter %q", err, got)
			}
			if second := written(t, again); second != got {
				t.Fatalf("got\n%q\nand then\n%q", got, second)
			}
		}
	})
}
