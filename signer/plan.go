package signer

import (
	"bytes"
	"fmt"
	"io"
)

// coding is what becomes of a run of bytes on its way out.
type coding int

const (
	asIs                coding = iota
	crlf                       // LF becomes CRLF
	quotedPrintable            // encoded
	quotedPrintableUnix        // encoded, LF being the line end
	quotedRepaired             // quoted-printable that gets what it lacks
	base64Coded
	base64Unix     // encoded with CRLF for LF
	base64Repaired // base64 that is decoded and encoded anew
)

// coder returns a writer that writes to w what it gets, some size bytes, in that
// coding. Its Close does not close w.
func (c coding) coder(w io.Writer, size int64) io.WriteCloser {
	buffer := int(min(blockSize/2, 4*size+16))
	switch c {
	case crlf:
		return newLineEndWriter(w, buffer)
	case quotedPrintable:
		return newQuotedWriter(w, buffer, false, false)
	case quotedPrintableUnix:
		return newQuotedWriter(w, buffer, true, false)
	case quotedRepaired:
		return newQuotedWriter(w, buffer, true, true)
	case base64Coded:
		return NewBase64Writer(w)
	case base64Unix:
		b := NewBase64Writer(w)
		return &closers{newLineEndWriter(b, buffer), b}
	}
	return newBase64Decoder(NewBase64Writer(w), buffer) // base64Repaired
}

// closers is a writer above another one: Close closes both.
type closers struct {
	io.WriteCloser
	below io.Closer
}

func (c *closers) Close() error {
	if err := c.WriteCloser.Close(); err != nil {
		return err
	}
	return c.below.Close()
}

// segment is bytes of its own, or a run of the Source in some coding.
type segment struct {
	text   []byte
	run    Range
	coding coding
}

// plan is a Content made of segments: some 50 bytes each and their texts, of a
// Source of any size.
type plan struct {
	src      Source
	segments []segment
	size     int64

	codedEnded bool // the last coded run ended with a line end
}

// Size is the number of bytes that WriteTo writes.
func (p *plan) Size() int64 { return p.size }

// WriteTo writes the segments through buffers of some 200 KiB at most. It may
// be called many times, at the same time too.
func (p *plan) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	var block []byte
	for i := range p.segments {
		s := &p.segments[i]
		if s.text != nil {
			if _, err := c.Write(s.text); err != nil {
				return c.n, err
			}
			continue
		}
		if block == nil {
			block = make([]byte, min(blockSize, p.longest()))
		}
		if err := p.copy(c, s, block); err != nil {
			return c.n, err
		}
	}
	return c.n, nil
}

// longest is the length of the longest run.
func (p *plan) longest() int64 {
	n := int64(1)
	for i := range p.segments {
		n = max(n, p.segments[i].run.Len())
	}
	return n
}

// copy writes one run of the Source to w in its coding.
func (p *plan) copy(w io.Writer, s *segment, block []byte) error {
	if s.coding == asIs {
		return copyRange(w, p.src, s.run, block)
	}
	c := s.coding.coder(w, s.run.Len())
	if err := copyRange(c, p.src, s.run, block); err != nil {
		return err
	}
	return c.Close()
}

// copyRange writes a run of the Source to w, a block at a time.
func copyRange(w io.Writer, src Source, r Range, block []byte) error {
	for r.Len() > 0 {
		b := block[:min(int64(len(block)), r.Len())]
		if err := readFull(src, b, r.Start); err != nil {
			return fmt.Errorf("read message body: %w", err)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		r.Start += int64(len(b))
	}
	return nil
}

// counter counts what goes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// text adds bytes to the plan.
func (p *plan) text(s string) {
	if s == "" {
		return
	}
	p.size += int64(len(s))
	if n := len(p.segments); n > 0 && p.segments[n-1].text != nil {
		p.segments[n-1].text = append(p.segments[n-1].text, s...)
		return
	}
	p.segments = append(p.segments, segment{text: []byte(s)})
}

// run adds a run of the Source as it is.
func (p *plan) run(r Range) {
	if r.Len() <= 0 {
		return
	}
	p.size += r.Len()
	if n := len(p.segments); n > 0 {
		if s := &p.segments[n-1]; s.text == nil && s.coding == asIs && s.run.End == r.Start {
			s.run.End = r.End
			return
		}
	}
	p.segments = append(p.segments, segment{run: r})
}

// coded adds a run of the Source in a coding, and surveys what that gives.
func (p *plan) coded(r Range, c coding, block []byte) (*survey, error) {
	s := segment{run: r, coding: c}
	var out survey
	if err := p.copy(&out, &s, block); err != nil {
		return nil, err
	}
	out.finish()
	p.size += out.size
	p.codedEnded = out.line == 0
	if out.size > 0 {
		p.segments = append(p.segments, s)
	}
	return &out, nil
}

// atLine reports whether what comes next begins a line, as far as that can be
// told without reading: runs that are followed by something without a line end
// of its own end with one.
func (p *plan) atLine() bool {
	if len(p.segments) == 0 {
		return true
	}
	s := &p.segments[len(p.segments)-1]
	return s.text == nil || bytes.HasSuffix(s.text, []byte("\r\n"))
}

// ended reports whether the plan's last line has its end, which an empty plan
// needs no more.
func (p *plan) ended() (bool, error) {
	if len(p.segments) == 0 {
		return true, nil
	}
	s := &p.segments[len(p.segments)-1]
	switch {
	case s.text != nil:
		return bytes.HasSuffix(s.text, []byte("\r\n")), nil
	case s.coding != asIs:
		return p.codedEnded, nil
	}
	var last bytes.Buffer
	end := Range{max(s.run.Start, s.run.End-2), s.run.End}
	if err := copyRange(&last, p.src, end, make([]byte, 2)); err != nil {
		return false, err
	}
	return last.String() == "\r\n", nil
}
