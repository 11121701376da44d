package signer

import (
	"bytes"
	"strings"
)

// Field is one header field as it came.
type Field struct {
	// Name is the field's name as written, without the colon.
	Name string
	// Raw is the whole field: name, colon, body with its folds, and the CRLF
	// that ends it.
	Raw []byte
}

// Body returns what stands between the colon and the final CRLF, folds and
// leading white space included.
func (f Field) Body() []byte {
	body := f.Raw
	if i := bytes.IndexByte(body, ':'); i >= 0 {
		body = body[i+1:]
	}
	return bytes.TrimSuffix(body, []byte("\r\n"))
}

// Value returns the body unfolded (RFC 5322, Section 2.2.3) and without the
// white space around it.
func (f Field) Value() string {
	body := bytes.ReplaceAll(f.Body(), []byte("\r\n"), nil)
	return strings.TrimSpace(string(body))
}

// Is reports whether the field has this name, which is case-insensitive.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// Header is a header block: its fields in the order in which they came.
type Header []Field

// Fields returns the fields of that name, in order.
func (h Header) Fields(name string) []Field {
	var fields []Field
	for _, f := range h {
		if f.Is(name) {
			fields = append(fields, f)
		}
	}
	return fields
}

// Get returns the Value of the first field of that name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}
