package signer

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// transitField returns the field as mail can carry it: ASCII, lines of at most
// 998 bytes that end with CRLF, no line of white space alone; for PGP no white
// space at the end of a line either (RFC 3156, Section 5). The field comes back
// as it is if it is that already. If it can't be done, the second result says
// why, in words.
func transitField(f Field, pgp bool) (raw []byte, reason string) {
	if fieldFits(f.Raw, pgp) {
		return f.Raw, ""
	}
	raw = f.Raw
	if bytes.IndexByte(raw, 0) >= 0 {
		return nil, "has a NUL character in the header field " + f.Name
	}
	if countEight(raw) > 0 {
		if !utf8.Valid(raw) {
			return nil, "has characters in the header field " + f.Name + " that are neither ASCII nor UTF-8"
		}
		value, ok := asciiValue(f.Name, bareValue(raw))
		if !ok {
			return nil, "has characters in the header field " + f.Name + " that are not ASCII and can't be encoded there"
		}
		raw = []byte(f.Name + ": " + value + "\r\n")
	}
	raw = transitLines(raw, pgp)
	if !fieldFits(raw, pgp) {
		return nil, "has a line in the header field " + f.Name + " that is too long and has no place to fold"
	}
	return raw, ""
}

// fieldFits reports whether transitField has nothing to do.
func fieldFits(raw []byte, pgp bool) bool {
	if countEight(raw) > 0 || bytes.IndexByte(raw, 0) >= 0 || !bytes.HasSuffix(raw, []byte("\r\n")) {
		return false
	}
	for first := true; len(raw) > 0; first = false {
		i := bytes.IndexByte(raw, '\n')
		if i < 1 || raw[i-1] != '\r' {
			return false
		}
		text := raw[:i-1]
		raw = raw[i+1:]
		short := bytes.TrimRight(text, " \t")
		switch {
		case len(text) > maxTransitLine || bytes.IndexByte(text, '\r') >= 0:
			return false
		case len(short) == 0:
			return false
		case pgp && len(short) < len(text):
			return false
		case !first && text[0] != ' ' && text[0] != '\t':
			return false
		}
	}
	return true
}

// bareValue is the body of a field without its line ends.
func bareValue(raw []byte) string {
	_, body, _ := bytes.Cut(raw, []byte(":"))
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(string(body)))
}

// transitLines gives lines their right ends, folds what is too long where there
// is white space, and leaves out lines that are white space only.
func transitLines(raw []byte, pgp bool) []byte {
	var out []byte
	for _, text := range bytes.Split(bytes.TrimRight(raw, "\r\n"), []byte("\n")) {
		text = bytes.ReplaceAll(bytes.TrimRight(text, "\r"), []byte("\r"), []byte(" "))
		if len(bytes.TrimRight(text, " \t")) == 0 {
			continue
		}
		for len(text) > maxTransitLine {
			cut := bytes.LastIndexAny(text[:maxTransitLine], " \t")
			for cut > 0 && (text[cut-1] == ' ' || text[cut-1] == '\t') {
				cut--
			}
			if cut < 0 || len(bytes.Trim(text[:cut], " \t")) == 0 || len(bytes.Trim(text[cut:], " \t")) == 0 {
				break
			}
			out = appendLine(out, text[:cut], pgp)
			text = text[cut:]
		}
		out = appendLine(out, text, pgp)
	}
	return out
}

func appendLine(out, text []byte, pgp bool) []byte {
	if pgp {
		text = bytes.TrimRight(text, " \t")
	}
	if len(out) > 0 && text[0] != ' ' && text[0] != '\t' {
		out = append(out, ' ') // a line end within a field that was no fold
	}
	return append(append(out, text...), "\r\n"...)
}

// asciiValue encodes a value that has UTF-8 in it in such a way that programs
// show the same: parameters by RFC 2231, text and display names by RFC 2047.
func asciiValue(name, value string) (string, bool) {
	switch strings.ToLower(name) {
	case "content-type", "content-disposition":
		return asciiParameters(value)
	case "from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc",
		"resent-bcc", "resent-reply-to", "disposition-notification-to", "return-receipt-to", "errors-to":
		return asciiAddresses(value)
	case "received", "return-path", "date", "resent-date", "message-id", "resent-message-id", "in-reply-to", "references",
		"mime-version", "content-transfer-encoding", "content-id", "content-language", "content-md5",
		"dkim-signature", "arc-seal", "arc-message-signature", "arc-authentication-results", "authentication-results":
		return "", false
	}
	return asciiText(value), true
}

// asciiParameters writes a field with parameters anew.
func asciiParameters(value string) (string, bool) {
	t := parseParameters(value)
	if !isASCII(t.text) || len(t.params) == maxFieldParams {
		return "", false
	}
	var b strings.Builder
	b.WriteString(t.text)
	for _, q := range t.params {
		text := q.text
		if !isASCII(text) {
			if !isToken(q.name) || !isASCII(q.name) || strings.Contains(q.name, "*") {
				return "", false
			}
			text = extendedParameter(q.name, q.value)
		}
		b.WriteString(";\r\n " + text)
	}
	return b.String(), true
}

// extendedParameter writes a parameter as RFC 2231 says, in sections if it is
// too long for one line (Section 3).
func extendedParameter(name, value string) string {
	const room = 60
	var escaped []string // one character each
	size := len("*=utf-8''")
	for _, r := range value {
		s := ""
		for _, c := range []byte(string(r)) {
			if c < utf8.RuneSelf && isTokenByte(c) && c != '*' && c != '\'' && c != '%' {
				s += string(rune(c))
			} else {
				s += "%" + string(upperHex[c>>4]) + string(upperHex[c&15])
			}
		}
		escaped = append(escaped, s)
		size += len(s)
	}
	if size <= room {
		return name + "*=utf-8''" + strings.Join(escaped, "")
	}
	var b strings.Builder
	section, used := 0, 0
	for i, s := range escaped {
		if i == 0 || used+len(s) > room {
			if i > 0 {
				b.WriteString(";\r\n ")
			}
			head := name + "*" + strconv.Itoa(section) + "*="
			if section == 0 {
				head += "utf-8''"
			}
			b.WriteString(head)
			section, used = section+1, len(head)
		}
		b.WriteString(s)
		used += len(s)
	}
	return b.String()
}

// asciiAddresses encodes the display names of an address list. It does so for
// plain lists of mailboxes only.
func asciiAddresses(value string) (string, bool) {
	var out []string
	for _, item := range splitMailboxes(value) {
		item = strings.TrimSpace(item)
		if isASCII(item) {
			out = append(out, item)
			continue
		}
		i := strings.LastIndexByte(item, '<')
		if i < 0 || !strings.HasSuffix(item, ">") || !isASCII(item[i:]) {
			return "", false
		}
		name := strings.TrimSpace(item[:i])
		if len(name) > 1 && name[0] == '"' {
			p := &parameterReader{s: name}
			name = p.quoted()
			if p.i != len(p.s) {
				return "", false
			}
		} else if strings.ContainsAny(name, `"()<>[]:;@\,=`) {
			return "", false
		}
		out = append(out, strings.Join(encodeText(name), "\r\n ")+"\r\n "+item[i:])
	}
	return strings.Join(out, ",\r\n "), true
}

// splitMailboxes cuts at the commas outside of quotes, comments and angles.
func splitMailboxes(value string) []string {
	var items []string
	from, depth, quoted, angle := 0, 0, false, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\':
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			items = append(items, value[from:i])
			from = i + 1
		}
	}
	return append(items, value[from:])
}

// asciiText encodes the words of a text that are not ASCII. White space between
// two encoded words means nothing (RFC 2047, Section 6.2), so what stands
// between such words is encoded with them.
func asciiText(value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' })
	var b strings.Builder
	at := 0 // where the rest of value begins
	for i := 0; i < len(words); i++ {
		from := at + strings.Index(value[at:], words[i])
		to := from + len(words[i])
		if isASCII(words[i]) {
			b.WriteString(value[at:to])
			at = to
			continue
		}
		for i+1 < len(words) && !isASCII(words[i+1]) {
			i++
			to += strings.Index(value[to:], words[i]) + len(words[i])
		}
		run := value[from:to]
		if strings.HasSuffix(value[:at], "?=") {
			run = value[at:from] + run
		}
		if i+1 < len(words) && strings.HasPrefix(words[i+1], "=?") {
			run += " "
		}
		if at > 0 {
			b.WriteString("\r\n ")
		}
		b.WriteString(strings.Join(encodeText(run), "\r\n "))
		at = to
	}
	b.WriteString(value[at:])
	return b.String()
}
