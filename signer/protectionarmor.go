package signer

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
)

const (
	armorBegin     = "-----BEGIN PGP "
	armorMessage   = "MESSAGE-----"
	armorSignature = "SIGNATURE-----"
	armorSigned    = "SIGNED MESSAGE-----"
)

var errArmor = errors.New("malformed armor")

// startsArmor passes over white space and reports whether armor comes next.
func startsArmor(r *bufio.Reader) bool {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return false
		}
		if isSpace(c) {
			continue
		}
		if c != armorBegin[0] {
			return false
		}
		if err := r.UnreadByte(); err != nil {
			return false
		}
		start, _ := r.Peek(len(armorBegin))
		return string(start) == armorBegin
	}
}

func startsClearSigned(r *bufio.Reader) bool {
	start, _ := r.Peek(len(armorBegin + armorSigned))
	return string(start) == armorBegin+armorSigned
}

// readMessageArmor checks that r is an encrypted OpenPGP message in armor, and
// white space.
func readMessageArmor(r *bufio.Reader) error {
	return readArmor(r, armorMessage, readEncrypted)
}

// readSignatureArmor checks that r is OpenPGP signatures in armor, and white
// space.
func readSignatureArmor(r *bufio.Reader) error {
	return readArmor(r, armorSignature, readSignatures)
}

func readArmor(r *bufio.Reader, kind string, read func(io.Reader) error) error {
	if !startsArmor(r) {
		return errors.New("no armor at its beginning")
	}
	a := &armorReader{r: r, kind: kind}
	line, err := a.line()
	if err != nil {
		return err
	}
	if string(line) != armorBegin+kind {
		return errors.New("armor of another kind")
	}
	if err := armorHeaders(r, func(string) bool { return true }); err != nil {
		return err
	}
	a.crc, a.table = crc24Init, crc24Table()
	if err := read(a); err != nil {
		return err
	}
	// All has been read; this makes sure of the end of the armor.
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		return errArmor
	}
	return nil
}

// readClearSigned checks that r is a text in the cleartext signature framework
// (RFC 9580, Section 7), with its signature at the end.
func readClearSigned(r *bufio.Reader) error {
	a := &armorReader{r: r}
	if line, err := a.line(); err != nil || string(line) != armorBegin+armorSigned {
		return errArmor
	}
	if err := armorHeaders(r, func(key string) bool { return key == "Hash" }); err != nil {
		return err
	}
	for {
		if start, _ := r.Peek(2); len(start) > 0 && start[0] == '-' && string(start) != "- " {
			break
		}
		switch err := skipLine(r); {
		case err == io.EOF:
			return errors.New("no signature")
		case err != nil:
			return err
		}
	}
	if start, _ := r.Peek(len(armorBegin)); string(start) != armorBegin {
		return errors.New("line that begins with a dash")
	}
	return readSignatureArmor(r)
}

// skipLine passes over a line of any length.
func skipLine(r *bufio.Reader) error {
	for {
		_, err := r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// armorHeaders reads the armor headers and the empty line after them (RFC 9580,
// Section 6.2.2). They are not part of what is encrypted, so they are kept few.
func armorHeaders(r *bufio.Reader, allowed func(key string) bool) error {
	a := &armorReader{r: r}
	for size := 0; ; {
		line, err := a.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		key, _, ok := strings.Cut(string(line), ":")
		if size += len(line); !ok || !isToken(key) || !allowed(key) || size > maxNote {
			return errArmor
		}
	}
}

// armorReader decodes the base64 lines of armor (RFC 9580, Section 6) and then
// makes sure of the checksum, if there is one, the last line, and that nothing
// but white space follows.
type armorReader struct {
	r      *bufio.Reader
	kind   string
	text   [4<<10 + 4]byte // base64 that is not decoded; first what is left over
	left   int
	out    [3<<10 + 3]byte
	ready  []byte
	padded bool
	crc    uint32
	table  *[256]uint32
	err    error
}

// line returns the next line without the white space at its end.
func (a *armorReader) line() ([]byte, error) {
	line, err := a.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errArmor
	case err == io.EOF && len(line) > 0:
		err = nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return bytes.TrimRight(line, " \t\r\n"), err
}

func (a *armorReader) Read(p []byte) (int, error) {
	for len(a.ready) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.err = a.fill()
	}
	n := copy(p, a.ready)
	a.ready = a.ready[n:]
	return n, nil
}

// fill reads a line.
func (a *armorReader) fill() error {
	line, err := a.line()
	switch {
	case err != nil:
		return err
	case len(line) == 0:
		return nil
	case line[0] == '-':
		return a.finish(line)
	case line[0] == '=' && len(line) == 5:
		return a.checksum(line[1:])
	case a.padded || a.left+len(line) > len(a.text):
		return errArmor
	}
	size := a.left + copy(a.text[a.left:], line)
	whole := size / 4 * 4
	decoded, err := base64.StdEncoding.Strict().Decode(a.out[:], a.text[:whole])
	if err != nil {
		return errArmor
	}
	a.padded = decoded < whole/4*3
	a.left = copy(a.text[:], a.text[whole:size])
	a.ready = a.out[:decoded]
	a.crc = crc24(a.table, a.crc, a.ready)
	return nil
}

// checksum compares the CRC line; the line after it must be the last.
func (a *armorReader) checksum(text []byte) error {
	var sum [3]byte
	if n, err := base64.StdEncoding.Decode(sum[:], text); err != nil || n != len(sum) {
		return errArmor
	}
	if uint32(sum[0])<<16|uint32(sum[1])<<8|uint32(sum[2]) != a.crc {
		return errors.New("wrong checksum of its armor")
	}
	line, err := a.line()
	if err != nil {
		return err
	}
	return a.finish(line)
}

// finish checks the last line and what follows it. If all is well it returns
// io.EOF.
func (a *armorReader) finish(line []byte) error {
	if a.left > 0 || string(line) != "-----END PGP "+a.kind {
		return errArmor
	}
	for {
		c, err := a.r.ReadByte()
		if err != nil {
			return err
		}
		if !isSpace(c) {
			return errors.New("text after its armor")
		}
	}
}

const crc24Init = 0xb704ce // RFC 9580, Section 6.1.1

// crc24Table is what each value of the leading byte does to the checksum.
func crc24Table() *[256]uint32 {
	var table [256]uint32
	for i := range table {
		crc := uint32(i) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
		table[i] = crc
	}
	return &table
}

func crc24(table *[256]uint32, crc uint32, data []byte) uint32 {
	for _, c := range data {
		crc = crc<<8&0xffffff ^ table[byte(crc>>16)^c]
	}
	return crc
}
