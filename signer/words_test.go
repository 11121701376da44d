package signer

import (
	"mime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDecodeWords(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain", "plain"},
		{"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"},
		{"=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"},
		{"=?utf-8?b?R3LDvMOfZQ?=", "Grüße"},
		{"=?iso-8859-1?q?Gr=FC=DFe_da?= x", "Grüße da x"},
		{"=?utf-8*de?q?Gr=C3=BC?=", "Grü"},
		{"a =?utf-8?q?b?= c", "a b c"},
		{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=FC?=", "aü"},
		{"=?utf-8?b?w7w=?= =?utf-8?q?b?= c =?utf-8?q?d?=", "üb c d"},
		{"=?utf-8?b?w?= =?utf-8?b?vA==?=", "=?utf-8?b?w?= \ufffd"},
		{"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"=?koi8-r?q?=D0=D2?=", "пр"},
		{"=?windows-1252?q?=80?=", "€"},
		{"=?us-ascii?q?=5Bencrypt=5D?= hello", "[encrypt] hello"},
		{"[enc=?utf-8?q?rypt=5D?=", "[encrypt]"},
		{"=?x-nothing?q?a?= =?utf-8?q?b?=", "=?x-nothing?q?a?=b"},
		{"=?utf-8?q?a=zz?=", "=?utf-8?q?a=zz?="},
		{"=?utf-8?q?a=4?=", "=?utf-8?q?a=4?="},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
		{"=?utf-8?q?a", "=?utf-8?q?a"},
		{"=?utf-8?q?a?", "=?utf-8?q?a?"},
		{"=??q?a?=", "=??q?a?="},
		{"=?=?utf-8?q?a?=", "=?a"},
		{"=?utf-8?q??=", ""},
		{"\xff =?utf-8?q?=FF?=", "\xff \ufffd"},
		{"=?utf-8?q?a?= ", "a "},
	} {
		if got := DecodeWords(test.in); got != test.want {
			t.Errorf("DecodeWords(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

// The standard library must read the same where it can read at all.
func TestDecodeWordsAgreesWithMime(t *testing.T) {
	var decoder mime.WordDecoder
	compared := 0
	for name, m := range corpusMail(t, "mail", "smime", "mixed", "pgp") {
		for _, f := range m.Header.Fields("Subject") {
			want, err := decoder.DecodeHeader(f.Value())
			if err != nil || strings.ContainsRune(want, utf8.RuneError) || strings.Contains(want, "=?") {
				continue
			}
			// It decodes words with spaces in them, which are no words.
			if got := DecodeWords(f.Value()); got != want && !strings.Contains(got, "=?") {
				t.Errorf("%s: DecodeWords(%q) = %q, mime reads %q", name, f.Value(), got, want)
			}
			compared++
		}
	}
	if compared < 200 {
		t.Errorf("only %d subjects to compare: is the corpus complete?", compared)
	}
}

func TestStripText(t *testing.T) {
	for _, test := range []struct{ raw, text, want string }{
		{" [encrypt] Hello", "[encrypt]", " Hello"},
		{" [ENCRYPT] Hello", "[encrypt]", " Hello"},
		{" Hello [Encrypt]", "[encrypt]", " Hello"},
		{" Hello [encrypt] world", "[encrypt]", " Hello world"},
		{" Hello  [encrypt]  world", "[encrypt]", " Hello  world"},
		{" a[encrypt]b", "[encrypt]", " ab"},
		{" [encrypt]", "[encrypt]", ""},
		{"[encrypt]", "[encrypt]", ""},
		{" [encrypt][encrypt] [encrypt] a [encrypt]", "[encrypt]", " a"},
		{" Re: [encrypt] a\r\n\tb  c", "[encrypt]", " Re: a\r\n\tb  c"},
		{" [encrypt]\r\n Hello", "[encrypt]", " Hello"},
		{" Hello\r\n [encrypt]", "[encrypt]", " Hello"},
		{" Hello\r\n [encrypt]\r\n world", "[encrypt]", " Hello\r\n world"},
		{" Hello [encrypt]\r\n world", "[encrypt]", " Hello\r\n world"},
		{" Hello\r\n [encrypt] world", "[encrypt]", " Hello\r\n world"},
		{" please\r\n encrypt: x", "please encrypt:", " x"},
		{"\t[encrypt] =?utf-8?q?Gr=C3=BC=C3=9Fe?=  x", "[encrypt]", "\t=?utf-8?q?Gr=C3=BC=C3=9Fe?=  x"},
		{" [encrypt] b\xfccher", "[encrypt]", " b\xfccher"},
		{" ÜBER x", "über", " x"},
		{" =?utf-8?q?=5Bencrypt=5D_Hello?=", "[encrypt]", " Hello"},
		{" =?utf-8?q?[encrypt]_Hello?=", "[encrypt]", " Hello"},
		{" [enc=?utf-8?q?rypt=5D?= Hello", "[encrypt]", " Hello"},
		{" =?utf-8?q?=5Bencrypt=5D_Gr=C3=BC=C3=9Fe?=", "[encrypt]", " =?utf-8?b?R3LDvMOfZQ==?="},
		{" =?utf-8?b?W2VuY3J5cHRdIEdyw7zDn2U=?=", "[encrypt]", " =?utf-8?b?R3LDvMOfZQ==?="},
		{" =?iso-8859-1?q?Gr=FC=DFe?= [encrypt] =?iso-8859-1?q?=FC?=", "[encrypt]", " =?utf-8?b?R3LDvMOfZSDDvA==?="},
		{" =?utf-8?q?=5Bencrypt=5D?= =?x-no?q?a?= b", "[encrypt]", " =?x-no?q?a?= b"},
	} {
		f := Field{Name: "Subject", Raw: []byte("Subject:" + test.raw + "\r\n")}
		got, ok := StripText(f, test.text)
		if want := "Subject:" + test.want + "\r\n"; !ok || string(got.Raw) != want || got.Name != "Subject" {
			t.Errorf("StripText(%q) = %q, %v, want %q", f.Raw, got.Raw, ok, want)
		}
	}
	for _, raw := range []string{"", " Hello", " [encrypt", " =?utf-8?q?=5Bencrypt?=", " [sign]"} {
		f := Field{Name: "Subject", Raw: []byte("Subject:" + raw + "\r\n")}
		for _, text := range []string{"[encrypt]", ""} {
			if got, ok := StripText(f, text); ok || string(got.Raw) != string(f.Raw) {
				t.Errorf("StripText(%q, %q) = %q, %v", f.Raw, text, got.Raw, ok)
			}
		}
	}
}

func TestStripTextEncodesLongValues(t *testing.T) {
	long := strings.Repeat("Grüße aus 日本 und weiter ", 40)
	f := Field{Name: "Subject", Raw: []byte("Subject: " + Fold("Subject", encodeWords("[encrypt] "+long)) + "\r\n")}
	got, ok := StripText(f, "[encrypt]")
	if !ok || DecodeWords(got.Value()) != strings.TrimSpace(long) {
		t.Errorf("StripText = %q, %v", got.Raw, ok)
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(got.Value())
	if err != nil || decoded != strings.TrimSpace(long) {
		t.Errorf("mime reads %q, %v", decoded, err)
	}
	for line := range strings.SplitSeq(string(got.Raw), "\r\n") {
		if len(line) > foldColumn {
			t.Errorf("line of %d bytes with encoded words: %s", len(line), line)
		}
	}
}

func FuzzStripText(f *testing.F) {
	f.Add(" [encrypt] a\n b", "[encrypt]")
	f.Add(" =?utf-8?q?=5Bencrypt=5D_=C3=BC?=\n =?x?b?YQ==?=", "[ENCRYPT]")
	f.Add("a b", " ")
	f.Fuzz(func(t *testing.T, value, text string) {
		field := ParseField("Subject", value)
		got, found := StripText(field, text)
		if !found && string(got.Raw) != string(field.Raw) {
			t.Errorf("%q changed without a find", field.Raw)
		}
		raw := string(got.Raw)
		if !strings.HasPrefix(raw, "Subject:") || !strings.HasSuffix(raw, "\r\n") {
			t.Errorf("StripText(%q, %q) = %q", field.Raw, text, raw)
		}
		for _, line := range strings.Split(strings.TrimSuffix(raw, "\r\n"), "\r\n")[1:] {
			if line == "" || line[0] != ' ' && line[0] != '\t' {
				t.Errorf("StripText(%q, %q) = %q is more than one field", field.Raw, text, raw)
			}
		}
		if strings.Contains(strings.ReplaceAll(raw, "\r\n", ""), "\n") && !strings.Contains(strings.ReplaceAll(string(field.Raw), "\r\n", ""), "\n") {
			t.Errorf("bare LF in %q", raw)
		}
	})
}

func TestWordsAreLinear(t *testing.T) {
	const n = 50_000
	start := time.Now()
	for _, piece := range []string{"=?", "=?a?", "=?a?q?", "=?a?q?b?= ", "=?utf-8?b?w7w=?=", "=?utf-8?q?a?= \t", "?=", " ", "[x] ", "[x]\r\n "} {
		value := strings.Repeat(piece, n/len(piece))
		DecodeWords(value)
		StripText(ParseField("Subject", value), "[x]")
	}
	t.Logf("%d bytes each in %v", n, time.Since(start))
}
