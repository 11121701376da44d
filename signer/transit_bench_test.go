package signer

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// mailOf is a multipart with a text and an attachment, size bytes in all. Its
// text is 7-bit, or UTF-8 in 8bit.
func mailOf(size int, eight bool) *Message {
	var b bytes.Buffer
	b.WriteString("--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	if !eight {
		b.Reset()
		b.WriteString("--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	}
	line := "Nobody knows why this line of text stands here again and again, but it does.\r\n"
	if eight {
		line = "Niemand wei\xc3\x9f, warum diese Zeile hier wieder und wieder steht; sie tut's.\r\n"
	}
	b.WriteString(strings.Repeat(line, max(1, size/2/len(line))))
	b.WriteString("--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	r := rand.NewChaCha8([32]byte{})
	data := make([]byte, max(0, size-b.Len())/78*57)
	r.Read(data)
	w := NewBase64Writer(&b)
	w.Write(data)
	w.Close()
	b.WriteString("--b--\r\n")
	return &Message{
		Header: Header{newField("Content-Type", "multipart/mixed; boundary=b")},
		Body:   bytes.NewReader(b.Bytes()),
	}
}

var benchSizes = []struct {
	name string
	size int
}{{"4KB", 4 << 10}, {"1MB", 1 << 20}, {"25MB", 25 << 20}}

func BenchmarkProtectable(b *testing.B) {
	for _, kind := range []string{"clean", "8bit"} {
		for _, size := range benchSizes {
			m := mailOf(size.size, kind == "8bit")
			b.Run(kind+"/"+size.name, func(b *testing.B) {
				b.SetBytes(m.Body.Size())
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Protectable(m, TransitOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEntityWriteTo(b *testing.B) {
	for _, kind := range []string{"clean", "8bit"} {
		m := mailOf(1<<20, kind == "8bit")
		e, err := Protectable(m, TransitOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kind+"/1MB", func(b *testing.B) {
			b.SetBytes(e.Size())
			b.ReportAllocs()
			for b.Loop() {
				e.WriteTo(io.Discard)
			}
		})
	}
}

func BenchmarkSlice(b *testing.B) {
	m := mailOf(1<<20, false)
	b.SetBytes(m.Body.Size())
	b.ReportAllocs()
	for b.Loop() {
		Slice(m.Header, m.Body)
	}
}

// Memory does not grow with the message, neither to plan nor to write it.
func TestProtectableMemory(t *testing.T) {
	for _, kind := range []string{"clean", "8bit"} {
		m := mailOf(25<<20, kind == "8bit")
		var before, planned, done runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := Protectable(m, TransitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&planned)
		if _, err := e.WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&done)
		plan, write := planned.TotalAlloc-before.TotalAlloc, done.TotalAlloc-planned.TotalAlloc
		t.Logf("%s: %d KiB to plan, %d KiB to write %d MB", kind, plan>>10, write>>10, e.Size()>>20)
		if plan > 1<<20 || write > 1<<20 {
			t.Errorf("%s: more than 1 MiB allocated for one message", kind)
		}
	}
}

// The message with the most parts and header fields still keeps within bounds.
func TestProtectableMemoryOfManyParts(t *testing.T) {
	field := "X: " + strings.Repeat("\xc3\xbc", (MaxHeaders-200_000)/MaxParts/2-60) + "\r\n"
	part := "--b \r\nContent-Type: text/plain; a=b\r\n" + field + "\r\n\xc3\xbc\r\n"
	m := rawMessage(t, "Content-Type: multipart/mixed; boundary=b\r\n\r\n"+strings.Repeat(part, MaxParts)+"--b--\r\n")
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e, err := Protectable(m, TransitOptions{PGP: true})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d parts: %d KiB kept", MaxParts, kept>>10)
	if kept > 8<<20 {
		t.Errorf("%d bytes kept", kept)
	}
	runtime.KeepAlive(e)
	runtime.KeepAlive(m)
}

// Several writers may write one entity at the same time.
func TestEntityConcurrently(t *testing.T) {
	e, err := Protectable(mailOf(300_000, true), TransitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := written(t, e)
	results := make(chan error)
	for range 4 {
		go func() {
			var b bytes.Buffer
			_, err := e.WriteTo(&b)
			if err == nil && b.String() != want {
				err = fmt.Errorf("wrote something else")
			}
			results <- err
		}()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
