package signer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
)

// inPieces writes data to w in writes of random length and closes it.
func inPieces(t testing.TB, w io.WriteCloser, data []byte, r *rand.Rand) {
	t.Helper()
	for len(data) > 0 {
		n := min(len(data), 1+r.IntN(3000))
		if m, err := w.Write(data[:n]); err != nil || m != n {
			t.Fatalf("Write of %d = %d, %v", n, m, err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// randomText has much of what is hard to encode.
func randomText(r *rand.Rand, size int) []byte {
	words := []string{"\r\n", "\r\n", "\n", "\r", " ", "\t", "  ", "=", "=3D", "=3", "From ", "--", "-", "word", "x", "\x00", "\xc3\xbc", ".", "=\r\n", "= \r\n",
		strings.Repeat("long", 30), strings.Repeat(" ", 90)}
	var b []byte
	for len(b) < size {
		b = append(b, words[r.IntN(len(words))]...)
	}
	return b
}

func TestQuotedWriter(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		data := randomText(r, r.IntN(200_000))
		for _, unix := range []bool{false, true} {
			var out bytes.Buffer
			inPieces(t, newQuotedWriter(&out, 1000, unix, false), data, r)
			checkQuoted(t, out.Bytes())
			want := string(data)
			if unix {
				want = strings.ReplaceAll(strings.ReplaceAll(want, "\r\n", "\n"), "\n", "\r\n")
			}
			if got := decodedQuoted(out.Bytes()); got != want {
				t.Fatalf("seed %d, unix=%t: decodes to something else", seed, unix)
			}
			std, err := io.ReadAll(quotedprintable.NewReader(&out))
			if err != nil || string(std) != want {
				t.Fatalf("seed %d, unix=%t: mime/quotedprintable decodes to something else: %v", seed, unix, err)
			}
		}
	}
}

// Repaired quoted-printable means what it meant.
func TestQuotedWriterRepairs(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		data := randomText(r, r.IntN(200_000))
		var out bytes.Buffer
		inPieces(t, newQuotedWriter(&out, 1000, true, true), data, r)
		checkQuoted(t, out.Bytes())
		if got, want := decodedQuoted(out.Bytes()), decodedQuoted(data); got != want {
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("seed %d: at %d %q became %q", seed, i, want[max(0, i-40):i+40], got[max(0, i-40):i+40])
				}
			}
			t.Fatalf("seed %d: %d bytes became %d", seed, len(want), len(got))
		}
	}
}

func checkQuoted(t *testing.T, b []byte) {
	t.Helper()
	for _, text := range bytes.Split(b, []byte("\r\n")) {
		if len(text) > 76 || bytes.HasPrefix(text, []byte("--")) {
			t.Fatalf("line %q", text)
		}
	}
	if flaw := transitFlaw(append(b[:len(b):len(b)], "\r\n"...), true); flaw != "" {
		t.Fatal(flaw)
	}
}

func TestQuotedWriterExamples(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", "plain text\r\n", "plain text\r\n"},
		{"75 characters", strings.Repeat("x", 75) + "\r\n", strings.Repeat("x", 75) + "\r\n"},
		{"76 characters", strings.Repeat("x", 76) + "\r\n", strings.Repeat("x", 75) + "=\r\nx\r\n"},
		{"From after a break", strings.Repeat("x", 75) + "From here", strings.Repeat("x", 75) + "=\r\n=46rom here"},
		{"hyphens after a break", strings.Repeat("x", 75) + "--b", strings.Repeat("x", 75) + "=\r\n=2D-b"},
		{"one hyphen", "-b\r\n- \r\n-", "-b\r\n-=20\r\n=2D"},
		{"an escape at the end of a line", strings.Repeat("x", 74) + "\xfc\r\n", strings.Repeat("x", 74) + "=\r\n=FC\r\n"},
		{"white space at the end", "x ", "x=20"},
		{"only white space", " \t \r\n", " \t=20\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			w := newQuotedWriter(&out, 100, false, false)
			io.WriteString(w, test.in)
			w.Close()
			if out.String() != test.want {
				t.Errorf("got %q, want %q", out.String(), test.want)
			}
		})
	}
}

func TestLineEndWriter(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		data := randomText(r, r.IntN(100_000))
		var out bytes.Buffer
		inPieces(t, newLineEndWriter(&out, 100), data, r)
		want := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n", "\r\n")
		if out.String() != want {
			t.Fatalf("seed %d: wrong line ends", seed)
		}
	}
	var out bytes.Buffer
	w := newLineEndWriter(&out, 100)
	for _, s := range []string{"a\r", "\nb", "\n", "\nc\r", "d\n"} {
		io.WriteString(w, s)
	}
	w.Close()
	if want := "a\r\nb\r\n\r\nc\rd\r\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestBase64Decoder(t *testing.T) {
	for _, test := range []struct {
		in, want string
		err      error
	}{
		{"", "", nil},
		{"QUJD", "ABC", nil},
		{"QU\r\nJD\r\n", "ABC", nil},
		{"Q U*J\xffD", "ABC", nil},
		{"QUI=", "AB", nil},
		{"QUI", "AB", nil},
		{"QQ==\r\n", "A", nil},
		{"QQ", "A", nil},
		{"QUJDR", "ABC", nil},
		{"=QUJD", "ABC", nil},
		{"QQ==QUJD", "A", errAfterPadding},
		{"QUI=\r\n--\r\n", "AB", nil},
	} {
		var out bytes.Buffer
		w := newBase64Decoder(nopCloser{&out}, 16)
		_, err := io.WriteString(w, test.in)
		if !errors.Is(err, test.err) {
			t.Errorf("%q: %v, want %v", test.in, err, test.err)
		}
		if w.Close(); out.String() != test.want {
			t.Errorf("%q: got %q, want %q", test.in, out.String(), test.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 4))
	data := randomText(r, 100_000)
	var out bytes.Buffer
	inPieces(t, newBase64Decoder(nopCloser{&out}, 64), []byte(wrapped(data)), r)
	if !bytes.Equal(out.Bytes(), data) {
		t.Error("what was encoded decodes to something else")
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// The survey of a run does not depend on how it is cut.
func TestSurvey(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 5))
		data := randomText(r, r.IntN(5000))
		var whole survey
		whole.Write(data)
		whole.finish()
		var pieces survey
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(5))
			pieces.Write(rest[:n])
			rest = rest[n:]
		}
		pieces.finish()
		pieces.fromLen, whole.fromLen = 0, 0
		if pieces != whole {
			t.Fatalf("seed %d:\n%+v in pieces\n%+v as a whole", seed, pieces, whole)
		}
		crlf := int64(bytes.Count(data, []byte("\r\n")))
		if whole.crlf != crlf || whole.bareCR != int64(bytes.Count(data, []byte("\r")))-crlf || whole.bareLF != int64(bytes.Count(data, []byte("\n")))-crlf {
			t.Fatalf("seed %d: %+v", seed, whole)
		}
	}
	for in, want := range map[string]survey{
		"x \r\n":                                {trailing: true},
		"x \n":                                  {trailing: true},
		"x\t":                                   {trailing: true},
		" \r\n":                                 {trailing: true},
		"From x":                                {from: true},
		"x\r\nFrom x":                           {from: true},
		"xFrom x":                               {},
		"From":                                  {},
		strings.Repeat("x", 998) + "\r\n":       {},
		strings.Repeat("x", 999) + "\r\nx\r\n":  {long: true},
		"x\r\n" + strings.Repeat("x", 999):      {long: true},
		strings.Repeat("x\r\n", 500) + "\r\n\n": {},
	} {
		var got survey
		got.Write([]byte(in))
		got.finish()
		if got.trailing != want.trailing || got.from != want.from || got.long != want.long {
			t.Errorf("%.20q: %+v", in, got)
		}
	}
}

func TestUTF8Check(t *testing.T) {
	for in, want := range map[string]bool{"": true, "x": true, "\u00fc\u20ac\U0001F600": true, "\xfc": false, "x\xc3": false, "\xe2\x82x": false, "\xed\xa0\x80": false} {
		for n := 1; n < 6; n++ {
			u := &utf8Check{}
			for rest := in; rest != ""; rest = rest[min(n, len(rest)):] {
				io.WriteString(u, rest[:min(n, len(rest))])
			}
			if got := !u.wrong && u.n == 0; got != want {
				t.Errorf("%q in pieces of %d: %t, want %t", in, n, got, want)
			}
		}
	}
}
