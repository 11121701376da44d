package signer

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// transitFlaw says what is wrong with bytes that should survive transit.
func transitFlaw(b []byte, pgp bool) string {
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\r\n")) {
		return "the last line has no end"
	}
	for i, text := range bytes.Split(b, []byte("\r\n")) {
		switch {
		case len(text) > 998:
			return fmt.Sprintf("line %d has %d bytes", i+1, len(text))
		case bytes.ContainsAny(text, "\r\n\x00"):
			return fmt.Sprintf("line %d has a CR, LF or NUL", i+1)
		case bytes.ContainsFunc(text, func(r rune) bool { return r > 127 }):
			return fmt.Sprintf("line %d has 8-bit bytes", i+1)
		case pgp && len(bytes.TrimRight(text, " \t")) < len(text):
			return fmt.Sprintf("line %d ends with white space", i+1)
		case pgp && bytes.HasPrefix(text, []byte("From ")):
			return fmt.Sprintf("line %d begins with From", i+1)
		}
	}
	return ""
}

// written is what the entity writes; it has to be as long as it says, and the
// same each time.
func written(t testing.TB, e *Entity) string {
	t.Helper()
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if n, err := e.WriteTo(b); err != nil || n != e.Size() || n != int64(b.Len()) {
			t.Fatalf("WriteTo = %d, %v; wrote %d, Size says %d", n, err, b.Len(), e.Size())
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatal("the second WriteTo wrote something else")
	}
	return first.String()
}

func TestProtectable(t *testing.T) {
	eight := "gr\xc3\xbc\xc3\x9fe"
	for _, test := range []struct{ name, in, want string }{
		{"no MIME", "Subject: x\n\nhello\n", "Content-Type: text/plain; charset=us-ascii\n\nhello\n"},
		{"no body", "Subject: x\n", "Content-Type: text/plain; charset=us-ascii\n\n"},
		{"MIME-Version alone", "MIME-Version: 1.0\n\nhello\n", "Content-Type: text/plain; charset=us-ascii\n\nhello\n"},
		{"no MIME, UTF-8", "\n" + eight + ", text\n", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nZ3LDvMOfZSwgdGV4dA0K\n"},
		{"no MIME, Latin-1", "\nplain text and one \xfc\n", "Content-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\nplain text and one =FC\n"},
		{"fields in order", "To: x\nContent-Transfer-Encoding: 7bit\nContent-Language: de\nContent-Type: text/html\n\n<p>\n",
			"Content-Transfer-Encoding: 7bit\nContent-Language: de\nContent-Type: text/html\n\n<p>\n"},
		{"8bit that isn't", "Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nx\n", "Content-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\nx\n"},
		{"8-bit text", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nviele liebe " + eight + " = 1 \nFrom x\n-- \n",
			"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nviele liebe gr=C3=BC=C3=9Fe =3D 1=20\n=46rom x\n=2D-=20\n"},
		{"8-bit data", "Content-Type: application/x\n\nplain text and one \xfc\n", "Content-Type: application/x\nContent-Transfer-Encoding: base64\n\ncGxhaW4gdGV4dCBhbmQgb25lIPwNCg==\n"},
		{"nested 8-bit, labels above", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npre\n--b\nContent-Type: multipart/related; boundary=c\nContent-Transfer-Encoding: binary\n\n--c\nContent-Transfer-Encoding: 8bit\nX: y\n\nhello hello " + eight + "\n--c--\nepi\n--b--\nepi\n",
			"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\nContent-Type: multipart/related; boundary=c\nContent-Transfer-Encoding: 7bit\n\n--c\nContent-Transfer-Encoding: base64\nX: y\n\naGVsbG8gaGVsbG8gZ3LDvMOfZQ==\n\n--c--\n\n--b--\n"},
		{"in a message", "Content-Type: message/rfc822\n\nSubject: " + eight + "\n\nhello hello hello " + eight + "\n",
			"Content-Type: message/rfc822\n\nSubject: =?utf-8?b?Z3LDvMOfZQ==?=\nContent-Transfer-Encoding: quoted-printable\n\nhello hello hello gr=C3=BC=C3=9Fe\n"},
		{"not closed", mixed + "--b\n\none\n", mixed + "--b\n\none\n\n--b--\n"},
		{"inner one not closed", mixed + "--b\nContent-Type: multipart/x; boundary=c\n\n--c\n\none\n--b--", mixed + "--b\nContent-Type: multipart/x; boundary=c\n\n--c\n\none\n--c--\n--b--\n"},
		{"inner one not closed, nothing in it", mixed + "--b\nContent-Type: multipart/x; boundary=c\n\n--c\nX: y\n\n--b--", mixed + "--b\nContent-Type: multipart/x; boundary=c\n\n--c\nX: y\n\n\n--c--\n--b--\n"},
		{"empty part headers", mixed + "--b\n--b\n\n--b\nX: y\n--b--\n", mixed + "--b\n--b\n\n--b\nX: y\n\n--b--\n"},
		{"no last line end", "Content-Type: text/plain\n\nx", "Content-Type: text/plain\n\nx\n"},
		{"a long line", "Content-Type: text/plain\n\n" + strings.Repeat("x", 999) + "\n",
			"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat(strings.Repeat("x", 75)+"=\n", 13) + strings.Repeat("x", 24) + "\n"},
		{"base64 with long lines", "Content-Transfer-Encoding: base64\nContent-Type: a/b\n\n" + strings.Repeat("QUJD", 250) + "\n",
			"Content-Transfer-Encoding: base64\nContent-Type: a/b\n\n" + strings.ReplaceAll(wrapped([]byte(strings.Repeat("ABC", 250))), "\r", "")},
		{"base64 with 8-bit bytes", "Content-Type: a/b\nContent-Transfer-Encoding: BASE64\n\nQU\xfcJDR\n", "Content-Type: a/b\nContent-Transfer-Encoding: BASE64\n\nQUJD\n"},
		{"quoted-printable with 8-bit bytes", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\ngr\xc3\xbc=C3=9Fe =  \n= 1 =\n\n", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe =\n=3D 1 =\n\n"},
		{"CR in text", "Content-Type: text/plain\n\none\rtwo\n", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\none=0Dtwo\n"},
		{"NUL in data", "Content-Type: a/b\nContent-Transfer-Encoding: binary\n\nA\x00C\n", "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\nQQBDDQo=\n"},
		{"strange encoding that does no harm", "Content-Type: a/b\nContent-Transfer-Encoding: x-uuencode\n\nA\n", "Content-Type: a/b\nContent-Transfer-Encoding: x-uuencode\n\nA\n"},
		{"file name", "Content-Type: text/plain; name=\"" + eight + ".txt\"\nContent-Disposition: attachment; filename=" + eight + " 1.txt\n\nx\n",
			"Content-Type: text/plain;\n name*=utf-8''gr%C3%BC%C3%9Fe.txt\nContent-Disposition: attachment;\n filename*=utf-8''gr%C3%BC%C3%9Fe%201.txt\n\nx\n"},
		{"description", "Content-Type: text/plain\nContent-Description: the " + eight + " " + eight + " file\n\nx\n",
			"Content-Type: text/plain\nContent-Description: the\n =?utf-8?b?Z3LDvMOfZSBncsO8w59l?= file\n\nx\n"},
		{"addresses", "Content-Type: message/rfc822\n\nTo: a@b, \"" + eight + ", x\" <c@d>, " + eight + " <e@f>\n\nx\n",
			"Content-Type: message/rfc822\n\nTo: a@b,\n =?utf-8?b?Z3LDvMOfZSwgeA==?=\n <c@d>,\n =?utf-8?b?Z3LDvMOfZQ==?=\n <e@f>\n\nx\n"},
		{"a long header line", "Content-Type: text/plain; a=" + strings.Repeat("x", 600) + "; b=" + strings.Repeat("y", 600) + "\n\nx\n",
			"Content-Type: text/plain; a=" + strings.Repeat("x", 600) + ";\n b=" + strings.Repeat("y", 600) + "\n\nx\n"},
		{"a fold of white space", "Content-Type: text/plain;\n \n charset=us-ascii \n\nx\n", "Content-Type: text/plain;\n charset=us-ascii \n\nx\n"},
		{"white space and From stay", "Content-Type: text/plain\n\nx \nFrom y\n", "Content-Type: text/plain\n\nx \nFrom y\n"},
		{"one field twice", "Content-Type: text/html\nContent-type: TEXT/HTML\n\nx\n", "Content-Type: text/html\n\nx\n"},
		{"a signed part is kept", "Content-Type: multipart/signed; boundary=b\n\npre\n--b\nContent-Type: multipart/x; boundary=c\n\npre\n--c--\nepi\n--b\n\nsignature\n--b--\n",
			"Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=c\n\npre\n--c--\nepi\n--b\n\nsignature\n--b--\n"},
		{"multipart that is none", "Content-Type: multipart/mixed\n\nx\n", "Content-Type: multipart/mixed\n\nx\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := Protectable(message(t, test.in), TransitOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := written(t, e)
			if want := strings.ReplaceAll(test.want, "\n", "\r\n"); got != want {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
			if flaw := transitFlaw([]byte(got), false); flaw != "" {
				t.Error(flaw)
			}
		})
	}
}

func TestProtectableForPGP(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"text", "Content-Type: text/plain\n\nx \nFrom y\n", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nx=20\n=46rom y\n"},
		{"data", "Content-Type: a/b\n\nx \n", "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\neCANCg==\n"},
		{"quoted-printable", "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\nx =3D \nFrom y\n", "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\nx =3D\n=46rom y\n"},
		{"fields and boundaries", "Content-Type: multipart/mixed; \n boundary=b\n\n--b \nX: y \n\nx\n--b-- \n", "Content-Type: multipart/mixed;\n boundary=b\n\n--b\nX: y\n\nx\n--b--\n"},
		{"a signed part is kept", "Content-Type: multipart/signed; boundary=b\n\n--b\n\nx \n--b\n\nsignature\n--b--\n", "Content-Type: multipart/signed; boundary=b\n\n--b\n\nx \n--b\n\nsignature\n--b--\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := Protectable(message(t, test.in), TransitOptions{PGP: true})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := written(t, e), strings.ReplaceAll(test.want, "\n", "\r\n"); got != want {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// Files with Unix line ends come out as mail.
func TestProtectableUnix(t *testing.T) {
	header := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	body := "pre\n\n--b\nContent-Type: a/b\nContent-Transfer-Encoding: 8bit\n\none\ntwo\n--b\n\n\xfc text text\ntext\n--b\nContent-Type: a/b\n\n\xfc\n\n--b--\nepi\n"
	want := header + "--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: 7bit\r\n\r\none\r\ntwo\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC text text\r\ntext\r\n" +
		"--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n/A0K\r\n\r\n--b--\r\n"
	e, err := Protectable(rawMessage(t, header+body), TransitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := written(t, e); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestUnsafe(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, test := range []struct{ name, in, want string }{
		{"two types", "Content-Type: text/plain\nContent-Type: text/html\n\nx\n", "it has two different Content-Type fields"},
		{"two encodings", "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\nx\n", "it has two different Content-Transfer-Encoding fields"},
		{"no encoding known", "Content-Transfer-Encoding: x-y\n\n\xfc\n", "it has a Content-Transfer-Encoding that is not known and content that needs another one"},
		{"base64 with a tail", mixed + "--b\nContent-Transfer-Encoding: base64\n\nQUI=\nQUJD\xfc\n--b--\n", "its part 1 has base64 that goes on after its end"},
		{"Latin-1 in a field", mixed + "--b\n\n\n--b\nX: \xfc\n\n\n--b--\n", "its part 2 has characters in the header field X that are neither ASCII nor UTF-8"},
		{"a field that can't be encoded", mixed + "--b\nMessage-ID: <\xc3\xbc>\n\n\n--b--\n", "its part 1 has characters in the header field Message-ID that are not ASCII and can't be encoded there"},
		{"an address that is not ASCII", "Content-Type: message/rfc822\n\nTo: \xc3\xbc@x\n\n", "its part 1 has characters in the header field To that are not ASCII and can't be encoded there"},
		{"a field of one word", mixed + "--b\nX: " + long + "\n\n\n--b--\n", "its part 1 has a line in the header field X that is too long and has no place to fold"},
		{"NUL in a field", mixed + "--b\nX: \x00\n\n\n--b--\n", "its part 1 has a NUL character in the header field X"},
		{"8-bit in a signed part", mixed + "--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\n\xfc\n--c--\n--b--\n", "its part 1.1 is signed already and would have to be changed, which would break that signature"},
		{"8-bit in a multipart without parts", "Content-Type: multipart/mixed\n\n\xfc\n", "it says that it is a multipart and has no parts"},
		{"8-bit in an external body", "Content-Type: message/external-body\n\n\xfc\n", "it is a message/external-body, which must not be encoded, and has content that needs it"},
		{"too deep", strings.Repeat("Content-Type: message/rfc822\n\n", MaxDepth+1), "it has more than 50 levels of parts within parts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Protectable(message(t, test.in), TransitOptions{})
			var unsafe *UnsafeError
			if !errors.As(err, &unsafe) {
				t.Fatalf("got %v, want an UnsafeError", err)
			}
			if want := "message can't be protected: " + test.want; err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
		})
	}
}

func TestProtectableSourceErrors(t *testing.T) {
	var unsafe *UnsafeError
	if _, err := Protectable(&Message{Body: brokenSource{10}}, TransitOptions{}); err == nil || errors.As(err, &unsafe) {
		t.Errorf("got %v, want the Source's error", err)
	}
}

// leaves are the decoded leaves of a message, by a decoder of the tests' own.
func leaves(t testing.TB, h Header, body []byte) []string {
	t.Helper()
	p, err := Slice(h, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	p.Walk(func(q *Part) bool {
		if q.IsLeaf() && !q.IsMultipart() {
			all = append(all, q.MediaType+"\n"+decoded(q.Encoding, body[q.BodyStart:q.BodyEnd]))
		}
		return true
	})
	return all
}

func decoded(encoding string, b []byte) string {
	switch encoding {
	case "base64":
		return decodedBase64(b)
	case "quoted-printable":
		return decodedQuoted(b)
	}
	return string(b)
}

func decodedBase64(b []byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var out []byte
	bits, n := 0, 0
	for _, c := range b {
		i := strings.IndexByte(alphabet, c)
		if c == '=' && n >= 2 {
			break
		}
		if i >= 0 {
			bits, n = bits<<6|i, n+1
		}
		if n == 4 {
			out = append(out, byte(bits>>16), byte(bits>>8), byte(bits))
			bits, n = 0, 0
		}
	}
	switch n {
	case 2:
		out = append(out, byte(bits>>4))
	case 3:
		out = append(out, byte(bits>>10), byte(bits>>2))
	}
	return string(out)
}

// decodedQuoted decodes line by line as RFC 2045, Section 6.7 says.
func decodedQuoted(b []byte) string {
	var out strings.Builder
	text := strings.ReplaceAll(string(b), "\r\n", "\n")
	lines := strings.Split(text, "\n")
	for i, text := range lines {
		text = strings.TrimRight(text, " \t")
		soft := strings.HasSuffix(text, "=")
		text = strings.TrimSuffix(text, "=")
		for j := 0; j < len(text); j++ {
			if text[j] == '=' && j+2 < len(text) && isHex(text[j+1]) && isHex(text[j+2]) {
				v, _ := strconv.ParseUint(text[j+1:j+3], 16, 8)
				out.WriteByte(byte(v))
				j += 2
				continue
			}
			out.WriteByte(text[j])
		}
		if !soft && i < len(lines)-1 {
			out.WriteString("\r\n")
		}
	}
	return out.String()
}

// sameLeaves compares what was sent with what comes out: a leaf that ends the
// message may have got its line end.
func sameLeaves(in, out []string) error {
	if len(in) != len(out) {
		return fmt.Errorf("%d leaves became %d", len(in), len(out))
	}
	for i := range in {
		if in[i] != out[i] && !(i == len(in)-1 && in[i]+"\r\n" == out[i]) {
			return fmt.Errorf("leaf %d was\n%.300q\nand is\n%.300q", i+1, in[i], out[i])
		}
	}
	return nil
}

// All mails of the corpus: what is accepted is fit for mail, and its leaves hold
// what they held.
func TestProtectableCorpus(t *testing.T) {
	for _, pgp := range []bool{false, true} {
		total, accepted, unchanged := 0, 0, 0
		reasons := map[string]int{}
		corpus(t, func(name, text string) {
			total++
			m := rawMessage(t, text)
			e, err := Protectable(m, TransitOptions{PGP: pgp})
			var unsafe *UnsafeError
			if errors.As(err, &unsafe) {
				reasons[unsafe.Reason]++
				if testing.Verbose() {
					t.Logf("%s: %v", name, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			accepted++
			got := written(t, e)
			// What is signed already may keep its white space.
			if flaw := transitFlaw([]byte(got), pgp && !strings.Contains(strings.ToLower(text), "multipart/signed")); flaw != "" {
				t.Errorf("%s: %s", name, flaw)
			}
			body := got[strings.Index(got, "\r\n\r\n")+4:]
			if body == bodyOf(t, m) {
				unchanged++
			}
			if err := sameLeaves(leaves(t, m.Header, []byte(bodyOf(t, m))), leaves(t, e.Header, []byte(body))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}, "mail", "smime")
		t.Logf("pgp=%t: %d of %d accepted (%.1f%%), the body of %d unchanged", pgp, accepted, total, 100*float64(accepted)/float64(total), unchanged)
		var lines []string
		for reason, n := range reasons {
			lines = append(lines, fmt.Sprintf("%4d %s", n, reason))
		}
		sort.Strings(lines)
		t.Logf("refused:\n%s", strings.Join(lines, "\n"))
	}
}
