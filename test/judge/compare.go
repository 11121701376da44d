package judge

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
)

// SameBytes compares the protected entity with the message that went in: its
// body must be the same byte for byte, and its Content-* fields, in their
// order. An entity may describe a body that had no such fields, and has a line
// end where the body lacked the last one.
func SameBytes(original, entity []byte) error {
	in, out := Cut(original), Cut(entity)
	want, got := contentFields(in), contentFields(out)
	if len(want) > 0 && !slices.Equal(want, got) {
		return fmt.Errorf("the fields of the protected part are %q, they were %q", got, want)
	}
	body := in.Body
	if !bytes.HasSuffix(body, []byte("\r\n")) && bytes.HasSuffix(out.Body, []byte("\r\n")) {
		body = append(slices.Clone(body), "\r\n"...)
	}
	if !bytes.Equal(body, out.Body) {
		return fmt.Errorf("the protected body differs from that which went in%s", difference(body, out.Body))
	}
	return nil
}

func contentFields(m Message) []string {
	var fields []string
	for _, f := range m.Fields {
		if isContent(f) {
			fields = append(fields, f)
		}
	}
	return fields
}

// difference shows the first place where two texts part.
func difference(want, got []byte) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	around := func(b []byte) []byte { return b[max(0, at-40):min(len(b), at+60)] }
	return fmt.Sprintf(" at byte %d of %d (now %d): %q, now %q", at, len(want), len(got), around(want), around(got))
}

// SameContent compares what a mail program shows: the leaves of both entities,
// decoded, with their types. It holds for messages that had to be brought into
// another transfer encoding.
func SameContent(original, entity []byte) error {
	in, err := leaves(original, 0)
	if err != nil {
		return fmt.Errorf("message that went in: %w", err)
	}
	out, err := leaves(entity, 0)
	if err != nil {
		return fmt.Errorf("protected part: %w", err)
	}
	if len(in) != len(out) {
		return fmt.Errorf("the protected part has %d parts, there were %d", len(out), len(in))
	}
	for i := range in {
		if in[i].mediaType != out[i].mediaType {
			return fmt.Errorf("part %d is %s, it was %s", i, out[i].mediaType, in[i].mediaType)
		}
		if !bytes.Equal(in[i].body, out[i].body) {
			return fmt.Errorf("part %d, decoded, differs%s", i, difference(in[i].body, out[i].body))
		}
	}
	return nil
}

// leaf is a part that has no parts.
type leaf struct {
	mediaType string
	body      []byte // decoded, without line ends at its end
}

func leaves(entity []byte, depth int) ([]leaf, error) {
	if depth > 20 {
		return nil, fmt.Errorf("nested too deeply")
	}
	m := Cut(entity)
	mediaType, params := m.MediaType()
	if strings.HasPrefix(mediaType, "multipart/") && params["boundary"] != "" {
		var all []leaf
		for _, p := range parts(m.Body, params["boundary"]) {
			some, err := leaves(p, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	}
	body := m.Body
	var err error
	switch strings.ToLower(m.Value("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
	case "base64":
		body, err = base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(string(body)))
	}
	if err != nil {
		return nil, fmt.Errorf("decode a part that is %s: %w", mediaType, err)
	}
	if mediaType == "message/rfc822" {
		return leaves(body, depth+1)
	}
	return []leaf{{mediaType, bytes.TrimRight(body, "\r\n")}}, nil
}

// OuterFields checks that the fields that do not describe the body came through
// as they were and in their order, but for those that are named. Fields that
// mail servers add may stand between them.
func OuterFields(original, delivered []byte, except ...string) error {
	fields := Cut(delivered).Fields
	for _, f := range Cut(original).Fields {
		name := Name(f)
		if isContent(f) || name == "mime-version" || name == "waxseal-result" || slices.Contains(except, name) {
			continue
		}
		i := slices.Index(fields, f)
		if i < 0 {
			return fmt.Errorf("%q is not in the delivered header, or not in its place:\n%s", f, strings.Join(Cut(delivered).Fields, ""))
		}
		fields = fields[i+1:]
	}
	return nil
}

// TransitProof checks that no mail server on the way has a reason to change the
// body: it is ASCII without NUL, and no line is longer than 998 bytes.
func TransitProof(message []byte) error {
	for n, line := range bytes.Split(Cut(message).Body, []byte("\r\n")) {
		if len(line) > 998 {
			return fmt.Errorf("line %d of the body has %d bytes", n+1, len(line))
		}
		if bytes.ContainsFunc(line, func(r rune) bool { return r > 126 || r == 0 || r == '\r' || r == '\n' }) {
			return fmt.Errorf("line %d of the body is not 7-bit text: %.80q", n+1, line)
		}
	}
	return nil
}
