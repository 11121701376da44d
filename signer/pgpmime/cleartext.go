package pgpmime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"waxseal/signer"
)

const (
	cleartextBegin = "-----BEGIN PGP SIGNED MESSAGE-----"
	cleartextEnd   = "-----BEGIN PGP SIGNATURE-----"
	// maxCleartextLine is the length of a line in clear-signed text, in bytes.
	maxCleartextLine = 256 << 10
)

// Cleartext is what was found in a clear-signed text.
type Cleartext struct {
	// Block is where the signed text stands, from its first dash to the end of
	// the line that ends its signature. What is outside is not signed.
	Block signer.Range
	// Alone says that nothing but white space is outside.
	Alone bool
	// Signatures is what was found about each signature over the text.
	Signatures []signer.Verification
}

// VerifyClearsigned verifies the first text in src that is signed in the
// cleartext signature framework (RFC 9580, Section 7) and writes to w exactly
// what the signatures are over: the lines without their dash-escapes and without
// the white space at their ends, with CRLF between them. The transfer encoding
// of src has to be undone, and its charset does not matter.
//
// The error is ErrMalformed if there is no such text or one that programs may
// read in different ways, ErrTooLarge, or one of src and w.
func VerifyClearsigned(w io.Writer, src signer.Source, certificates []*Certificate, o VerifyOptions) (*Cleartext, error) {
	in := &source{r: io.NewSectionReader(src, 0, src.Size())}
	outline, err := readCleartext(in, orDefaultSize(o.MaxSize))
	if in.err != nil {
		return nil, fmt.Errorf("read clear-signed text: %w", in.err)
	}
	if err != nil {
		return nil, err
	}
	v := o.verifier(certificates)
	claims, excess, err := readSignatures(outline.signature)
	if err != nil {
		claims = nil
	}
	d := digests{}
	for i := range claims {
		d.add(claims[i].digestKey())
	}
	// The signatures stand behind the text, so it is read a second time.
	in = &source{r: io.NewSectionReader(src, outline.text.Start, outline.text.Len())}
	out := &sink{w: w, limit: orDefaultSize(o.MaxSize)}
	copyErr := copyCleartext(io.MultiWriter(d, out), in)
	switch {
	case in.err != nil:
		return nil, fmt.Errorf("read clear-signed text: %w", in.err)
	case out.err != nil:
		return nil, out.err
	case errors.Is(copyErr, errTooMuch):
		return nil, fmt.Errorf("%w: at most %d bytes of text are taken", ErrTooLarge, out.limit)
	case copyErr != nil:
		return nil, copyErr
	}
	found := &Cleartext{Block: outline.block, Alone: outline.alone}
	if err != nil {
		found.Signatures = []signer.Verification{malformedSignature(err.Error())}
	} else {
		found.Signatures = v.all(claims, d, excess)
	}
	return found, nil
}

// cleartextOutline is where the parts of a clear-signed text are.
type cleartextOutline struct {
	block, text signer.Range
	alone       bool
	signature   []byte
}

// lines reads lines and counts bytes.
type lineReader struct {
	r      *bufio.Reader
	offset int64 // of the next line
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, maxCleartextLine)}
}

// next returns the next line less the white space at its end (RFC 9580, Section
// 7.2), and io.EOF after the last.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	l.offset += int64(len(line))
	switch {
	case err == io.EOF && len(line) > 0:
		err = nil
	case errors.Is(err, bufio.ErrBufferFull):
		err = malformed("a line that is too long")
	}
	return bytes.TrimRight(line, " \t\r\n"), err
}

// readCleartext finds the parts.
func readCleartext(r io.Reader, limit int64) (*cleartextOutline, error) {
	o := &cleartextOutline{alone: true}
	l := newLineReader(r)
	start := func(what string) (int64, error) { // of the line that begins with what
		for {
			at := l.offset
			line, err := l.next()
			if err == io.EOF {
				return 0, malformed("no clear-signed text")
			}
			if err != nil {
				return 0, err
			}
			if string(line) == what {
				return at, nil
			}
			o.alone = o.alone && len(line) == 0
		}
	}
	var err error
	if o.block.Start, err = start(cleartextBegin); err != nil {
		return nil, err
	}
	if err := readHashHeaders(l); err != nil {
		return nil, err
	}
	o.text.Start = l.offset
	for {
		at := l.offset
		line, err := l.next()
		if err == io.EOF {
			return nil, malformed("a clear-signed text without a signature")
		}
		if err != nil {
			return nil, err
		}
		if string(line) == cleartextEnd {
			o.text.End = at
			o.signature = append(o.signature, cleartextEnd+"\n"...)
			break
		}
		// Programs don't agree on where the text ends if this one is allowed.
		if len(line) > 0 && line[0] == '-' && !bytes.HasPrefix(line, []byte("- ")) && string(line) != "-" {
			return nil, malformed("a line in clear-signed text that begins with a dash")
		}
		if l.offset-o.text.Start > 2*limit {
			return nil, fmt.Errorf("%w: at most %d bytes of text are taken", ErrTooLarge, limit)
		}
	}
	for {
		line, err := l.next()
		if err == io.EOF {
			return nil, malformed("a clear-signed text whose signature has no end")
		}
		if err != nil {
			return nil, err
		}
		o.signature = append(append(o.signature, line...), '\n')
		if len(o.signature) > maxSignatures {
			return nil, malformed("a clear-signed text whose signature is too long")
		}
		if string(line) == "-----END PGP SIGNATURE-----" {
			break
		}
	}
	o.block.End = l.offset
	for o.alone {
		line, err := l.next()
		if err == io.EOF {
			break
		}
		o.alone = err == nil && len(line) == 0
	}
	return o, nil
}

// readHashHeaders reads the headers and the empty line behind them. Others than
// Hash would be taken for signed text. RFC 9580, Section 7.
func readHashHeaders(l *lineReader) error {
	for range 64 {
		line, err := l.next()
		if err == io.EOF {
			return malformed("a clear-signed text without a text")
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		names, ok := strings.CutPrefix(string(line), "Hash: ")
		if !ok || strings.Trim(names, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, ") != "" {
			return malformed("a clear-signed text with a header that is not allowed")
		}
	}
	return malformed("a clear-signed text with too many headers")
}

// copyCleartext writes the text as it is signed. RFC 9580, Section 7.2: the line
// end before the signature is not part of it.
func copyCleartext(w io.Writer, r io.Reader) error {
	l := newLineReader(r)
	out := bufio.NewWriterSize(w, 32<<10)
	for first := true; ; first = false {
		line, err := l.next()
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if !first {
			if _, err := out.WriteString("\r\n"); err != nil {
				return err
			}
		}
		switch {
		case bytes.HasPrefix(line, []byte("- ")):
			line = line[2:]
		case string(line) == "-": // the space after it has gone
			line = nil
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}
