// Package judge asks programs that nobody here wrote whether a message is signed
// or encrypted as it should be, and compares what they bring to light with what
// went in. Messages have CRLF line ends.
//
// openssl and gpg judge whole messages, with the keys of package identities. All
// programs, each of them a CMS or an OpenPGP, write and read what is within
// messages, with keys of all kinds; a Matrix records how that goes.
package judge

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
)

// Message is a message or MIME entity, cut into its raw fields and its body.
type Message struct {
	Fields []string // with their folds and the final CRLF
	Body   []byte
}

// Cut takes a message apart. A message without an empty line is all header.
func Cut(message []byte) Message {
	var m Message
	rest := message
	for len(rest) > 0 {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		if string(line) == "\r\n" {
			m.Body = rest
			return m
		}
		if len(m.Fields) > 0 && (line[0] == ' ' || line[0] == '\t') {
			m.Fields[len(m.Fields)-1] += string(line)
		} else {
			m.Fields = append(m.Fields, string(line))
		}
	}
	return m
}

// Name is the name of a raw field, in lower case.
func Name(field string) string {
	name, _, _ := strings.Cut(field, ":")
	return strings.ToLower(strings.TrimRight(name, " \t"))
}

// Values returns the unfolded values of all fields of that name.
func (m Message) Values(name string) []string {
	var values []string
	for _, f := range m.Fields {
		if Name(f) == strings.ToLower(name) {
			_, v, _ := strings.Cut(strings.ReplaceAll(f, "\r\n", ""), ":")
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// Value is the first of Values, or "".
func (m Message) Value(name string) string {
	if v := m.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// MediaType is the parsed Content-Type, "text/plain" without one.
func (m Message) MediaType() (string, map[string]string) {
	mediaType, params, err := mime.ParseMediaType(m.Value("Content-Type"))
	if err != nil || mediaType == "" {
		return "text/plain", nil
	}
	return mediaType, params
}

// isContent is true for the fields that describe a body and so belong into the
// protected part.
func isContent(field string) bool {
	return strings.HasPrefix(Name(field), "content-")
}

// parts returns the raw parts of a multipart body (RFC 2046, Section 5.1.1);
// one that is not closed ends with the body.
func parts(body []byte, boundary string) [][]byte {
	var found [][]byte
	start := -1
	for at := 0; at < len(body); {
		end := len(body)
		if i := bytes.IndexByte(body[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := strings.TrimRight(string(body[at:end]), " \t\r\n")
		if line == "--"+boundary || line == "--"+boundary+"--" {
			if start >= 0 {
				// The line end before a boundary belongs to the boundary.
				found = append(found, bytes.TrimSuffix(body[start:max(at, start)], []byte("\r\n")))
			}
			start = end
			if strings.HasSuffix(line, "--") && line != "--"+boundary {
				return found
			}
		}
		at = end
	}
	if start >= 0 {
		found = append(found, body[start:])
	}
	return found
}

// signed returns the two parts of a multipart/signed (RFC 1847, Section 2.1):
// the first as its raw bytes.
func signed(message []byte, protocol string) (entity []byte, signature Message, err error) {
	m := Cut(message)
	mediaType, params := m.MediaType()
	if mediaType != "multipart/signed" || !strings.EqualFold(params["protocol"], protocol) {
		return nil, Message{}, fmt.Errorf("the message is %s with protocol %q", mediaType, params["protocol"])
	}
	if params["micalg"] == "" {
		return nil, Message{}, fmt.Errorf("the multipart/signed has no micalg")
	}
	p := parts(m.Body, params["boundary"])
	if len(p) != 2 {
		return nil, Message{}, fmt.Errorf("the multipart/signed has %d parts", len(p))
	}
	if !bytes.Contains(m.Body, []byte("\r\n--"+params["boundary"]+"--")) {
		return nil, Message{}, fmt.Errorf("the multipart/signed is not closed")
	}
	signature = Cut(p[1])
	if got, _ := signature.MediaType(); got != protocol {
		return nil, Message{}, fmt.Errorf("the second part is %s", got)
	}
	return p[0], signature, nil
}
