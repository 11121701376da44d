package milter

import (
	"errors"
	"fmt"
	"strings"
)

// parsedAuthres is a field of RFC 8601 as the grammar has it.
type parsedAuthres struct {
	id, version string
	results     []parsedResult
}

type parsedResult struct {
	method, version, result, reason string
	comments                        []string // before and after the result
	properties                      []property
}

// parseAuthres reads the body of a field strictly by the grammar of RFC 8601,
// Section 2.2 and those that it refers to (RFC 2045, 5321, 5322, 6376). It shares
// nothing with the code under test.
func parseAuthres(body string) (a parsedAuthres, err error) {
	p := &abnf{s: body}
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(abnfError)
			if !ok {
				panic(r)
			}
			err = errors.New(string(failed))
		}
	}()
	p.cfws()
	a.id = p.value()
	p.cfws()
	if a.version = p.digits(); a.version != "" {
		p.cfws()
	}
	for !p.end() {
		p.want(";")
		p.comments = nil
		p.cfws()
		r := parsedResult{method: p.keyword()}
		p.cfws()
		if r.method == "none" && p.end() && len(a.results) == 0 {
			return a, nil
		}
		if p.take("/") {
			p.cfws()
			if r.version = p.digits(); r.version == "" {
				p.fail("no method version")
			}
			p.cfws()
		}
		p.want("=")
		p.cfws()
		r.result = p.keyword()
		spaced := p.cfws()
		r.comments, p.comments = p.comments, nil
		for !p.end() && p.s[0] != ';' {
			if !spaced {
				p.fail("no white space before a property")
			}
			name := p.keyword()
			p.cfws()
			if name == "reason" && p.take("=") {
				if r.reason != "" || len(r.properties) > 0 {
					p.fail("reason in the wrong place")
				}
				p.cfws()
				r.reason = p.value()
			} else {
				p.want(".")
				p.cfws()
				prop := property{ptype: name, name: p.keyword()}
				p.cfws()
				p.want("=")
				p.cfws()
				prop.value = p.pvalue()
				r.properties = append(r.properties, prop)
			}
			spaced = p.cfws()
		}
		a.results = append(a.results, r)
	}
	if len(a.results) == 0 {
		p.fail("no result")
	}
	return a, nil
}

type abnfError string

// abnf is what is left to read.
type abnf struct {
	s        string
	comments []string
}

func (p *abnf) fail(text string) {
	panic(abnfError(fmt.Sprintf("%s before %.40q", text, p.s)))
}

func (p *abnf) end() bool { return p.s == "" }

func (p *abnf) take(s string) bool {
	rest, ok := strings.CutPrefix(p.s, s)
	p.s = rest
	return ok
}

func (p *abnf) want(s string) {
	if !p.take(s) {
		p.fail("no " + s)
	}
}

// cfws reads comments and folding white space, in which a line end is followed by
// white space, and a line is never white only.
func (p *abnf) cfws() bool {
	before := p.s
	for p.fws() || p.comment() {
	}
	return len(p.s) != len(before)
}

func (p *abnf) fws() bool {
	before := len(p.s)
	p.s = strings.TrimLeft(p.s, " \t")
	if p.take("\r\n") {
		if rest := strings.TrimLeft(p.s, " \t"); rest == p.s || rest == "" || strings.HasPrefix(rest, "\r\n") {
			p.fail("a bad fold")
		} else {
			p.s = rest
		}
	}
	return len(p.s) != before
}

func (p *abnf) comment() bool {
	if !p.take("(") {
		return false
	}
	start := p.s
	for !p.take(")") {
		switch {
		case p.fws() || p.comment():
		case p.take(`\`):
			p.one(func(c byte) bool { return c >= ' ' && c < 0x7f || c == '\t' })
		default:
			p.one(func(c byte) bool { return c > ' ' && c < 0x7f && c != '(' && c != ')' && c != '\\' })
		}
	}
	p.comments = append(p.comments, start[:len(start)-len(p.s)-1])
	return true
}

func (p *abnf) one(allowed func(byte) bool) byte {
	if p.end() || !allowed(p.s[0]) {
		p.fail("a character that is not allowed")
	}
	c := p.s[0]
	p.s = p.s[1:]
	return c
}

func (p *abnf) run(allowed func(byte) bool) string {
	n := 0
	for n < len(p.s) && allowed(p.s[n]) {
		n++
	}
	text := p.s[:n]
	p.s = p.s[n:]
	return text
}

func (p *abnf) digits() string { return p.run(func(c byte) bool { return c >= '0' && c <= '9' }) }

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// keyword is Ldh-str of RFC 5321, Section 4.1.2.
func (p *abnf) keyword() string {
	k := p.run(func(c byte) bool { return letterOrDigit(c) || c == '-' })
	if k == "" || strings.HasSuffix(k, "-") {
		p.fail("no keyword")
	}
	return k
}

func (p *abnf) token() string {
	return p.run(func(c byte) bool { return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, rune(c)) })
}

func (p *abnf) quoted() (string, bool) {
	if !p.take(`"`) {
		return "", false
	}
	var b strings.Builder
	for !p.take(`"`) {
		before := p.s
		switch {
		case p.fws():
			b.WriteString(strings.ReplaceAll(before[:len(before)-len(p.s)], "\r\n", ""))
		case p.take(`\`):
			b.WriteByte(p.one(func(c byte) bool { return c >= ' ' && c < 0x7f || c == '\t' }))
		default:
			b.WriteByte(p.one(func(c byte) bool { return c > ' ' && c < 0x7f }))
		}
	}
	return b.String(), true
}

func (p *abnf) value() string {
	if text, ok := p.quoted(); ok {
		return text
	}
	t := p.token()
	if t == "" {
		p.fail("no value")
	}
	return t
}

// pvalue is a value or an address, whose local part may be left out.
func (p *abnf) pvalue() string {
	local, isQuoted := p.quoted()
	if !isQuoted {
		local = p.run(func(c byte) bool {
			return letterOrDigit(c) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", rune(c))
		})
	}
	if p.take("@") {
		domain := p.run(func(c byte) bool { return letterOrDigit(c) || c == '-' || c == '.' })
		if domain == "" || strings.Contains(domain, "..") || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") {
			p.fail("no domain")
		}
		return local + "@" + domain
	}
	if isQuoted {
		return local
	}
	if t := (&abnf{s: local}).token(); t == "" || t != local {
		p.fail("no value")
	}
	return local
}
