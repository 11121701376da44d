package milter

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	gomilter "github.com/emersion/go-milter"

	"waxseal/signer"
)

const (
	// maxFieldLine is the hard limit of RFC 5322, Section 2.1.1. Sendmail cuts
	// longer lines of a field that a milter sets, without a word.
	maxFieldLine = 998
	// maxReplyLine is that of RFC 5321, Section 4.5.3.1.5, with the CRLF.
	maxReplyLine = 512
	// maxReplyLines is half of what libmilter allows.
	maxReplyLines = 16
)

// encodeEdits returns the packets for the edits, in order. If one of them can't
// be done, the error says which, and none is to be sent. leadingSpace says that
// the MTA does not add the space after the colon.
func encodeEdits(edits []Edit, leadingSpace bool) ([]byte, error) {
	var packets []byte
	for _, e := range edits {
		if !isEditName(e.Name) {
			return nil, fmt.Errorf("edit header: %.80q is not a field name", e.Name)
		}
		if e.Kind != Insert && e.Index < 1 {
			return nil, fmt.Errorf("edit header field %s: index %d is below 1", e.Name, e.Index)
		}
		var value string
		if e.Kind != Delete {
			var err error
			if value, err = editText(e, leadingSpace); err != nil {
				return nil, err
			}
		}
		name := []byte(e.Name + "\x00")
		body := []byte(value + "\x00")
		switch e.Kind {
		case Insert:
			packets = appendPacket(packets, byte(gomilter.ActInsertHeader), uint32Bytes(0), name, body)
		case Change, Delete: // an empty value deletes
			packets = appendPacket(packets, byte(gomilter.ActChangeHeader), uint32Bytes(e.Index), name, body)
		default:
			return nil, fmt.Errorf("edit header field %s: there is no edit of kind %d", e.Name, e.Kind)
		}
	}
	return packets, nil
}

func isEditName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return name != "" && len(name) < maxFieldLine/2
}

// editText returns the value as MTAs want it: folded with LF, and free of CR,
// which Sendmail makes a line end of, and NUL, which ends the value.
func editText(e Edit, leadingSpace bool) (string, error) {
	value := strings.ReplaceAll(strings.ReplaceAll(e.Value, "\r", ""), "\x00", "")
	value = strings.TrimRight(value, "\n")
	length := len(e.Name) + len(": ")
	for i, line := range strings.Split(value, "\n") {
		if i > 0 {
			length = 0
			if line == "" || line[0] != ' ' && line[0] != '\t' {
				return "", fmt.Errorf("edit header field %s: a line break in the value is no fold", e.Name)
			}
		}
		if length+len(line) > maxFieldLine {
			return "", fmt.Errorf("edit header field %s: a line of %d bytes: fold it", e.Name, length+len(line))
		}
	}
	// An empty value would delete the field.
	if value == "" || leadingSpace && value[0] != '\n' {
		value = " " + value
	}
	return value, nil
}

func uint32Bytes(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// encodeReply returns the packet for a reply: every line begins with code and
// enhanced status (RFC 5321, Section 4.2.1; RFC 2034, Section 4). The code is
// one of the class that goes with the action: '4' or '5'.
func encodeReply(r Reply, class byte) []byte {
	code := strconv.Itoa(r.Code)
	// 421 would end the whole SMTP session.
	if len(code) != 3 || code[0] != class || code == "421" {
		code = map[byte]string{'4': "451", '5': "550"}[class]
	}
	enhanced := r.Enhanced
	if !isEnhanced(enhanced) || enhanced[0] != class {
		enhanced = map[byte]string{'4': "4.3.0", '5': "5.7.1"}[class]
	}
	lines := replyLines(r.Text, maxReplyLine-len(code)-len(enhanced)-len("  \r\n"))
	var b strings.Builder
	for i, line := range lines {
		separator, end := "-", "\r\n"
		if i == len(lines)-1 {
			separator, end = " ", "\x00"
		}
		// The MTAs format the text: a single % is lost, or all of it.
		b.WriteString(code + separator + enhanced + " " + strings.ReplaceAll(line, "%", "%%") + end)
	}
	return []byte(b.String())
}

// isEnhanced reports whether s is an enhanced status code (RFC 3463, Section 2).
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n > 999 {
			return false
		}
	}
	return len(parts) == 3
}

// replyLines makes lines of at most size printable ASCII characters of a text.
func replyLines(text string, size int) []string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		line = printable(line)
		for len(line) > size {
			cut := strings.LastIndexByte(line[:size+1], ' ')
			if cut < size/2 {
				cut = size
			}
			lines = append(lines, strings.TrimRight(line[:cut], " "))
			line = strings.TrimLeft(line[cut:], " ")
		}
		lines = append(lines, line)
	}
	if len(lines) > maxReplyLines {
		lines = append(lines[:maxReplyLines-1], "...")
	}
	return lines
}

// printable makes printable ASCII of a line: control characters become spaces,
// other characters question marks.
func printable(line string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r > 0x7f:
			return '?'
		}
		return r
	}, line))
}

// encodeQuarantine returns the packet that has the message held.
func encodeQuarantine(reason string) []byte {
	line := replyLines(strings.ReplaceAll(reason, "\n", " "), maxReplyLine)[0]
	if line == "" {
		line = "held by policy"
	}
	return appendPacket(nil, byte(gomilter.ActQuarantine), []byte(line+"\x00"))
}

// encodeNoReturn returns the packet that leaves the sender as it is and asks for
// bounces without the body (RFC 3461, Section 4.3): the sender may not be able to
// read what is in it now.
func encodeNoReturn(sender string) []byte {
	return appendPacket(nil, byte(gomilter.ActChangeFrom), []byte("<"+sender+">\x00RET=HDRS\x00"))
}

// sendBody writes the new body in contiguous packets. Nothing else may be
// written meanwhile: Postfix refuses a message whose body packets are mixed
// with others, progress included.
func (w *wire) sendBody(body signer.Content) error {
	size := body.Size()
	c := &bodyPackets{w: w}
	c.room = make([]byte, lengthSize+1, lengthSize+1+min(max(size, 1), gomilter.MaxBodyChunk))
	n, err := body.WriteTo(c)
	if err != nil {
		return fmt.Errorf("write new body: %w", err)
	}
	if n != size || c.written != size {
		return fmt.Errorf("write new body: %d bytes instead of %d", c.written, size)
	}
	// An empty body is a body too.
	if len(c.room) > lengthSize+1 || size == 0 {
		return c.flush()
	}
	return nil
}

// bodyPackets is the io.Writer that a new body is written to.
type bodyPackets struct {
	w       *wire
	room    []byte // of one packet, which begins with length and command
	written int64
}

func (c *bodyPackets) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if len(c.room) == cap(c.room) {
			if err := c.flush(); err != nil {
				return written, err
			}
		}
		n := min(len(p), cap(c.room)-len(c.room))
		c.room = append(c.room, p[:n]...)
		p = p[n:]
		written += n
		c.written += int64(n)
	}
	return written, nil
}

func (c *bodyPackets) flush() error {
	binary.BigEndian.PutUint32(c.room, uint32(len(c.room)-lengthSize))
	c.room[lengthSize] = byte(gomilter.ActReplBody)
	err := c.w.send(c.room)
	c.room = c.room[:lengthSize+1]
	return err
}
