package signer

import (
	"bytes"
	"encoding/binary"
)

// maxTransitLine is how long a line may be that passes every MTA: RFC 5322,
// Section 2.1.1, without the CRLF.
const maxTransitLine = 998

// survey is what stands in a run of bytes that mail may not carry. It is a
// writer that counts.
type survey struct {
	size   int64
	eight  int64 // bytes above 127
	nul    int64
	crlf   int64
	bareCR int64
	bareLF int64

	long     bool // a line is too long
	trailing bool // a line ends with white space
	from     bool // a line begins with "From "

	line    int64   // length of the line so far, CR included
	tail    [2]byte // its last bytes
	fromLen int     // how much of "From " it begins with, -1 for no
}

// hard reports whether there is something that no mail may have.
func (s *survey) hard() bool {
	return s.eight > 0 || s.nul > 0 || s.bareCR > 0 || s.bareLF > 0 || s.long
}

// soft reports whether there is something that PGP/MIME may not have (RFC 3156,
// Section 5).
func (s *survey) soft() bool { return s.trailing || s.from }

// unix reports whether all lines end with LF alone.
func (s *survey) unix() bool { return s.bareLF > 0 && s.crlf == 0 && s.bareCR == 0 }

// Write surveys p. It never returns an error.
func (s *survey) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	if n := countEight(p); n > 0 {
		s.eight += int64(n)
	}
	if bytes.IndexByte(p, 0) >= 0 {
		s.nul += int64(bytes.Count(p, []byte{0}))
	}
	s.bareCR += int64(bytes.Count(p, []byte{'\r'}))
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		text := rest
		if i >= 0 {
			text = rest[:i]
		}
		s.begin(text)
		s.line += int64(len(text))
		switch n := len(text); {
		case n >= 2:
			s.tail = [2]byte{text[n-2], text[n-1]}
		case n == 1:
			s.tail = [2]byte{s.tail[1], text[0]}
		}
		if i < 0 {
			break
		}
		s.lineEnd()
		rest = rest[i+1:]
	}
	return len(p), nil
}

// begin looks for "From " at the front of a line, of which text is the next
// piece.
func (s *survey) begin(text []byte) {
	const from = "From "
	if s.line == 0 {
		s.fromLen = 0
	}
	for _, c := range text {
		if s.fromLen < 0 || s.from {
			return
		}
		if c != from[s.fromLen] {
			s.fromLen = -1
			return
		}
		if s.fromLen++; s.fromLen == len(from) {
			s.from = true
		}
	}
}

// lineEnd takes an LF.
func (s *survey) lineEnd() {
	last := s.tail[1]
	if s.line > 0 && last == '\r' {
		s.crlf++
		s.bareCR--
		s.line--
		last = s.tail[0]
	} else {
		s.bareLF++
	}
	s.judge(last)
	s.line, s.tail = 0, [2]byte{}
}

// finish takes the end of the run, where a line may end too.
func (s *survey) finish() { s.judge(s.tail[1]) }

func (s *survey) judge(last byte) {
	if s.line > maxTransitLine {
		s.long = true
	}
	if s.line > 0 && (last == ' ' || last == '\t') {
		s.trailing = true
	}
}

// countEight counts the bytes above 127, fast if there are none.
func countEight(p []byte) int {
	const high = 0x8080808080808080
	i := 0
	for ; i+32 <= len(p); i += 32 {
		q := p[i : i+32]
		if (binary.LittleEndian.Uint64(q)|binary.LittleEndian.Uint64(q[8:])|
			binary.LittleEndian.Uint64(q[16:])|binary.LittleEndian.Uint64(q[24:]))&high != 0 {
			break
		}
	}
	n := 0
	for _, c := range p[i:] {
		n += int(c >> 7)
	}
	return n
}
