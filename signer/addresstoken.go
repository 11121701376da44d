package signer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// word is the kind of an addressToken that is an atom with its dots, a quoted
// string or a domain literal. Other tokens have their character as kind.
const word = 'w'

// addressToken is a lexical token of an address list.
type addressToken struct {
	kind   rune
	text   string // of a word, without quotes and backslashes
	quoted bool
	space  bool // white space or a comment came before it
}

// addressTokens splits an address list into tokens. With nested it honours
// quoted strings and comments, and clean tells whether each of them ends;
// without, quotes and parentheses only separate words. Characters that mean
// nothing become tokens of kind 0.
func addressTokens(value string, nested bool) (tokens []addressToken, clean bool) {
	space := false
	clean = true
	add := func(t addressToken) {
		t.space = space
		space = false
		tokens = append(tokens, t)
	}
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRuneInString(value[i:])
		switch {
		case unicode.IsSpace(r):
			space = true
		case nested && r == '(':
			// What is open now stays open: then nothing is looked at as nested
			// any more, which also keeps the time linear.
			if n, closed := commentLen(value[i:]); closed {
				space, size = true, n
			} else {
				nested, clean = false, false
				add(addressToken{})
			}
		case nested && r == '"':
			if text, n, closed := quotedString(value[i:]); closed {
				size = n
				add(addressToken{kind: word, text: text, quoted: true})
			} else {
				nested, clean = false, false
				add(addressToken{})
			}
		case r == '[' && len(tokens) > 0 && tokens[len(tokens)-1].kind == '@':
			if end := strings.IndexAny(value[i+1:], "[]@<>, \r\n\t"); end >= 0 && value[i+1+end] == ']' {
				size = end + len("[]")
				add(addressToken{kind: word, text: value[i : i+size]})
			} else {
				add(addressToken{})
			}
		case strings.ContainsRune("<>@,;:", r):
			add(addressToken{kind: r})
		case r == '=' && phraseWordLen(value[i:]) > 0:
			size = phraseWordLen(value[i:])
			add(addressToken{kind: word, text: value[i : i+size], quoted: true})
		case isAtomRune(r):
			end := i + size
			for end < len(value) {
				r, n := utf8.DecodeRuneInString(value[end:])
				if !isAtomRune(r) {
					break
				}
				end += n
			}
			size = end - i
			add(addressToken{kind: word, text: value[i:end]})
		default:
			add(addressToken{})
		}
		i += size
	}
	return tokens, clean
}

// quotedString reads the quoted string that s begins with: its text and its
// length with the quotes. A control character in it counts as no end, but for
// the white space of folds.
func quotedString(s string) (text string, size int, closed bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), i + 1, true
		case c == '\r' || c == '\n':
			continue
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", 0, false
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] == 0x7f {
				return "", 0, false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

// commentLen is the length of the comment that s begins with. Comments nest.
func commentLen(s string) (size int, closed bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
	}
	return 0, false
}

// phraseWordLen is the length of the encoded word that s begins with, if it
// stands alone and holds nothing but a bare "@" that could be taken for syntax
// (RFC 2047, Section 5 forbids that too, but programs do write it); else 0.
func phraseWordLen(s string) int {
	w, ok := cutEncodedWord(s)
	if !ok || strings.ContainsAny(w.text, "<>,;\"()\\") {
		return 0
	}
	if next := s[w.size:]; next != "" && strings.IndexByte(" \t\r\n<>,;()\"", next[0]) < 0 {
		return 0
	}
	return w.size
}
