package signer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// message reads a message as it stands in a file; LF becomes CRLF, except
// within text that has CRLF already.
func message(t testing.TB, text string) *Message {
	t.Helper()
	if !strings.Contains(text, "\r\n") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return rawMessage(t, text)
}

// rawMessage cuts the message's header off and leaves its bytes alone.
func rawMessage(t testing.TB, text string) *Message {
	t.Helper()
	p := &Part{}
	s := &slicer{lines: newLineReader(bytes.NewReader([]byte(text)), Range{0, int64(len(text))})}
	f := &frame{part: p}
	s.stack = []*frame{f}
	for f.state == inHeader {
		l, err := s.lines.read()
		if err != nil {
			s.leave(0, int64(len(text)))
			break
		}
		if err := s.headerLine(f, l); err != nil {
			t.Fatal(err)
		}
	}
	return &Message{Header: p.Header, Body: bytes.NewReader([]byte(text[p.BodyStart:]))}
}

// outline shows a tree: type, encoding, and what stands in the leaves.
func outline(p *Part, body string) string {
	var b strings.Builder
	var walk func(p *Part, depth int)
	walk = func(p *Part, depth int) {
		fmt.Fprintf(&b, "%s%s %s", strings.Repeat(" ", depth), p.MediaType, p.Encoding)
		if p.IsMultipart() {
			fmt.Fprintf(&b, " %q %q closed=%t", body[p.Preamble.Start:p.Preamble.End], body[p.Epilogue.Start:p.Epilogue.End], p.Closed)
		}
		if p.IsLeaf() {
			fmt.Fprintf(&b, " %q", body[p.BodyStart:p.BodyEnd])
		}
		if p.ambiguous != "" {
			b.WriteString(" (" + p.ambiguous + ")")
		}
		b.WriteByte('\n')
		for _, q := range p.Parts {
			walk(q, depth+1)
		}
	}
	walk(p, 0)
	return strings.TrimSuffix(b.String(), "\n")
}

func bodyOf(t testing.TB, m *Message) string {
	t.Helper()
	b := make([]byte, m.Body.Size())
	if err := readFull(m.Body, b, 0); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const mixed = "Content-Type: multipart/mixed; boundary=b\n\n"

func TestSlice(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"no MIME", "Subject: x\n\nhello\n", `text/plain 7bit "hello\r\n"`},
		{"no body", "Subject: x\n", `text/plain 7bit ""`},
		{"two parts", mixed + "--b\n\none\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: 8BIT\n\ntwo\n\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/plain 7bit \"one\"\n text/html 8bit \"two\\r\\n\""},
		{"preamble and epilogue", mixed + "pre\n--b\n\none\n--b--\n\nepi\n",
			"multipart/mixed 7bit \"pre\" \"\\r\\nepi\\r\\n\" closed=true\n text/plain 7bit \"one\""},
		{"empty line before the first boundary", mixed + "\n--b\n\none\n--b--",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/plain 7bit \"one\""},
		{"not closed", mixed + "--b\n\none\n",
			"multipart/mixed 7bit \"\" \"\" closed=false\n text/plain 7bit \"one\\r\\n\""},
		{"no parts", mixed + "text\n", `multipart/mixed 7bit "text\r\n" "" closed=false "text\r\n"`},
		{"no boundary", "Content-Type: multipart/mixed\n\ntext\n", `multipart/mixed 7bit "" "" closed=false "text\r\n"`},
		{"padding", mixed + "--b \t\n\none\n--b-- \n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/plain 7bit \"one\""},
		{"almost a boundary", mixed + "--b\n\n--bb\n--b-\n --b\n--b--x\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/plain 7bit \"--bb\\r\\n--b-\\r\\n --b\\r\\n--b--x\""},
		{"nested, inner not closed", mixed + "--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\none\n--bb\n\ntwo\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n multipart/alternative 7bit \"\" \"\" closed=false\n  text/plain 7bit \"one\"\n  text/plain 7bit \"two\""},
		{"nested, inner with epilogue", mixed + "--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\none\n--bb--\n\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n multipart/alternative 7bit \"\" \"\" closed=true\n  text/plain 7bit \"one\""},
		{"empty parts", mixed + "--b\n--b\n\n--b\nContent-Type: text/html\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/plain 7bit \"\"\n text/plain 7bit \"\"\n text/html 7bit \"\""},
		{"message", "Content-Type: message/rfc822\n\nSubject: x\nContent-Type: text/html\n\nhi\n",
			"message/rfc822 7bit\n text/html 7bit \"hi\\r\\n\""},
		{"message that is encoded", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKaGkK\n",
			`message/rfc822 base64 "U3ViamVjdDogeAoKaGkK\r\n"`},
		{"message in a header that a boundary ends", mixed + "--b\nContent-Type: message/rfc822\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n message/rfc822 7bit\n  text/plain 7bit \"\""},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nhi\n--b\nContent-Type: text/html\n\nhi\n--b--\n",
			"multipart/digest 7bit \"\" \"\" closed=true\n message/rfc822 7bit\n  text/plain 7bit \"hi\"\n text/html 7bit \"hi\""},
		{"boundary in an inner message", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nin\n--b\n\nout\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n message/rfc822 7bit\n  multipart/mixed 7bit \"\" \"\" closed=false\n   text/plain 7bit \"in\"\n text/plain 7bit \"out\""},
		{"boundary of the multipart around", mixed + "--b\nContent-Type: multipart/x; boundary=b\n\n--b\n\none\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n multipart/x 7bit \"\" \"\" closed=false \"\" (has the boundary of a multipart around it)\n text/plain 7bit \"one\""},
		{"part header without an empty line", mixed + "--b\nContent-Type: text/html\n<p>\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/html 7bit \"<p>\" (has a malformed header)"},
		{"part after the end", mixed + "--b\n\none\n--b--\n--b\n\ntwo\n--b--\n",
			"multipart/mixed 7bit \"\" \"--b\\r\\n\\r\\ntwo\\r\\n--b--\\r\\n\" closed=true (goes on after its closing boundary)\n text/plain 7bit \"one\""},
		{"LF only", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\nContent-Type: text/html\n\none\ntwo\n--b--\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/html 7bit \"one\\ntwo\""},
		{"CR is no line end", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r--b--\rtwo\r\r\n--b--\r\n",
			"multipart/mixed 7bit \"\" \"\" closed=true\n text/plain 7bit \"one\\r--b--\\rtwo\\r\""},
		{"two types", "Content-Type: text/plain\nContent-Type: text/html\n\nx\n", `text/plain 7bit "x\r\n" (has two different Content-Type fields)`},
		{"one type twice", "Content-Type: text/html\nContent-type: TEXT/HTML\n\nx\n", `text/html 7bit "x\r\n"`},
		{"two encodings", "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nx\n", `text/plain 7bit "x\r\n" (has two different Content-Transfer-Encoding fields)`},
		{"two identity encodings", "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n\nx\n", `text/plain 7bit "x\r\n"`},
		{"two boundaries", "Content-Type: multipart/mixed; boundary=b; boundary=c\n\n--b--\n", "multipart/mixed 7bit \"\" \"\" closed=true \"--b--\\r\\n\" (has two different boundaries)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := message(t, test.in)
			p, err := Slice(m.Header, m.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := outline(p, bodyOf(t, m)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// Lines of every length around the block's size are found, and so are
// boundaries whose bytes stand in two blocks.
func TestSliceAcrossBlocks(t *testing.T) {
	for n := blockSize - 40; n < blockSize+10; n++ {
		leaf := strings.Repeat("x", n)
		m := message(t, mixed+"--b\n\n"+leaf+"\n--b\nX: "+leaf+"\n\n\n--b--\n")
		p, err := Slice(m.Header, m.Body)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Parts) != 2 || !p.Closed || p.Parts[0].BodyEnd-p.Parts[0].BodyStart != int64(n) || p.Parts[1].Header.Get("X") != leaf {
			t.Fatalf("a leaf of %d: %d parts, closed=%t", n, len(p.Parts), p.Closed)
		}
	}
}

func TestSliceLimits(t *testing.T) {
	deep := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String()
	}
	field := "X: " + strings.Repeat("x", 1000) + "\n"
	for _, test := range []struct {
		name, in string
		limit    int64
	}{
		{"as deep as may be", deep(MaxDepth), 0},
		{"too deep", deep(MaxDepth + 1), MaxDepth},
		{"messages in messages", strings.Repeat("Content-Type: message/rfc822\n\n", MaxDepth+1), MaxDepth},
		{"as many parts as may be", mixed + strings.Repeat("--b\n", MaxParts), 0},
		{"too many parts", mixed + strings.Repeat("--b\n", MaxParts+1), MaxParts},
		{"a long header", mixed + "--b\n" + strings.Repeat(field, 300), MaxPartHeader},
		{"a long header line", mixed + "--b\nX: " + strings.Repeat("x", MaxPartHeader), MaxPartHeader},
		{"many headers", mixed + strings.Repeat("--b\n"+strings.Repeat(field, 200)+"\n", 10), MaxHeaders},
		{"many fields", mixed + strings.Repeat("--b\n"+strings.Repeat("X:\n", 10_000)+"\n", 3), maxFields},
		{"many parameters", mixed + strings.Repeat("--b\nContent-Type: a/b"+params(100)+"\n\n", 101), maxParams},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := message(t, test.in)
			_, err := Slice(m.Header, m.Body)
			var limit *LimitError
			switch {
			case test.limit == 0 && err != nil:
				t.Error(err)
			case test.limit != 0 && (!errors.As(err, &limit) || limit.Limit != test.limit):
				t.Errorf("got %v, want a limit of %d", err, test.limit)
			}
		})
	}
}

func params(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ";p%d=v", i)
	}
	return b.String()
}

type brokenSource struct{ size int64 }

func (b brokenSource) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk on fire") }
func (b brokenSource) Size() int64                       { return b.size }

func TestSliceSourceErrors(t *testing.T) {
	if _, err := Slice(nil, brokenSource{10}); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("got %v", err)
	}
	var limit *LimitError
	if _, err := Slice(nil, brokenSource{10}); errors.As(err, &limit) {
		t.Error("an error of the Source came out as a limit")
	}
}

// corpus calls f for each mail of the folders of the corpus; mailboxes are cut
// into their mails.
func corpus(t testing.TB, f func(name, text string), folders ...string) {
	t.Helper()
	for _, folder := range folders {
		dir := corpusDir(t, folder)
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name := folder + strings.TrimPrefix(path, dir)
			text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n", "\r\n")
			switch ext := filepath.Ext(path); {
			case strings.HasSuffix(path, ".mbox.txt"):
				for i, mail := range strings.Split("\r\n"+text, "\r\nFrom ")[1:] {
					_, mail, _ = strings.Cut(mail, "\r\n")
					f(fmt.Sprintf("%s#%d", name, i+1), mail+"\r\n")
				}
			case ext == ".eml" || ext == ".raw" || ext == ".msg" || ext == ".message" || strings.Contains(path, "messages/"):
				f(name, text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A body without parts is not read to its end, since there is nothing to find.
func TestSliceReadsNoLeafTwice(t *testing.T) {
	body := strings.Repeat("line\r\n", 1<<20)
	for _, c := range []struct {
		name, contentType string
		most              int64
	}{
		{"text", "text/plain", blockSize},
		{"multipart without boundary", "multipart/mixed", blockSize},
		{"multipart", "multipart/mixed; boundary=b", int64(len(body))},
	} {
		src := &countingSource{Reader: strings.NewReader(body)}
		h := Header{{Name: "Content-Type", Raw: []byte("Content-Type: " + c.contentType + "\r\n")}}
		root, crlf, err := slice(h, src)
		if err != nil || !crlf || root.BodyEnd != int64(len(body)) {
			t.Errorf("%s: %v, %v, body ends at %d", c.name, err, crlf, root.BodyEnd)
		}
		if src.read > c.most {
			t.Errorf("%s: %d bytes read, want at most %d", c.name, src.read, c.most)
		}
	}
}

// countingSource counts what is read of it.
type countingSource struct {
	*strings.Reader
	read int64
}

func (s *countingSource) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Reader.ReadAt(p, off)
	s.read += int64(n)
	return n, err
}
