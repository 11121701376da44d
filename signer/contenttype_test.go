package signer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shown is a media type and its parameters in the order of their names.
func shown(media string, params map[string]string) string {
	var names []string
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		media += fmt.Sprintf(" %s=%q", name, params[name])
	}
	return media
}

func TestParseContentType(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "text/plain"},
		{"text", "text/plain"},
		{"text/", "text/plain"},
		{"/plain", "text/plain"},
		{"text/plain/x", "text/plain"},
		{"te xt/plain", "text/plain"},
		{"Text/HTML", "text/html"},
		{"text / html", "text/html"},
		{"text/html; Charset=UTF-8", `text/html charset="UTF-8"`},
		{"text/html;charset=utf-8;", `text/html charset="utf-8"`},
		{"text/html;; ;charset = utf-8 ;; x", `text/html charset="utf-8"`},
		{"text/html charset=utf-8", `text/html charset="utf-8"`},
		{"text/html; charset=utf-8 format=flowed", `text/html charset="utf-8" format="flowed"`},
		{"text/html (a (nested) \\) comment); (and) charset (here) = (there) us-ascii (too)", `text/html charset="(there)" us-ascii`},
		{`text/html; charset="utf-8"`, `text/html charset="utf-8"`},
		{`text/html; charset="utf-8"x; y=z`, `text/html charset="utf-8" y="z"`},
		{`text/html; charset="utf-8`, `text/html charset="utf-8"`},
		{`multipart/mixed; boundary="a \"b\\ (c);d="`, `multipart/mixed boundary="a \"b\\ (c);d="`},
		{"multipart/mixed; boundary=----=_Part:1/2?", `multipart/mixed boundary="----=_Part:1/2?"`},
		{"multipart/mixed; boundary=b; boundary=c", `multipart/mixed boundary="b"`},
		{"multipart/mixed; boundary=b; boundary*=us-ascii''c", `multipart/mixed boundary="c"`},
		{"a/b; name=My file (1).txt; x=y", `a/b name="My file (1).txt" x="y"`},
		{"a/b; name*=utf-8'de'gr%C3%BC%c3%9f%E", `a/b name="grüß%E"`},
		{"a/b; name*=iso-8859-1''gr%FC", `a/b name="grü"`},
		{"a/b; name*=utf-8", `a/b name="utf-8"`},
		{"a/b; name*1=b; name*0=a; name*2*=%63; name*4=e", `a/b name="abc"`},
		{"a/b; name*0*=utf-8''%41; name*1=\"%42\"; name*01=x", `a/b name="A%42"`},
		{"a/b; name*1=b", "a/b"},
		{"a/b; name*-1=b; name*x=c; name*99999999999999999999=d", "a/b"},
		{"a/b; =c; ==d; \"e\"; f", "a/b"},
		{"a/b; c=", `a/b c=""`},
		{"a/b; c=d\r\n ;e=f", `a/b c="d" e="f"`},
	} {
		// A comment within a value is read as the value: such values don't occur,
		// and unquoted parentheses do.
		want := strings.TrimSuffix(test.want, " us-ascii")
		if got := shown(ParseContentType(test.in)); got != want {
			t.Errorf("%q: got %s, want %s", test.in, got, want)
		}
	}
	if _, params := ParseContentType("a/b" + params(500)); len(params) != maxFieldParams {
		t.Errorf("%d parameters read", len(params))
	}
}

// randomLine is UTF-8 text of one line, its words one space apart.
func randomLine(r *rand.Rand) string {
	words := []string{"a", "word", "grüße", "日本語", "=?utf-8?q?x?=", "\U0001F600", "x=y;", `"q"`, `\`, "(", ",", "%41", "'", "*", strings.Repeat("ü", 60), strings.Repeat("w", 90)}
	n := 1 + r.IntN(12)
	var line []string
	for range n {
		line = append(line, words[r.IntN(len(words))])
	}
	return strings.Join(line, " ")
}

// What a parameter, a text and a display name say is the same once they are
// ASCII.
func TestTransitFieldKeepsMeaning(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 6))
		text := randomLine(r)

		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
		f := Field{"Content-Disposition", []byte("Content-Disposition: attachment; a=b; filename=\"" + quoted + "\"; c=d\r\n")}
		g := transited(t, f)
		before, after := parseParameters(f.Value()), parseParameters(g.Value())
		if shown(before.text, before.values()) != shown(after.text, after.values()) {
			t.Errorf("%q became %q", f.Raw, g.Raw)
		}

		f = Field{"Subject", []byte("Subject: " + text + "\r\n")}
		g = transited(t, f)
		if DecodeWords(f.Value()) != DecodeWords(g.Value()) {
			t.Errorf("%q became %q:\n%q\n%q", f.Raw, g.Raw, DecodeWords(f.Value()), DecodeWords(g.Value()))
		}

		name := strings.NewReplacer(`"`, "", `\`, "", "=?", "").Replace(text)
		f = Field{"To", []byte("To: a@b, \"" + name + "\" <c@d>, x (ü\r\n")}
		if _, reason := transitField(f, false); reason == "" {
			t.Errorf("%q is accepted", f.Raw)
		}
		f = Field{"To", []byte("To: a@b, \"" + name + "\" <c@d>,e@f\r\n")}
		g = transited(t, f)
		plain := strings.NewReplacer(`"`, "", " ", "")
		if got, want := plain.Replace(DecodeWords(g.Value())), plain.Replace(f.Value()); got != want {
			t.Errorf("%q became %q:\n%q\n%q", f.Raw, g.Raw, want, got)
		}
	}
}

func transited(t *testing.T, f Field) Field {
	t.Helper()
	raw, reason := transitField(f, true)
	if reason != "" {
		t.Fatalf("%q: %s", f.Raw, reason)
	}
	if flaw := transitFlaw(raw, true); flaw != "" {
		t.Fatalf("%q became %q: %s", f.Raw, raw, flaw)
	}
	return Field{f.Name, raw}
}

func TestTransitFieldLines(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"as it is", "X: a \r\n\tb\r\n", "X: a \r\n\tb\r\n"},
		{"LF", "X: a\n b\n", "X: a\r\n b\r\n"},
		{"CR", "X: a\rb\r\r\n", "X: a b\r\n"},
		{"no end", "X: a", "X: a\r\n"},
		{"a line end that is no fold", "X: a\r\nBcc: b\r\n", "X: a\r\n Bcc: b\r\n"},
		{"white space alone", "X: a\r\n \t\r\n\r\n b\r\n", "X: a\r\n b\r\n"},
		{"long", "X: " + strings.Repeat("w", 900) + "   " + strings.Repeat("w", 900) + "\r\n", "X: " + strings.Repeat("w", 900) + "\r\n   " + strings.Repeat("w", 900) + "\r\n"},
	} {
		raw, reason := transitField(Field{"X", []byte(test.in)}, false)
		if reason != "" || string(raw) != test.want {
			t.Errorf("%s: got %q %s, want %q", test.name, raw, reason, test.want)
		}
	}
}
