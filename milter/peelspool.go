package milter

import (
	"errors"
	"fmt"
	"io"

	"waxseal/signer"
)

// defaultMaxPlain bounds what all layers of a message come to, in bytes, where
// nothing else is set.
const defaultMaxPlain = 256 << 20

// errTooMuch says that a layer holds more than is taken.
var errTooMuch = errors.New("what is inside is too large")

// layerSpool is where the content of a layer goes: a spool that takes no more
// than a message may become.
type layerSpool struct {
	*Spool
	p   *peeler
	err error // of the spool, not of the limit
	// What ends its lines.
	crlf, lf int64
	last     byte
	// converted says that asMail has put another content in its place.
	converted bool
}

func (p *peeler) newLayer() *layerSpool { return &layerSpool{Spool: p.tx.NewSpool(), p: p} }

// room is how many more bytes the layers of the message may come to, and one of
// them. A message that the MTA would refuse is left as it came, so its sender
// gets no answer that depends on a key.
func (p *peeler) room() int64 {
	room := p.f.MaxPlain
	if room <= 0 {
		room = defaultMaxPlain
	}
	room = max(room-p.spooled, 0)
	if p.f.MaxResult > 0 {
		room = min(room, p.f.MaxResult)
	}
	return room
}

func (s *layerSpool) room() int64 {
	room := s.p.room()
	if s.p.f.MaxResult > 0 {
		room = min(room, max(s.p.f.MaxResult-s.Size(), 0))
	}
	return room
}

// Write appends b, or fails with errTooMuch or an error of the spool.
func (s *layerSpool) Write(b []byte) (int, error) {
	if int64(len(b)) > s.room() {
		return 0, errTooMuch
	}
	for _, c := range b {
		if c == '\n' {
			if s.last == '\r' {
				s.crlf++
			} else {
				s.lf++
			}
		}
		s.last = c
	}
	n, err := s.Spool.Write(b)
	s.p.spooled += int64(n)
	if err != nil {
		s.err = err
	}
	return n, err
}

// asMail returns the content with the line ends of mail. Some programs encrypt
// text with the line ends of Unix, which the MTA would make those of mail: what
// is verified has to be what is delivered.
func (s *layerSpool) asMail() (signer.Source, error) {
	if s.crlf > 0 || s.lf == 0 {
		return s.Spool, nil
	}
	text := s.p.tx.NewSpool()
	buffer, out := make([]byte, 32<<10), make([]byte, 0, 64<<10)
	for at := int64(0); at < s.Size(); {
		n, err := s.ReadAt(buffer[:min(int64(len(buffer)), s.Size()-at)], at)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("look into a layer: %w", err)
		}
		at += int64(n)
		out = out[:0]
		for _, c := range buffer[:n] {
			if c == '\n' {
				out = append(out, '\r')
			}
			out = append(out, c)
		}
		if _, err := text.Write(out); err != nil {
			return nil, tempfail(CauseSpool, err)
		}
	}
	s.converted = true
	s.Spool.Close()
	return text, nil
}
