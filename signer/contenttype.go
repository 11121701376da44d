package signer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxFieldParams = 100 // parameters of one field; what comes after is not read
	maxSections    = 100 // parts of one parameter, RFC 2231, Section 3
)

// ParseContentType reads the value of a Content-Type field as mail programs
// do, which is more than the grammar of RFC 2045, Section 5.1 allows: comments,
// missing semicolons and quotes, empty parameters, what RFC 2231 adds. A type
// without a subtype is text/plain (RFC 2045, Section 5.2). The type and the
// names of the parameters are in small letters; of two parameters with one
// name the first counts.
func ParseContentType(value string) (mediaType string, params map[string]string) {
	t := parseContentType(value)
	return t.media, t.values()
}

// parameter is one parameter as it is written.
type parameter struct {
	name  string // small letters, with the asterisks of RFC 2231
	value string // without quotes
	text  string // name and value as they stand in the field
}

type contentType struct {
	media  string // "type/subtype" in small letters
	text   string // as it stands in the field
	params []parameter
}

func parseContentType(value string) contentType {
	t := parseParameters(value)
	media := strings.ToLower(t.text)
	kind, sub, ok := strings.Cut(media, "/")
	kind, sub = strings.TrimSpace(kind), strings.TrimSpace(sub)
	if !ok || !isToken(kind) || !isToken(sub) {
		t.media = "text/plain"
		return t
	}
	t.media = kind + "/" + sub
	return t
}

// isToken is RFC 2045's token, and 8-bit characters.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?=`, r)
	})
}

// parseParameters reads "something; name=value; ..." of Content-Type and
// Content-Disposition. It takes time linear in the value's length.
func parseParameters(value string) contentType {
	p := &parameterReader{s: value}
	var t contentType
	t.text = p.first()
	for len(t.params) < maxFieldParams {
		q, ok := p.next()
		if !ok {
			break
		}
		t.params = append(t.params, q)
	}
	return t
}

type parameterReader struct {
	s string
	i int
}

// skip passes white space, line ends and comments.
func (p *parameterReader) skip() {
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			p.i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return
		}
	}
	p.i = min(p.i, len(p.s))
}

// word reads up to one of the bytes in stop.
func (p *parameterReader) word(stop string) string {
	from := p.i
	for p.i < len(p.s) && strings.IndexByte(stop, p.s[p.i]) < 0 {
		p.i++
	}
	return p.s[from:p.i]
}

// first reads what stands before the parameters. A slash may have white space
// or comments around it.
func (p *parameterReader) first() string {
	p.skip()
	w := p.word(" \t\r\n;(/")
	p.skip()
	if p.i < len(p.s) && p.s[p.i] == '/' {
		p.i++
		p.skip()
		w += "/" + p.word(" \t\r\n;(")
	}
	return w
}

// next reads one parameter, and passes what isn't one.
func (p *parameterReader) next() (parameter, bool) {
	for p.i < len(p.s) {
		p.skip()
		from := p.i
		name := p.word(" \t\r\n;=(\"")
		p.skip()
		if p.i == len(p.s) {
			break
		}
		switch p.s[p.i] {
		case '=':
			p.i++
			name = strings.ToLower(name)
			value := p.value(name)
			if name != "" {
				return parameter{name, value, strings.TrimSpace(p.s[from:p.i])}, true
			}
		case '"':
			p.quoted()
		case ';':
			p.i++
		}
	}
	return parameter{}, false
}

// value reads a parameter's value. Names of files are often written without
// the quotes that their spaces demand.
func (p *parameterReader) value(name string) string {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] == '"' {
		return p.quoted()
	}
	if name == "name" || name == "filename" {
		return strings.TrimSpace(p.word(";"))
	}
	return p.word(" \t\r\n;")
}

// quoted reads a quoted string; without its second quote it goes to the end.
func (p *parameterReader) quoted() string {
	p.i++
	var b strings.Builder
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return b.String()
		case '\\':
			if p.i+1 < len(p.s) {
				p.i++
				b.WriteByte(p.s[p.i])
			}
		case '\r', '\n':
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// values returns the parameters by name, RFC 2231 undone.
func (t contentType) values() map[string]string {
	if len(t.params) == 0 {
		return nil
	}
	values := make(map[string]string, len(t.params))
	var extended map[string][]parameter
	for _, q := range t.params {
		base, section, found := strings.Cut(q.name, "*")
		if !found {
			if _, ok := values[base]; !ok {
				values[base] = q.value
			}
			continue
		}
		if extended == nil {
			extended = make(map[string][]parameter)
		}
		extended[base] = append(extended[base], parameter{name: section, value: q.value})
	}
	for base, sections := range extended {
		if v, ok := joinSections(sections); ok {
			values[base] = v
		}
	}
	return values
}

// conflicts reports whether the parameter has more than one value.
func (t contentType) conflicts(name string) bool {
	value := t.values()[name]
	for _, q := range t.params {
		if q.name == name && q.value != value {
			return true
		}
	}
	return false
}

// joinSections puts the sections of a parameter together (RFC 2231, Sections 3 and 4):
// "" or "0*" are encoded, "0" is plain, and so on.
func joinSections(sections []parameter) (string, bool) {
	var parts [maxSections]*parameter
	for i := range sections {
		number := strings.TrimSuffix(sections[i].name, "*")
		n, err := strconv.Atoi(number)
		if sections[i].name == "" {
			n, err = 0, nil
		}
		if err == nil && n >= 0 && n < len(parts) && parts[n] == nil {
			parts[n] = &sections[i]
		}
	}
	if parts[0] == nil {
		return "", false
	}
	var b strings.Builder
	charset := ""
	for n, q := range parts {
		if q == nil {
			break
		}
		v := q.value
		if q.name == "" || strings.HasSuffix(q.name, "*") {
			if n == 0 {
				charset, v = cutCharset(v)
			}
			v = unescape(v)
		}
		b.WriteString(v)
	}
	s := b.String()
	if strings.EqualFold(charset, "iso-8859-1") && !isASCII(s) {
		runes := make([]rune, 0, len(s))
		for i := range len(s) {
			runes = append(runes, rune(s[i]))
		}
		s = string(runes)
	}
	return s, true
}

// cutCharset takes charset'language' from the front of an extended value.
func cutCharset(v string) (charset, rest string) {
	charset, rest, ok := strings.Cut(v, "'")
	if !ok {
		return "", v
	}
	if _, text, ok := strings.Cut(rest, "'"); ok {
		return charset, text
	}
	return "", v
}

// unescape undoes the percent signs; one that means nothing stays.
func unescape(v string) string {
	if !strings.Contains(v, "%") {
		return v
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if n, err := strconv.ParseUint(v[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, v[i])
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
