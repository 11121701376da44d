package pgpmime

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
)

// Bounds for armor that is read as a stream, in bytes.
const (
	armorBuffer     = 64 << 10
	maxArmorLead    = 64 << 10 // what stands before the first line
	maxArmorHeaders = 16 << 10
)

const (
	kindMessage   = "MESSAGE"
	kindSignature = "SIGNATURE"
)

// errArmor is what is wrong with all broken armor.
var errArmor = errors.New("its armor is broken")

// dearmorReader decodes ASCII armor (RFC 9580, Section 6.2) as a stream. The
// checksum is not looked at, as Section 6.1 wants it: what is inside has better
// ones.
type dearmorReader struct {
	r      *bufio.Reader
	kind   string // "MESSAGE"
	inLine bool   // what was read last did not end its line
	text   []byte // base64 that is still to be decoded, less than four characters
	out    []byte
	ready  []byte
	padded bool
	err    error
}

// unarmor returns the packets of r, which may be armored or not, and the kind of
// armor; "" if there is none.
func unarmor(r io.Reader) (packets *bufio.Reader, kind string, err error) {
	in := bufio.NewReaderSize(r, armorBuffer)
	first, err := in.Peek(1)
	if err != nil {
		return nil, "", errOrTruncated(err)
	}
	if first[0]&0x80 != 0 {
		if bom, _ := in.Peek(3); string(bom) != "\xef\xbb\xbf" {
			return in, "", nil
		}
	}
	d := &dearmorReader{r: in}
	if err := d.begin(); err != nil {
		return nil, "", err
	}
	return bufio.NewReaderSize(d, armorBuffer), d.kind, nil
}

// errOrTruncated says of an end that comes too early that it does.
func errOrTruncated(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// begin reads up to the empty line after the armor headers.
func (d *dearmorReader) begin() error {
	for lead := 0; d.kind == ""; {
		line, err := d.line()
		if err != nil {
			return err
		}
		if lead += len(line) + 1; lead > maxArmorLead {
			return errArmor
		}
		if rest, ok := strings.CutPrefix(string(line), "-----BEGIN PGP "); ok {
			d.kind, ok = strings.CutSuffix(rest, "-----")
			if !ok || d.kind == "" {
				return errArmor
			}
		}
	}
	for headers := 0; ; {
		line, err := d.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if headers += len(line); headers > maxArmorHeaders || !bytes.Contains(line, []byte(":")) {
			return errArmor
		}
	}
}

// line returns the next line less the white space at its end; of a very long
// one, a piece.
func (d *dearmorReader) line() ([]byte, error) {
	line, err := d.r.ReadSlice('\n')
	d.inLine = errors.Is(err, bufio.ErrBufferFull)
	switch {
	case d.inLine, err == io.EOF && len(line) > 0:
		err = nil
	case err != nil:
		return nil, errOrTruncated(err)
	}
	return bytes.TrimRight(line, " \t\r\n"), err
}

// Read decodes.
func (d *dearmorReader) Read(p []byte) (int, error) {
	for len(d.ready) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.err = d.fill()
	}
	n := copy(p, d.ready)
	d.ready = d.ready[n:]
	return n, nil
}

// fill decodes a line.
func (d *dearmorReader) fill() error {
	midLine := d.inLine
	line, err := d.line()
	switch {
	case err != nil:
		return err
	case len(line) == 0:
		return nil
	case !midLine && line[0] == '-':
		return d.end(line)
	case !midLine && line[0] == '=' && len(line) == 5:
		line, err := d.line()
		for err == nil && len(line) == 0 {
			line, err = d.line()
		}
		if err != nil {
			return err
		}
		return d.end(line)
	case d.padded:
		return errArmor
	}
	if len(d.text) > 0 {
		d.text = append(d.text, line...)
		line = d.text
	}
	whole := len(line) / 4 * 4
	if need := whole / 4 * 3; cap(d.out) < need {
		d.out = make([]byte, need)
	}
	n, err := base64.StdEncoding.Decode(d.out[:cap(d.out)], line[:whole])
	if err != nil {
		return errArmor
	}
	d.padded = n < whole/4*3
	d.text = append(d.text[:0], line[whole:]...)
	d.ready = d.out[:n]
	return nil
}

// end checks the tail line.
func (d *dearmorReader) end(line []byte) error {
	if len(d.text) > 0 || string(line) != "-----END PGP "+d.kind+"-----" {
		return errArmor
	}
	return io.EOF
}
