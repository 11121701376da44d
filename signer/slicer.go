package signer

import (
	"bytes"
	"io"
	"strings"
)

const (
	maxFields = 20_000 // header fields of all parts
	maxParams = 10_000 // Content-Type parameters of all parts
)

// delimiter is a boundary line.
type delimiter struct {
	lead  int   // length of the line end before it that belongs to it
	start int64 // where its two hyphens stand
	text  int64 // where the line ends
	end   int64 // where the next line begins
	form  delimiterForm
}

// delimiterForm says how far a boundary line is from what one should be.
type delimiterForm int

const (
	missing delimiterForm = iota // there is none
	exact                        // boundary and CRLF
	padded                       // spaces or tabs before the CRLF
	odd                          // anything else
)

// state is what the lines that come next are for a part.
type state int

const (
	inHeader state = iota
	inBody         // of a leaf
	inPreamble
	inParts // of a multipart, or within the message that a part holds
	inEpilogue
)

type frame struct {
	part  *Part
	state state
	block []byte // the header block so far, while inHeader
	ends  []int  // where its fields end in block
	line  int    // where the current line begins in block
}

type slicer struct {
	lines   *lineReader
	stack   []*frame
	prevEOL int  // length of the last line's end
	crlf    bool // a line ended with CRLF
	parts   int
	headers int
	fields  int
	params  int
}

// run reads all lines and ends all parts. A body without parts has nothing in it
// but its line ends, of which one CRLF says enough: it is not read further.
func (s *slicer) run() error {
	for !s.crlf || len(s.stack) > 1 || s.stack[0].state != inBody {
		l, err := s.lines.read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := s.take(l); err != nil {
			return err
		}
		if l.last {
			s.prevEOL = l.eol
			s.crlf = s.crlf || l.eol == 2
		}
	}
	return s.leave(0, s.lines.end)
}

// take gives a line to the part that it belongs to.
func (s *slicer) take(l line) error {
	if l.first && l.last && bytes.HasPrefix(l.text, []byte("--")) {
		if at, final := s.match(l.text); at >= 0 {
			return s.delimit(l, at, final)
		}
	}
	if f := s.stack[len(s.stack)-1]; f.state == inHeader {
		return s.headerLine(f, l)
	}
	return nil
}

// match finds the innermost open multipart whose boundary line this is, or
// returns -1.
func (s *slicer) match(text []byte) (at int, final bool) {
	text = bytes.TrimRight(text[2:], " \t\r")
	if len(text) > MaxBoundary+2 {
		return -1, false
	}
	for i := len(s.stack) - 1; i >= 0; i-- {
		f := s.stack[i]
		b := f.part.boundary
		if b == "" || len(text) < len(b) || string(text[:len(b)]) != b {
			continue
		}
		final = string(text[len(b):]) == "--"
		if !final && len(text) > len(b) {
			continue
		}
		if f.state != inEpilogue {
			return i, final
		}
		if !final {
			f.part.ambiguous = "goes on after its closing boundary"
		}
	}
	return -1, false
}

// delimit ends what stands within the multipart at that place of the stack and
// begins its next part, or its epilogue.
func (s *slicer) delimit(l line, at int, final bool) error {
	f := s.stack[at]
	d := delimiter{start: l.start, text: l.start + int64(len(l.text)), end: l.next(), form: exact}
	switch rest := bytes.TrimRight(l.text, " \t"); {
	case l.eol != 2 || bytes.HasSuffix(rest, []byte("\r")):
		d.form = odd
	case len(rest) < len(l.text):
		d.form = padded
	}
	top := s.stack[len(s.stack)-1]
	if top.state != inHeader && l.start-int64(s.prevEOL) >= top.part.BodyStart {
		d.lead = s.prevEOL
	}
	if d.lead == 1 {
		d.form = odd
	}
	if err := s.leave(at+1, l.start-int64(d.lead)); err != nil {
		return err
	}
	if f.state == inPreamble {
		f.part.Preamble = Range{f.part.BodyStart, l.start - int64(d.lead)}
	}
	if final {
		f.state = inEpilogue
		f.part.Closed = true
		f.part.closing = d
		f.part.Epilogue = Range{d.end, d.end}
		return nil
	}
	f.state = inParts
	kind := "text/plain"
	if f.part.MediaType == "multipart/digest" {
		kind = "message/rfc822"
	}
	return s.begin(&Part{Offset: d.end, delimiter: d}, f.part, kind)
}

// leave ends the parts from that place of the stack upward.
func (s *slicer) leave(from int, end int64) error {
	// A part that ends within its header may be a multipart or a message:
	// endHeader then puts what it holds on the stack too.
	for n := -1; n != len(s.stack); {
		n = len(s.stack)
		if f := s.stack[n-1]; n > from && f.state == inHeader {
			f.part.plain = false
			if err := s.endHeader(f, end); err != nil {
				return err
			}
		}
	}
	for _, f := range s.stack[from:] {
		p := f.part
		p.BodyEnd = max(end, p.BodyStart)
		switch f.state {
		case inPreamble:
			p.Preamble = Range{p.BodyStart, p.BodyEnd}
		case inEpilogue:
			p.Epilogue.Start = min(p.Epilogue.Start, p.BodyEnd)
			p.closing.end = min(p.closing.end, p.BodyEnd)
			p.Epilogue.End = p.BodyEnd
		}
	}
	s.stack = s.stack[:from]
	return nil
}

// begin puts a new part, whose header comes next, on the stack.
func (s *slicer) begin(p, parent *Part, kind string) error {
	if s.parts++; s.parts > MaxParts {
		return &LimitError{"parts in one message", MaxParts}
	}
	if len(s.stack) > MaxDepth {
		return &LimitError{"levels of parts within parts", MaxDepth}
	}
	p.plain = true
	p.MediaType = kind
	p.BodyStart = p.Offset
	parent.Parts = append(parent.Parts, p)
	s.stack = append(s.stack, &frame{part: p})
	return nil
}

// headerLine takes a line, or a piece of one, of a header block.
func (s *slicer) headerLine(f *frame, l line) error {
	s.headers += len(l.text)
	if s.headers > MaxHeaders {
		return &LimitError{"bytes in the header fields of all parts", MaxHeaders}
	}
	if len(f.block)+len(l.text) > MaxPartHeader {
		return &LimitError{"bytes in the header of one part", MaxPartHeader}
	}
	f.block = append(f.block, l.text...)
	if !l.last {
		return nil
	}
	whole := f.block[f.line:]
	text := bytes.TrimRight(whole, "\r")
	if len(text) < len(whole) || l.eol != 2 {
		f.part.plain = false
	}
	f.block = append(f.block[:f.line+len(text)], "\r\n"...)
	start := l.next() - int64(l.eol) - int64(len(whole))
	switch {
	case len(text) == 0:
		f.block = f.block[:f.line]
		return s.endHeader(f, l.next())
	case (text[0] == ' ' || text[0] == '\t') && len(f.ends) > 0:
		f.ends[len(f.ends)-1] = len(f.block)
	case fieldName(text) != "":
		if s.fields++; s.fields > maxFields {
			return &LimitError{"header fields in the parts of one message", maxFields}
		}
		f.ends = append(f.ends, len(f.block))
	default:
		// As Postfix and others do: what can't be a field begins the body.
		f.block = f.block[:f.line]
		f.part.plain = false
		f.part.ambiguous = "has a malformed header"
		return s.endHeader(f, start)
	}
	f.line = len(f.block)
	return nil
}

// endHeader ends the header block of the part on top of the stack, whose body
// begins at start.
func (s *slicer) endHeader(f *frame, start int64) error {
	p := f.part
	p.BodyStart = start
	from := 0
	if len(f.ends) > 0 {
		p.Header = make(Header, 0, len(f.ends))
	}
	for _, end := range f.ends {
		raw := f.block[from:end:end]
		p.Header = append(p.Header, Field{Name: fieldName(raw), Raw: raw})
		from = end
	}
	f.block, f.ends = nil, nil
	return s.enter(f)
}

// open puts the root on the stack.
func (s *slicer) open(root *Part, kind string) error {
	root.MediaType = kind
	f := &frame{part: root}
	s.stack = append(s.stack, f)
	return s.enter(f)
}

// enter says from a part's header what its body is.
func (s *slicer) enter(f *frame) error {
	p := f.part
	f.state = inBody
	p.describe()
	for _, above := range s.stack[:len(s.stack)-1] {
		b := above.part.boundary
		if b != "" && p.boundary != "" && (p.boundary == b || p.boundary == b+"--" || p.boundary+"--" == b) {
			// Some programs take such a line for the inner one's, some for the outer one's.
			p.ambiguous = "has the boundary of a multipart around it"
			p.boundary = ""
		}
	}
	if s.params += len(p.Params); s.params > maxParams {
		return &LimitError{"Content-Type parameters in one message", maxParams}
	}
	switch {
	case p.boundary != "":
		f.state = inPreamble
	case (p.MediaType == "message/rfc822" || p.MediaType == "message/global") && identity(p.Encoding):
		f.state = inParts
		return s.begin(&Part{Offset: p.BodyStart}, p, "text/plain")
	}
	return nil
}

// describe sets what Content-Type and Content-Transfer-Encoding say.
// MediaType holds the default.
func (p *Part) describe() {
	p.Encoding = "7bit"
	if fields := p.Header.Fields("Content-Transfer-Encoding"); len(fields) > 0 {
		p.Encoding = encodingOf(fields[0])
		for _, f := range fields[1:] {
			if e := encodingOf(f); e != p.Encoding && !(identity(e) && identity(p.Encoding)) {
				p.ambiguous = "has two different Content-Transfer-Encoding fields"
			}
		}
	}
	fields := p.Header.Fields("Content-Type")
	if len(fields) == 0 {
		return
	}
	for _, f := range fields[1:] {
		if !strings.EqualFold(f.Value(), fields[0].Value()) {
			p.ambiguous = "has two different Content-Type fields"
		}
	}
	t := parseContentType(fields[0].Value())
	p.MediaType, p.Params = t.media, t.values()
	if !p.IsMultipart() {
		return
	}
	if t.conflicts("boundary") {
		p.ambiguous = "has two different boundaries"
	}
	b := strings.TrimRight(p.Params["boundary"], " \t")
	if strings.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' }) {
		p.ambiguous = "has a boundary of characters that are not allowed"
	}
	if len(b) <= MaxBoundary {
		p.boundary = b
	}
}

// encodingOf returns the first word of a Content-Transfer-Encoding field.
func encodingOf(f Field) string {
	v := strings.ToLower(f.Value())
	if i := strings.IndexAny(v, " \t;("); i >= 0 {
		v = v[:i]
	}
	return strings.Trim(v, `"'`)
}

// identity reports whether a body of that encoding is the data as it is, in
// the words of RFC 2045, Section 6.2 and in those that programs use for them.
func identity(encoding string) bool {
	switch encoding {
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits", "none":
		return true
	}
	return false
}
