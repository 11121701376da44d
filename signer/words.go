package signer

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// maxWords is the longest value, in bytes, whose encoded words are decoded: more
// than an MTA takes in one field.
const maxWords = 256 << 10

// encodedWord is an encoded word as it stands in a field (RFC 2047, Section 2).
type encodedWord struct {
	charset  string // without the language of RFC 2231, Section 5
	encoding byte   // 'b' or 'q'
	text     string // encoded
	size     int    // bytes of the whole word
}

// cutEncodedWord reads the encoded word that s begins with. It looks no further
// than the next question mark that decides, which keeps decoding linear.
func cutEncodedWord(s string) (encodedWord, bool) {
	rest, ok := strings.CutPrefix(s, "=?")
	if !ok {
		return encodedWord{}, false
	}
	charset, rest, ok := cutQuestion(rest)
	if !ok || charset == "" || len(rest) < 2 || rest[1] != '?' {
		return encodedWord{}, false
	}
	encoding := rest[0] | 0x20
	if encoding != 'b' && encoding != 'q' {
		return encodedWord{}, false
	}
	text, rest, ok := cutQuestion(rest[2:])
	if !ok || !strings.HasPrefix(rest, "=") {
		return encodedWord{}, false
	}
	charset, _, _ = strings.Cut(charset, "*")
	return encodedWord{charset, encoding, text, len(s) - len(rest) + 1}, true
}

// cutQuestion cuts s at the next question mark, unless white space comes first.
func cutQuestion(s string) (before, after string, ok bool) {
	i := strings.IndexAny(s, "? \t\r\n")
	if i < 0 || s[i] != '?' {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// bytes decodes the text of the word, not its charset.
func (w encodedWord) bytes() ([]byte, bool) {
	if w.encoding == 'b' {
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(w.text, "="))
		return b, err == nil
	}
	b := make([]byte, 0, len(w.text))
	for i := 0; i < len(w.text); i++ {
		switch c := w.text[i]; c {
		case '_':
			b = append(b, ' ')
		case '=':
			if i+2 >= len(w.text) {
				return nil, false
			}
			high, low := hexDigit(w.text[i+1]), hexDigit(w.text[i+2])
			if high < 0 || low < 0 {
				return nil, false
			}
			b = append(b, byte(high<<4|low))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return b, true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// DecodeWords decodes the encoded words of RFC 2047 in an unstructured value and
// returns UTF-8 where they stood. It never fails: a word that can't be decoded
// stays as it is. White space between encoded words goes, as Section 6.2 says.
func DecodeWords(value string) string {
	if len(value) > maxWords || !strings.Contains(value, "=?") {
		return value
	}
	var b strings.Builder
	// Words of one charset that follow each other are decoded together: a
	// character may be split over two of them.
	var run struct {
		charset    string
		text       []byte
		start, end int
	}
	flush := func() {
		if text, ok := decodeCharset(run.charset, run.text); ok {
			b.WriteString(text)
		} else {
			b.WriteString(value[run.start:run.end])
		}
		run.text = nil
	}
	done := 0 // what is before it has been written or is in run
	for i := 0; i < len(value); {
		w, ok := cutEncodedWord(value[i:])
		var text []byte
		if ok {
			text, ok = w.bytes()
		}
		if !ok {
			i++
			continue
		}
		gap := value[done:i]
		follows := run.end > 0 && done == run.end && strings.Trim(gap, " \t\r\n") == ""
		if follows && strings.EqualFold(run.charset, w.charset) {
			run.text = append(run.text, text...)
		} else {
			if run.end > 0 {
				flush()
			}
			if !follows {
				b.WriteString(gap)
			}
			run.charset, run.text, run.start = w.charset, text, i
		}
		i += w.size
		run.end, done = i, i
	}
	if run.end > 0 {
		flush()
	}
	b.WriteString(value[done:])
	return b.String()
}

// decodeCharset turns text of a charset into UTF-8.
func decodeCharset(charset string, text []byte) (string, bool) {
	if strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii") {
		return strings.ToValidUTF8(string(text), string(utf8.RuneError)), true
	}
	encoding, err := htmlindex.Get(charset)
	if err != nil {
		return "", false
	}
	decoded, err := encoding.NewDecoder().Bytes(text)
	if err != nil {
		return "", false
	}
	return string(decoded), true
}
