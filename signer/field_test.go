package signer

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNewField(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"Subject", "hello", "Subject: hello\r\n"},
		{"Subject", "", "Subject:\r\n"},
		{"Subject", " \t ", "Subject:\r\n"},
		{"X", "a\r\nBcc: b@c.example", "X: a Bcc: b@c.example\r\n"},
		{"X", "a\nBcc: b", "X: a Bcc: b\r\n"},
		{"X", "a\rBcc: b", "X: a Bcc: b\r\n"},
		{"X", "a\x00b\x07c\x7fd", "X: abcd\r\n"},
		{"X", "a\x0b\x0cb\u0085c\u2028d", "X: a b c d\r\n"},
		{"X", "\r\n\r\nbody", "X: body\r\n"},
		{"X", "a\tb  \t c", "X: a b c\r\n"},
		{"X", "a\xff\xfeb", "X: a??b\r\n"},
		{"X", "Grüße", "X: Grüße\r\n"},
		{"Waxseal-Result",
			"mx1.example.com; policy=finance-to-bank; sign=pass (smime rsa2048-sha256 alice@finance.example.com); encrypt=pass (smime aes256-cbc, 2 recipients); id=4Xz1",
			"Waxseal-Result: mx1.example.com; policy=finance-to-bank;\r\n" +
				" sign=pass (smime rsa2048-sha256 alice@finance.example.com);\r\n" +
				" encrypt=pass (smime aes256-cbc, 2 recipients); id=4Xz1\r\n"},
	} {
		f, err := NewField(test.name, test.value)
		if err != nil {
			t.Errorf("NewField(%q, %q): %v", test.name, test.value, err)
			continue
		}
		if string(f.Raw) != test.want || f.Name != test.name {
			t.Errorf("NewField(%q, %q) = %q %q, want %q", test.name, test.value, f.Name, f.Raw, test.want)
		}
	}
}

func TestNewFieldRefusesNames(t *testing.T) {
	for _, name := range []string{"", " ", "a b", "a:", "X\r\nBcc", "a\x00", "Grüße", "a\x7f", strings.Repeat("a", 77)} {
		if f, err := NewField(name, "v"); err == nil {
			t.Errorf("NewField(%q) = %q, want an error", name, f.Raw)
		}
	}
}

func TestFoldHoldsItsLimits(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, value := range []string{
		long,
		"a " + long + " b",
		strings.Repeat("é", 3000),
		strings.Repeat(" ", 3000) + "a" + strings.Repeat("\t", 3000) + "b",
		strings.Repeat("word ", 1000),
		strings.Repeat("a; ", 1000),
		`"` + strings.Repeat("q ", 600) + `"; z`,
		strings.Repeat(`\"`, 900),
		strings.Repeat("x", 992),
		strings.Repeat("x", 993),
		strings.Repeat("x", 994),
	} {
		checkFold(t, "X-Name", value)
	}
	checkFold(t, strings.Repeat("n", 76), "a b "+long)
	Fold(long, long) // no name of a field, but no panic either
}

// checkFold checks what must hold for every folded field.
func checkFold(t *testing.T, name, value string) {
	t.Helper()
	f, err := NewField(name, value)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(f.Raw), "\r\n"), "\r\n")
	for i, line := range lines {
		switch {
		case len(line) > maxLine:
			t.Errorf("line of %d bytes in the field for %.40q", len(line), value)
		case strings.Trim(line, " \t") == "":
			t.Errorf("empty line in the field for %.40q", value)
		case i > 0 && (line[0] != ' ' || line[1] == ' '):
			t.Errorf("line %.20q does not begin with one space", line)
		case strings.ContainsAny(line, "\r\n\t\x00") || !utf8.ValidString(line):
			t.Errorf("forbidden bytes in line %.80q", line)
		case len(line) > foldColumn && strings.Contains(line[len(name)+2:], " ") && i == 0,
			len(line) > foldColumn && strings.Contains(line[1:], " ") && i > 0:
			t.Errorf("line of %d bytes could be folded: %.100q", len(line), line)
		}
	}
	// Unfolded it is the clean value again, but for spaces that had to go into
	// what is longer than a line.
	plain := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	if got, want := plain(f.Value()), plain(cleanValue(value)); got != want {
		t.Errorf("unfolded value is %.80q, want %.80q", got, want)
	}
	if len(value) < 900 && f.Value() != cleanValue(value) {
		t.Errorf("unfolded value is %.80q, want %.80q", f.Value(), cleanValue(value))
	}
	m, err := mail.ReadMessage(strings.NewReader(string(f.Raw) + "\r\nbody"))
	if err != nil {
		t.Fatalf("net/mail on the field for %.40q: %v", value, err)
	}
	if len(m.Header) != 1 {
		t.Errorf("the field for %.40q reads as %d fields", value, len(m.Header))
	}
}

func FuzzNewField(f *testing.F) {
	f.Add("Subject", "a; b, c")
	f.Add("X", "a\r\nb: c\n\n")
	f.Add("X", "\" \\\"")
	f.Fuzz(func(t *testing.T, name, value string) {
		if _, err := NewField(name, value); err == nil {
			checkFold(t, name, value)
		}
	})
}

func TestParam(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{"abc", "n=abc"},
		{"", `n=""`},
		{"a b", `n="a b"`},
		{"a/b", `n="a/b"`},
		{"=_b", `n="=_b"`},
		{`a"; x="b`, `n="a\"; x=\"b"`},
		{`a\`, `n="a\\"`},
		{"a\r\nBcc: x", `n="a Bcc: x"`},
		{"Grüße.pdf", "n*=utf-8''Gr%C3%BC%C3%9Fe.pdf"},
		{"é%*'", "n*=utf-8''%C3%A9%25%2A%27"},
	} {
		got := Param("n", test.value)
		if got != test.want {
			t.Errorf("Param(%q) = %s, want %s", test.value, got, test.want)
		}
		_, params, err := mime.ParseMediaType("a/b; " + got)
		if err != nil || params["n"] != cleanValue(test.value) || len(params) != 1 {
			t.Errorf("ParseMediaType reads %s as %q, %v", got, params, err)
		}
	}
}

func TestParseField(t *testing.T) {
	for _, test := range []struct{ name, value, raw, is string }{
		{"Subject", " a", "Subject: a\r\n", "a"},
		{"Subject", "a", "Subject:a\r\n", "a"},
		{"Subject", "\t a ", "Subject:\t a \r\n", "a"},
		{"Subject", "", "Subject:\r\n", ""},
		{"Subject", " a\n b\n\tc", "Subject: a\r\n b\r\n\tc\r\n", "a b\tc"},
		{"Subject", " a\r\n b", "Subject: a\r\n b\r\n", "a b"},
		{"Subject", " a\nBcc: b", "Subject: a\r\n Bcc: b\r\n", "a Bcc: b"},
		{"Subject", " a\n\n\n", "Subject: a\r\n", "a"},
		{"Subject", "\n", "Subject:\r\n", ""},
		{"Subject", " \xfc\x00\r", "Subject: \xfc\x00\r\r\n", "\xfc\x00"},
		{"Sub\r\nject", " a", "Subject: a\r\n", "a"},
	} {
		f := ParseField(test.name, test.value)
		if string(f.Raw) != test.raw || f.Value() != test.is {
			t.Errorf("ParseField(%q, %q) = %q value %q, want %q value %q",
				test.name, test.value, f.Raw, f.Value(), test.raw, test.is)
		}
	}
}

func TestReadHeader(t *testing.T) {
	for _, test := range []struct{ name, in, header, body string }{
		{"crlf", "A: 1\r\nB: 2\r\n\r\nbody\r\n", "A: 1\r\nB: 2\r\n", "body\r\n"},
		{"lf", "A: 1\nB: 2\n 3\n\nbody\n", "A: 1\r\nB: 2\r\n 3\r\n", "body\n"},
		{"mbox", "From a@b Mon\nA: 1\n\nx", "A: 1\r\n", "x"},
		{"second From line", "From a\nFrom b\nA: 1\n\nx", "", "From b\nA: 1\n\nx"},
		{"no field", "A: 1\nhello\nB: 2\n", "A: 1\r\n", "hello\nB: 2\n"},
		{"utf-8 name", "A: 1\nÄ: 2\n\nx", "A: 1\r\n", "Ä: 2\n\nx"},
		{"continuation first", " x\nA: 1\n\n", "", " x\nA: 1\n\n"},
		{"white continuation", "A: 1\n \t\n\nx", "A: 1\r\n \t\r\n", "x"},
		{"obsolete name", "A \t: 1\n\nx", "A \t: 1\r\n", "x"},
		{"colon first", ": 1\n\n", "", ": 1\n\n"},
		{"no end", "A: 1", "A: 1\r\n", ""},
		{"no body", "A: 1\n", "A: 1\r\n", ""},
		{"no header", "\nbody", "", "body"},
		{"empty", "", "", ""},
		{"long", "A: " + strings.Repeat("x", 9000) + "\n\nbody", "A: " + strings.Repeat("x", 9000) + "\r\n", "body"},
	} {
		h, rest, err := ReadHeader(strings.NewReader(test.in), 10000)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var header bytes.Buffer
		for _, f := range h {
			header.Write(f.Raw)
		}
		body, err := io.ReadAll(rest)
		if err != nil || header.String() != test.header || string(body) != test.body {
			t.Errorf("%s: header %q body %q (%v), want %q and %q", test.name, header.String(), body, err, test.header, test.body)
		}
	}
	h, _, err := ReadHeader(strings.NewReader("Sub \t: x\n\n"), 100)
	if err != nil || len(h) != 1 || h[0].Name != "Sub" || h[0].Value() != "x" {
		t.Errorf("obsolete name reads as %+v, %v", h, err)
	}
}

func TestReadHeaderLimits(t *testing.T) {
	for _, in := range []string{
		"A: " + strings.Repeat("x", 200) + "\n\n",
		strings.Repeat("A: 1\n", 50) + "\n",
		"A: " + strings.Repeat("x", 1<<20),
	} {
		if _, _, err := ReadHeader(strings.NewReader(in), 100); err == nil || !strings.Contains(err.Error(), "larger than the limit") {
			t.Errorf("%d bytes of header with a limit of 100: %v", len(in), err)
		}
	}
	broken := io.MultiReader(strings.NewReader("A: 1\n"), brokenReader{})
	if _, _, err := ReadHeader(broken, 100); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("a reader that breaks: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, fmt.Errorf("no disk") }
