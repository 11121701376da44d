package signer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrHeaderTooLarge says that a header block is larger than the caller allows.
var ErrHeaderTooLarge = errors.New("header is larger than the limit")

// ParseField builds a field from a name and a value as a milter gets them: the
// value is what stood after the colon, leading white space included, folded
// with LF. Raw is the field as the MTA had it, with CRLF line ends. A line break
// that is no fold, which an MTA does not send, becomes one, so that a field is
// never more than one field.
func ParseField(name, value string) Field {
	// Called for every field of every message: a Replacer would be built anew.
	name = strings.ReplaceAll(strings.ReplaceAll(name, "\r", ""), "\n", "")
	value = strings.TrimRight(strings.ReplaceAll(value, "\r\n", "\n"), "\n")
	raw := make([]byte, 0, len(name)+len(value)+len(value)/32+len(":\r\n"))
	raw = append(raw, name...)
	raw = append(raw, ':')
	for i := range len(value) {
		if value[i] != '\n' {
			raw = append(raw, value[i])
			continue
		}
		raw = append(raw, '\r', '\n')
		if next := value[i+1]; next != ' ' && next != '\t' {
			raw = append(raw, ' ')
		}
	}
	return Field{Name: name, Raw: append(raw, '\r', '\n')}
}

// ReadHeader reads the header block of a message from a file and returns its
// fields and a reader of the body, which begins where the header ended. Lines
// may end with LF or CRLF; Raw has CRLF. A "From " line of an mbox file at the
// top is left out. The header ends at an empty line, which belongs to neither,
// or before the first line that is no field, which belongs to the body, as with
// Postfix. More than limit bytes of header are ErrHeaderTooLarge.
func ReadHeader(r io.Reader, limit int) (Header, io.Reader, error) {
	br := bufio.NewReader(r)
	var header Header
	for first, left := true, limit; ; first = false {
		line, err := readLine(br, left)
		if err != nil {
			return nil, nil, fmt.Errorf("read message header: %w", err)
		}
		left -= len(line)
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		name := fieldName(text)
		switch {
		case len(text) == 0:
			return header, br, nil
		case first && isMboxLine(text):
		case (text[0] == ' ' || text[0] == '\t') && len(header) > 0:
			f := &header[len(header)-1]
			f.Raw = append(append(f.Raw, text...), '\r', '\n')
		case name != "":
			header = append(header, Field{Name: name, Raw: append(text[:len(text):len(text)], '\r', '\n')})
		default:
			return header, io.MultiReader(bytes.NewReader(line), br), nil
		}
	}
}

// readLine reads one line with its end, as a slice of its own. At the end of
// input it is what remains, or nothing.
func readLine(br *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		piece, err := br.ReadSlice('\n')
		if len(line)+len(piece) > limit {
			return nil, ErrHeaderTooLarge
		}
		line = append(line, piece...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return line, err
	}
}

// fieldName returns the name of the field that a line begins, or "". White space
// before the colon is obsolete (RFC 5322, Section 4.5) and allowed.
func fieldName(line []byte) string {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !found || !isFieldName(string(name)) {
		return ""
	}
	return string(name)
}

func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}
