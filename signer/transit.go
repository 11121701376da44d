package signer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TransitOptions say what else than mail transport a message must survive.
type TransitOptions struct {
	// PGP asks for what RFC 3156, Section 5 wants before PGP/MIME signs: no
	// white space at the end of a line and no line that begins with "From ".
	PGP bool
}

// UnsafeError says that a message can't be made such that it arrives as it is
// signed. It can't be protected as it is; the sender has to send it otherwise.
type UnsafeError struct {
	// Part numbers the part as IMAP does (RFC 9051, Section 6.4.5.1): "1.2";
	// "" is the whole message.
	Part string
	// Reason is what is wrong, in words that a sender understands. It holds
	// nothing of the message but the names of header fields.
	Reason string
	// Err is the cause, if there is one.
	Err error
}

func (e *UnsafeError) Error() string {
	if e.Part == "" {
		return "message can't be protected: it " + e.Reason
	}
	return "message can't be protected: its part " + e.Part + " " + e.Reason
}

func (e *UnsafeError) Unwrap() error { return e.Err }

// Protectable returns the part of a message that is signed or encrypted: its
// Content-* fields in order and its body, both such that mail transport leaves
// them alone (RFC 8551, Section 3.1; RFC 3156, Sections 3 and 5).
//
//   - All is 7-bit, in lines of at most 998 bytes that end with CRLF. A leaf that
//     is not so is encoded: text in quoted-printable if that is the shorter one,
//     all else in base64; fields say so. Header fields that are not ASCII are
//     encoded by RFC 2231 and RFC 2047.
//   - A leaf keeps its bytes. The line ends of text, and of a message that has
//     no CRLF at all, are the exception: if all are LF, they become CRLF.
//   - Parts whose label says 8bit or binary are labelled 7bit, because MTAs
//     convert what is so labelled.
//   - Multiparts have a closing boundary, no preamble and no epilogue.
//   - A message without Content-Type is text/plain (RFC 2045, Section 5.2) in
//     us-ascii, else in utf-8, else in unknown-8bit (RFC 1428).
//   - What stands in a multipart/signed is not changed, since that would break
//     its signature.
//
// A body that is all this already comes out as it is, and nothing is copied. The
// entity reads m.Body whenever it is written, and keeps at most the header
// fields of the parts (MaxHeaders bytes) and some 1,000 bytes a part in memory.
// An error is an *UnsafeError or one of the Source's.
func Protectable(m *Message, o TransitOptions) (*Entity, error) {
	root, crlf, err := slice(m.Header, m.Body)
	if err != nil {
		var limit *LimitError
		if errors.As(err, &limit) {
			return nil, &UnsafeError{Reason: "has " + limit.Error(), Err: err}
		}
		return nil, err
	}
	t := &transit{
		plan:  &plan{src: m.Body},
		pgp:   o.PGP,
		unix:  !crlf,
		block: make([]byte, min(blockSize, max(m.Body.Size(), 2))),
	}
	if root.ambiguous != "" {
		return nil, t.unsafe(root.ambiguous)
	}
	label, err := t.choose(root)
	if err != nil {
		return nil, err
	}
	e := &Entity{Body: t.plan}
	if e.Header, err = t.rootHeader(root, label); err != nil {
		return nil, err
	}
	if err := t.body(root, label); err != nil {
		return nil, err
	}
	if ended, err := t.plan.ended(); err != nil {
		return nil, err
	} else if !ended {
		t.plan.text("\r\n")
	}
	return e, nil
}

// transit makes the plan of one entity.
type transit struct {
	plan  *plan
	pgp   bool
	unix  bool // the message has no CRLF: it is a file with Unix line ends
	path  []string
	block []byte
}

// label is what becomes of a part: how its body is written, and what its
// Content-Transfer-Encoding says then, "" for what it says now.
type label struct {
	coding   coding
	encoding string
	size     *survey // of a leaf's body as it came
}

func (t *transit) unsafe(reason string) error {
	return &UnsafeError{Part: strings.Join(t.path, "."), Reason: reason}
}

// part plans a part that is not the root.
func (t *transit) part(p *Part) error {
	if p.ambiguous != "" {
		return t.freeze(p, Range{p.Offset, p.BodyEnd}, p.ambiguous, false)
	}
	l, err := t.choose(p)
	if err != nil {
		return err
	}
	if err := t.header(p, l); err != nil {
		return err
	}
	return t.body(p, l)
}

// parts plans the parts of a multipart or message, numbered.
func (t *transit) parts(p *Part, plan func(i int, q *Part) error) error {
	for i, q := range p.Parts {
		t.path = append(t.path, strconv.Itoa(i+1))
		if err := plan(i, q); err != nil {
			return err
		}
		t.path = t.path[:len(t.path)-1]
	}
	return nil
}

// body plans a part's body.
func (t *transit) body(p *Part, l label) error {
	switch {
	case p.IsMultipart() && p.IsLeaf():
		return t.freeze(p, Range{p.BodyStart, p.BodyEnd}, "says that it is a multipart and has no parts", false)
	case p.IsMultipart():
		return t.multipart(p)
	case p.IsMessage():
		return t.parts(p, func(_ int, q *Part) error { return t.part(q) })
	case l.coding == asIs:
		t.plan.run(Range{p.BodyStart, p.BodyEnd})
		return nil
	}
	return t.coded(p, Range{p.BodyStart, p.BodyEnd}, l.coding)
}

// coded plans a run in a coding, and sees to it that what comes out is right.
func (t *transit) coded(p *Part, r Range, c coding) error {
	out, err := t.plan.coded(r, c, t.block)
	switch {
	case errors.Is(err, errAfterPadding):
		return t.unsafe("has base64 that goes on after its end")
	case err != nil:
		return err
	case out.hard():
		return fmt.Errorf("encode %s of %d bytes: the result is not fit for mail", p.MediaType, r.Len())
	}
	return nil
}

// freeze plans a run that can be kept or refused, but not be changed: because it
// is signed, or because programs may read it in different ways.
func (t *transit) freeze(p *Part, r Range, reason string, signed bool) error {
	s, err := t.survey(r)
	switch {
	case err != nil:
		return err
	case t.pgp && s.soft() && !signed:
	case !s.hard():
		t.plan.run(r)
		return nil
	case s.unix() && t.unix && s.eight == 0 && s.nul == 0 && !s.long:
		return t.coded(p, r, crlf)
	}
	return t.unsafe(reason)
}

func (t *transit) survey(r Range) (*survey, error) {
	s := &survey{}
	err := copyRange(s, t.plan.src, r, t.block)
	s.finish()
	return s, err
}

// multipart plans boundaries and parts.
func (t *transit) multipart(p *Part) error {
	signed := p.MediaType == "multipart/signed"
	err := t.parts(p, func(i int, q *Part) error {
		t.delimiter(p, q.delimiter, i == 0, "")
		if signed && i == 0 {
			return t.freeze(q, Range{q.Offset, q.BodyEnd}, "is signed already and would have to be changed, which would break that signature", true)
		}
		return t.part(q)
	})
	if err != nil {
		return err
	}
	t.delimiter(p, p.closing, false, "--")
	return nil
}

// delimiter plans a boundary line, final is its end.
func (t *transit) delimiter(p *Part, d delimiter, first bool, final string) {
	if first && p.Preamble.Len() > 0 {
		d.lead = 0
	}
	if !first && d.lead == 0 && d.form != missing && !t.plan.atLine() {
		d.form = odd
	}
	text := "--" + p.boundary + final
	switch {
	case d.form == exact || d.form == padded && !t.pgp:
		t.plan.run(Range{d.start - int64(d.lead), d.end})
		return
	case d.form == missing || d.lead > 0 || !t.plan.atLine():
		text = "\r\n" + text
	}
	if d.end > d.text {
		text += "\r\n"
	}
	t.plan.text(text)
}

// choose says what becomes of a part.
func (t *transit) choose(p *Part) (label, error) {
	declared := len(p.Header.Fields("Content-Transfer-Encoding")) > 0
	l := label{}
	if p.IsMultipart() || p.IsMessage() {
		if declared && p.Encoding != "7bit" {
			l.encoding = "7bit"
		}
		return l, nil
	}
	s, err := t.survey(Range{p.BodyStart, p.BodyEnd})
	if err != nil {
		return l, err
	}
	l.size = s
	if !s.hard() && !(t.pgp && s.soft()) {
		if declared && identity(p.Encoding) && p.Encoding != "7bit" {
			l.encoding = "7bit"
		}
		return l, nil
	}
	return t.encode(p, l)
}

// encode says how a leaf is written that can't stay as it is.
func (t *transit) encode(p *Part, l label) (label, error) {
	s := l.size
	plain := identity(p.Encoding)
	text := strings.HasPrefix(p.MediaType, "text/") || strings.HasPrefix(p.MediaType, "message/")
	unix := s.unix() && (t.unix || text || !plain)
	if unix && s.eight == 0 && s.nul == 0 && !s.long && !(t.pgp && s.soft()) {
		l.coding = crlf
		if plain && p.Encoding != "7bit" {
			l.encoding = "7bit"
		}
		return l, nil
	}
	switch {
	case p.Encoding == "quoted-printable":
		l.coding = quotedRepaired
	case p.Encoding == "base64":
		l.coding = base64Repaired
	case !plain:
		return l, t.unsafe("has a Content-Transfer-Encoding that is not known and content that needs another one")
	case p.MediaType == "message/partial" || p.MediaType == "message/external-body":
		if s.hard() {
			return l, t.unsafe("is a " + p.MediaType + ", which must not be encoded, and has content that needs it")
		}
	default:
		strange := s.eight + s.nul + s.bareCR
		if !unix {
			strange += s.bareLF
		}
		l.coding, l.encoding = base64Coded, "base64"
		switch quoted := text && strange <= s.size/6; {
		case quoted && unix:
			l.coding, l.encoding = quotedPrintableUnix, "quoted-printable"
		case quoted:
			l.coding, l.encoding = quotedPrintable, "quoted-printable"
		case unix:
			l.coding = base64Unix
		}
	}
	return l, nil
}
