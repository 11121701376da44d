package signer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// foldColumn is where built fields fold, in bytes without the line end:
	// RFC 5322, Section 2.1.1 wants 78, RFC 2047, Section 2 wants 76.
	foldColumn = 76
	// maxLine is the hard limit of RFC 5322, Section 2.1.1.
	maxLine = 998
	// maxFieldName keeps "Name:" on a line of its own possible.
	maxFieldName = 76
)

// NewField builds a header field from a name and a value that is not folded.
// The value may come from anywhere: what could end the field or start another
// one is taken out, and what remains is folded. The name is an error unless it
// is a field name of RFC 5322, Section 2.2.
func NewField(name, value string) (Field, error) {
	if len(name) > maxFieldName || !isFieldName(name) {
		return Field{}, fmt.Errorf("build header field: %.80q is not a field name", name)
	}
	raw := name + ":"
	if v := Fold(name, value); v != "" {
		raw += " " + v
	}
	return Field{Name: name, Raw: []byte(raw + "\r\n")}, nil
}

// isFieldName reports whether name is one or more characters of ftext
// (RFC 5322, Section 3.6.8).
func isFieldName(name string) bool {
	for i := range len(name) {
		if !isFieldText(name[i]) {
			return false
		}
	}
	return name != ""
}

func isFieldText(c byte) bool { return c > ' ' && c < 0x7f && c != ':' }

// Fold returns the value as it stands in a field of that name after "Name: ":
// in lines of at most 76 bytes where white space allows it, of at most 998 bytes
// in any case, each further line beginning with one space. Line ends are CRLF;
// there is none at the end. Control characters go, line breaks and tabs count as
// spaces, and a run of spaces becomes one.
func Fold(name, value string) string {
	value = cleanValue(value)
	var b strings.Builder
	b.Grow(len(value) + len(value)/32)
	for used := min(len(name), maxFieldName) + len(": "); ; used = len(" ") {
		line, rest := cutLine(value, foldColumn-used, maxLine-used)
		b.WriteString(line)
		if rest == "" {
			return b.String()
		}
		b.WriteString("\r\n ")
		value = rest
	}
}

// cutLine takes the next line off a clean value. It is at most want bytes if a
// space allows it, and at most limit bytes otherwise.
func cutLine(value string, want, limit int) (line, rest string) {
	if len(value) <= want {
		return value, ""
	}
	semicolon, space := -1, -1 // the last places to cut within want
	quoted := false
	for i := 0; i < len(value) && i <= limit; i++ {
		if i > want && space >= 0 {
			break
		}
		switch c := value[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ' ' && i > 0:
			if !quoted && (value[i-1] == ';' || value[i-1] == ',') {
				semicolon = i
			}
			space = i
		}
	}
	// A separator is the better place, unless it leaves most of the line empty.
	switch {
	case semicolon > want/3:
		return value[:semicolon], value[semicolon+1:]
	case space >= 0:
		return value[:space], value[space+1:]
	case len(value) <= limit:
		return value, ""
	}
	cut := limit
	for cut > limit-utf8.UTFMax && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return value[:cut], value[cut:]
}

// cleanValue makes a value of printable characters and single spaces.
func cleanValue(value string) string {
	var b strings.Builder
	b.Grow(len(value))
	space := false
	for _, r := range value {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case unicode.IsControl(r):
			continue
		case r == utf8.RuneError:
			r = '?'
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Param returns a parameter as it stands in a Content-Type or similar field,
// name=value: the value as a token or a quoted string (RFC 2045, Section 5.1),
// or, if it is not ASCII, encoded as in RFC 2231, Section 4. The name is a token
// that the program chose.
func Param(name, value string) string {
	value = cleanValue(value)
	ascii, token := true, value != ""
	for i := range len(value) {
		c := value[i]
		ascii = ascii && c < 0x80
		token = token && isTokenByte(c)
	}
	switch {
	case token:
		return name + "=" + value
	case ascii:
		escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
		return name + `="` + escaped + `"`
	}
	var b strings.Builder
	b.WriteString(name + "*=utf-8''")
	for i := range len(value) {
		// attribute-char: a token without *, ' and %.
		if c := value[i]; isTokenByte(c) && c != '*' && c != '\'' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isTokenByte reports whether c may stand in a token (RFC 2045, Section 5.1).
func isTokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}
