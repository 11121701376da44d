package signer

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// header plans a part's header block.
func (t *transit) header(p *Part, l label) error {
	fits := p.plain && l.encoding == ""
	for _, f := range p.Header {
		fits = fits && fieldFits(f.Raw, t.pgp)
	}
	if fits {
		t.plan.run(Range{p.Offset, p.BodyStart})
		return nil
	}
	fields, err := t.fields(p.Header, l)
	if err != nil {
		return err
	}
	if len(fields) == 0 && p.Offset == p.BodyEnd {
		return nil
	}
	for _, f := range fields {
		t.plan.text(string(f.Raw))
	}
	t.plan.text("\r\n")
	return nil
}

// rootHeader returns the fields of the entity: the message's Content-* fields
// and, where it has none, the default one of RFC 2045, Section 5.2.
func (t *transit) rootHeader(p *Part, l label) (Header, error) {
	var content Header
	typed := false
	for _, f := range p.Header {
		if len(f.Name) < len("Content-") || !strings.EqualFold(f.Name[:len("Content-")], "Content-") {
			continue
		}
		if f.Is("Content-Type") {
			if typed {
				continue // it says the same, or the message would be refused
			}
			typed = true
		}
		content = append(content, f)
	}
	fields, err := t.fields(content, l)
	if err != nil || typed {
		return fields, err
	}
	value := "text/plain"
	if identity(p.Encoding) {
		charset, err := t.charset(p, l)
		if err != nil {
			return nil, err
		}
		value += "; charset=" + charset
	}
	return append(Header{newField("Content-Type", value)}, fields...), nil
}

// charset is what a body without a Content-Type is written in. Programs guess
// at what RFC 1428 calls unknown-8bit, as they do where nothing is said.
func (t *transit) charset(p *Part, l label) (string, error) {
	if l.size.eight == 0 {
		return "us-ascii", nil
	}
	u := &utf8Check{}
	if err := copyRange(u, t.plan.src, Range{p.BodyStart, p.BodyEnd}, t.block); err != nil {
		return "", err
	}
	if u.wrong || u.n > 0 {
		return "unknown-8bit", nil
	}
	return "utf-8", nil
}

// fields returns the fields as mail can carry them, with the encoding that the
// label says.
func (t *transit) fields(h Header, l label) (Header, error) {
	fields := make(Header, 0, len(h)+1)
	encoded := false
	for _, f := range h {
		if l.encoding != "" && f.Is("Content-Transfer-Encoding") {
			if !encoded {
				fields = append(fields, newField(f.Name, l.encoding))
			}
			encoded = true
			continue
		}
		raw, reason := transitField(f, t.pgp)
		if reason == "" && f.Is("Content-Type") && !sameType(f, Field{f.Name, raw}) {
			reason = "has a Content-Type that is not well-formed"
		}
		if reason == "" && f.Is("Content-Transfer-Encoding") && encodingOf(f) != encodingOf(Field{f.Name, raw}) {
			reason = "has a Content-Transfer-Encoding that is not well-formed"
		}
		if reason != "" {
			return nil, t.unsafe(reason)
		}
		fields = append(fields, Field{Name: f.Name, Raw: raw})
	}
	if l.encoding != "" && !encoded {
		fields = append(fields, newField("Content-Transfer-Encoding", l.encoding))
	}
	return fields, nil
}

// sameType reports whether two Content-Type fields make programs cut a body in
// the same way.
func sameType(f, g Field) bool {
	if bytes.Equal(f.Raw, g.Raw) {
		return true
	}
	a, b := parseContentType(f.Value()), parseContentType(g.Value())
	return a.media == b.media && a.values()["boundary"] == b.values()["boundary"]
}

func newField(name, value string) Field {
	return Field{Name: name, Raw: []byte(name + ": " + value + "\r\n")}
}

// utf8Check is a writer that looks whether what it gets is UTF-8.
type utf8Check struct {
	wrong bool
	held  [utf8.UTFMax]byte // a character that is not whole yet
	n     int
}

func (u *utf8Check) Write(p []byte) (int, error) {
	size := len(p)
	for u.n > 0 && len(p) > 0 {
		u.held[u.n] = p[0]
		u.n, p = u.n+1, p[1:]
		if utf8.FullRune(u.held[:u.n]) {
			u.wrong = u.wrong || !utf8.Valid(u.held[:u.n])
			u.n = 0
		}
	}
	for tail := max(0, len(p)-utf8.UTFMax+1); tail < len(p); tail++ {
		if utf8.RuneStart(p[tail]) && !utf8.FullRune(p[tail:]) {
			u.n = copy(u.held[:], p[tail:])
			p = p[:tail]
		}
	}
	u.wrong = u.wrong || !utf8.Valid(p)
	return size, nil
}
