package signer

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// StripText takes every occurrence of text out of an unstructured field such as
// Subject, whatever its case, and reports whether there was one. The white space
// that it leaves behind goes too. A text that stands in the field as it is goes
// without another byte being changed; one that stands in encoded words makes the
// value be encoded again, as UTF-8.
func StripText(f Field, text string) (Field, bool) {
	want, found := cutText(DecodeWords(f.Value()), text)
	if !found {
		return f, false
	}
	want = strings.TrimSpace(want)
	if body, ok := cutText(string(f.Body()), text); ok {
		plain := Field{Name: f.Name, Raw: []byte(f.Name + ":" + body + "\r\n")}
		if sameText(DecodeWords(plain.Value()), want) && linesFit(plain.Raw) {
			return plain, true
		}
	}
	value := Fold(f.Name, encodeWords(want))
	if value != "" {
		value = " " + value
	}
	return Field{Name: f.Name, Raw: []byte(f.Name + ":" + value + "\r\n")}, true
}

// sameText reports whether a is b, which has no white space around it, but for
// the kind and length of the white space within.
func sameText(a, b string) bool {
	return a == strings.TrimSpace(a) &&
		strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}

// linesFit reports whether no line is beyond what RFC 5322, Section 2.1.1 allows.
func linesFit(raw []byte) bool {
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > maxLine {
			return false
		}
	}
	return true
}

// cutText removes every occurrence of text from s, and white space at one side
// of it: at the start and the end of s all of it, in between that of the side
// that keeps lines as long as they are.
func cutText(s, text string) (string, bool) {
	const space = " \t\r\n"
	out := make([]byte, 0, len(s))
	found := false
	for i := 0; i < len(s); {
		n := foldPrefix(s[i:], text)
		if n == 0 {
			out = append(out, s[i])
			i++
			continue
		}
		found = true
		i += n
		before := bytes.TrimRight(out, space)
		left := out[len(before):]
		right := s[i : len(s)-len(strings.TrimLeft(s[i:], space))]
		switch {
		case i+len(right) == len(s):
			out, i = before, len(s)
		case len(before) == 0:
			i += len(right)
		case len(left) == 0 || right == "":
		case strings.Contains(right, "\n") && !bytes.Contains(left, []byte("\n")):
			out = before
		default:
			i += len(right)
		}
	}
	return string(out), found
}

// foldPrefix is the length of the prefix of s that equals text but for case and
// folds, or 0. An empty text is the prefix of nothing.
func foldPrefix(s, text string) int {
	n := 0
	for _, want := range text {
		for strings.HasPrefix(s[n:], "\r\n") {
			n += len("\r\n")
		}
		got, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || got != want && !sameLetter(got, want) {
			return 0
		}
		n += size
	}
	return n
}

// sameLetter reports whether two characters differ in case only.
func sameLetter(a, b rune) bool {
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

// encodeWords makes a value ASCII: what is not, or would read as an encoded word,
// becomes encoded words (RFC 2047). One that can't be decoded stays as it is.
func encodeWords(value string) string {
	if isPlainText(value) {
		return value
	}
	var out, run []string
	flush := func() {
		text := strings.Join(run, " ")
		switch {
		case len(run) == 0:
		case isPlainText(text):
			out = append(out, text)
		default:
			out = append(out, encodeText(text)...)
		}
		run = nil
	}
	for _, text := range strings.Split(value, " ") {
		if w, ok := cutEncodedWord(text); ok && w.size == len(text) {
			flush()
			out = append(out, text)
		} else {
			run = append(run, text)
		}
	}
	flush()
	return strings.Join(out, " ")
}

func isPlainText(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return !strings.Contains(s, "=?")
}

// encodeText encodes text as encoded words, each of whole characters and short
// enough to stand behind a field's name in a line of 76 (RFC 2047, Sections 2
// and 5).
func encodeText(text string) []string {
	const most = 36 // bytes of text in a word: 60 characters with its frame
	var words []string
	for text != "" {
		n := 0
		for n < len(text) {
			_, size := utf8.DecodeRuneInString(text[n:])
			if n+size > most {
				break
			}
			n += size
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return words
}
