package milter

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"waxseal/signer"
)

// The bounds of the fields that describe what was decrypted. They go into the
// header of the message, where mail servers have bounds of their own.
const (
	maxContentFields = 32
	maxContentHeader = 16 << 10 // bytes
)

// result is what the mailbox gets in the place of the message's body, or nil
// where that stays.
func (p *peeler) result() (*signer.Entity, error) {
	e := p.plain
	if e != nil && (p.g.decrypt == nil || p.g.decrypt.Deliver == "keep") {
		return nil, nil
	}
	p.delivered = e != nil
	strip := p.bare != nil && p.g.verify != nil && p.g.verify.StripSignature
	if strip {
		e = p.bare
	}
	switch {
	case e == nil:
		return nil, nil
	case !strip && p.signed != nil:
		return p.signed, nil
	}
	header, ok := contentFields(e.part.Header)
	if !ok {
		p.delivered = false
		return nil, nil
	}
	entity := &signer.Entity{Header: header, Body: e.body()}
	if p.plain == nil {
		return entity, nil // it has come that way
	}
	plain, err := isPlain(e.body())
	if err != nil || plain {
		return entity, err
	}
	// What is encrypted may be binary, or have lines of any length, and the MTA
	// would damage that (RFC 8551, Section 3.1.3).
	b := e.body()
	safe, err := signer.Protectable(&signer.Message{Header: header, Body: io.NewSectionReader(b.src, b.at.Start, b.at.Len())}, signer.TransitOptions{})
	var unsafe *signer.UnsafeError
	if errors.As(err, &unsafe) {
		return entity, nil
	}
	return safe, err
}

// contentFields are the fields that describe an entity, each once and in lines
// that every mail server takes. It is not ok if they are too many.
func contentFields(h signer.Header) (fields signer.Header, ok bool) {
	size := 0
	for _, f := range h {
		if !isContent(f) || !isEditName(f.Name) || len(fields.Fields(f.Name)) > 0 {
			continue
		}
		for length, i := 0, 0; i < len(f.Raw); i++ {
			if length++; f.Raw[i] == '\n' {
				length = 0
			}
			if length > maxFieldLine {
				folded, err := signer.NewField(f.Name, f.Value())
				if err != nil {
					return nil, false
				}
				f = folded
				break
			}
		}
		fields = append(fields, f)
		if size += len(f.Raw); size > maxContentHeader || len(fields) > maxContentFields {
			return nil, false
		}
	}
	return fields, true
}

// isPlain reports whether mail servers pass a body on as it is: lines of a
// length that SMTP allows, and neither NUL nor a line end that is none.
func isPlain(b section) (bool, error) {
	length, last := 0, byte(0)
	plain := true
	err := blocks(b, func(block []byte) bool {
		for _, c := range block {
			switch {
			case c == 0, c == '\n' && last != '\r', last == '\r' && c != '\n':
				plain = false
			case c == '\n':
				length = 0
			default:
				if length++; length > maxFieldLine+1 { // with the CR
					plain = false
				}
			}
			last = c
		}
		return plain
	})
	return plain && last != '\r', err
}

// blocks calls f with a section, piece by piece, until it returns false.
func blocks(b section, f func([]byte) bool) error {
	buffer := make([]byte, min(b.at.Len(), 64<<10))
	for at := b.at.Start; at < b.at.End; {
		block := buffer[:min(int64(len(buffer)), b.at.End-at)]
		if n, err := b.src.ReadAt(block, at); n < len(block) {
			return fmt.Errorf("look into a layer: %w", noEOF(err))
		}
		if !f(block) {
			return nil
		}
		at += int64(len(block))
	}
	return nil
}

// looksAltered looks for what is left behind when somebody puts text of his own
// into a message that is encrypted with AES-CBC: each of his blocks has one of
// random bytes beside it, which he can't do anything about and would hide in
// what programs don't show, first of all in a header. It finds them there and
// in HTML, where they would do harm, with near certainty.
func looksAltered(e entity) (bool, error) {
	bad := false
	var failed error
	e.part.Walk(func(part *signer.Part) bool {
		for _, f := range part.Header {
			// Attachments have names in old character sets.
			bad = bad || hasNoise(f.Raw) || (part == e.part || canSend(part)) && !utf8.Valid(f.Raw)
		}
		if canSend(part) && !bad {
			ascii := part.Encoding == "base64" || part.Encoding == "quoted-printable"
			failed = blocks(entity{src: e.src, part: part}.body(), func(block []byte) bool {
				bad = hasNoise(block) || ascii && !isASCII(block)
				return !bad
			})
		}
		return !bad && failed == nil
	})
	return bad, failed
}

// canSend reports whether a program that shows a part might ask somebody else
// for pictures.
func canSend(part *signer.Part) bool {
	switch part.MediaType {
	case "text/html", "application/xhtml+xml", "image/svg+xml":
		return true
	}
	return false
}

// hasNoise reports whether there is a control character that no text has.
func hasNoise(b []byte) bool {
	for _, c := range b {
		if c < ' ' && noise&(1<<c) != 0 || c == 0x7f {
			return true
		}
	}
	return false
}

// noise has a bit for each control character but tab, the line ends, form feed
// and those that switch character sets.
const noise = uint32(0xffffffff) &^ (1<<'\t' | 1<<'\n' | 1<<'\f' | 1<<'\r' | 1<<0x0e | 1<<0x0f | 1<<0x1b)

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
