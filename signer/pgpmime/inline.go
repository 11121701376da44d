package pgpmime

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"waxseal/signer"
)

// Inline is an armored block in a text.
type Inline struct {
	// Kind is "MESSAGE" for what Decrypt or VerifyMessage reads, "SIGNED MESSAGE"
	// for what VerifyClearsigned reads.
	Kind string
	// Block is where it stands, from its first dash to the end of its last line.
	Block signer.Range
	// Alone says that nothing but white space is outside. What is outside is
	// neither encrypted nor signed, and must never be shown as if it were.
	Alone bool
}

// FindInline finds the first OpenPGP message in a text: encrypted or signed ones
// as programs made them before PGP/MIME. It returns nil if there is none that
// begins and ends. The transfer encoding of src has to be undone. An error is
// one of the Source's.
func FindInline(src signer.Source) (*Inline, error) {
	in := &source{r: io.NewSectionReader(src, 0, src.Size())}
	found, err := findInline(newLineReader(in))
	if in.err != nil {
		return nil, fmt.Errorf("look for an OpenPGP message: %w", in.err)
	}
	if err != nil { // a line too long for a mail
		return nil, nil
	}
	return found, nil
}

func findInline(l *lineReader) (*Inline, error) {
	found := &Inline{Alone: true}
	var end string
	for {
		at := l.offset
		line, err := l.next()
		switch {
		case err == io.EOF && end == "" && found.Kind != "":
			return found, nil
		case err == io.EOF:
			return nil, nil
		case err != nil && end == "" && found.Kind != "":
			found.Alone = false
			return found, nil
		case err != nil:
			return nil, errors.New("a line that is too long")
		}
		switch text := string(line); {
		case found.Kind == "": // before it
			kind, ok := strings.CutPrefix(text, "-----BEGIN PGP ")
			switch kind, closed := strings.CutSuffix(kind, "-----"); {
			case ok && closed && kind == kindMessage:
				found.Kind, found.Block.Start, end = kind, at, "-----END PGP MESSAGE-----"
			case ok && closed && kind == "SIGNED MESSAGE":
				found.Kind, found.Block.Start, end = kind, at, "-----END PGP SIGNATURE-----"
			default:
				found.Alone = found.Alone && len(line) == 0
			}
		case end == "": // behind it
			found.Alone = found.Alone && len(line) == 0
			if !found.Alone {
				return found, nil
			}
		case text == end:
			found.Block.End, end = l.offset, ""
		}
	}
}
