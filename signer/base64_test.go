package signer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// wrapped is base64 with CRLF after each 76 characters, written the slow way.
func wrapped(p []byte) string {
	var b strings.Builder
	s := base64.StdEncoding.EncodeToString(p)
	for len(s) > 76 {
		b.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	if s != "" {
		b.WriteString(s + "\r\n")
	}
	return b.String()
}

func TestBase64Writer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 57 * 419, 57 * 420, 57*420 + 1, 57 * 841, len(data)} {
		want := wrapped(data[:n])
		if got := Base64Size(int64(n)); got != int64(len(want)) {
			t.Errorf("Base64Size(%d) = %d, want %d", n, got, len(want))
		}
		for _, most := range []int{1, 56, 57, 58, 1000, 50_000} {
			var out bytes.Buffer
			w := NewBase64Writer(&out)
			for rest := data[:n]; len(rest) > 0; {
				k := min(len(rest), 1+r.IntN(most))
				if m, err := w.Write(rest[:k]); m != k || err != nil {
					t.Fatalf("Write of %d = %d, %v", k, m, err)
				}
				rest = rest[k:]
			}
			for range 2 {
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if out.String() != want {
				t.Errorf("%d octets in writes of at most %d: not what encoding/base64 gives", n, most)
			}
		}
	}
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }

func TestBase64WriterKeepsItsError(t *testing.T) {
	broken := errors.New("broken")
	w := NewBase64Writer(brokenWriter{broken})
	if _, err := w.Write(make([]byte, 200)); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, broken) {
		t.Errorf("second Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
}

func BenchmarkBase64Writer(b *testing.B) {
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		w := NewBase64Writer(io.Discard)
		for rest := data; len(rest) > 0; rest = rest[32<<10:] {
			w.Write(rest[:32<<10])
		}
		w.Close()
	}
}

// BenchmarkBase64Standard is the encoding alone, without lines, to compare.
func BenchmarkBase64Standard(b *testing.B) {
	data := make([]byte, 32<<10)
	out := make([]byte, base64.StdEncoding.EncodedLen(len(data)))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		base64.StdEncoding.Encode(out, data)
	}
}
