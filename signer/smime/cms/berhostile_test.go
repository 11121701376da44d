package cms

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// nestedDefinite is so many octets of values in values, each with the right
// length.
func nestedDefinite(size int) []byte {
	out := make([]byte, size)
	at := 0
	for size-at > 6 {
		out[at], out[at+1] = TagSequence, 0x84
		binary.BigEndian.PutUint32(out[at+2:], uint32(size-at-6))
		at += 6
	}
	return append(out[:at], 4, byte(size-at-2), 0, 0, 0, 0)[:size]
}

// hostile are inputs that cost recursive or quadratic readers a lot.
func hostile() map[string][]byte {
	endless := append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80, 0, 0}, 1_500_000)...)
	return map[string][]byte{
		"6 MB of 30 80":          bytes.Repeat([]byte{0x30, 0x80}, 3_000_000),
		"6 MB of 24 80":          bytes.Repeat([]byte{0x24, 0x80}, 3_000_000),
		"400 kB nested definite": nestedDefinite(400_000),
		"6 MB of empty values":   endless,
		"6 MB of empty pieces":   append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 0}, 3_000_000)...),
		"truncated":              append([]byte{0x30, 0x82, 0xff, 0xff}, make([]byte, 3000)...),
		"oversized":              append([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, make([]byte, 3000)...),
		"oversized octets":       append([]byte{0x04, 0x84, 0x3f, 0xff, 0xff, 0xff}, make([]byte, 300_000)...),
		"oversized inside":       append([]byte{0x30, 0x80, 0x04, 0x87, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, make([]byte, 300_000)...),
	}
}

// TestHostile has all ways to read end in an error, for less than four times the
// input in memory. The reader's own buffer is allowed for the small ones.
func TestHostile(t *testing.T) {
	for name, in := range hostile() {
		for way, read := range map[string]func() error{
			"Normalise": func() error { _, err := Normalise(in, Limits{}); return err },
			"Element":   func() error { _, err := NewReader(bytes.NewReader(in), Limits{}).Element(0); return err },
			"Skip":      func() error { return NewReader(bytes.NewReader(in), Limits{}).Skip(0) },
			"Octets": func() error {
				content, err := NewReader(bytes.NewReader(in), Limits{}).Octets(TagOctetString)
				if err == nil {
					_, err = io.Copy(io.Discard, content)
				}
				return err
			},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := read()
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("%s, %s: %v, %d kB of memory for %d kB: %v", name, way, took.Round(time.Microsecond), allocated/1000, len(in)/1000, err)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("%s, %s: got %v, want a SyntaxError", name, way, err)
			}
			if allocated > 4*uint64(len(in))+100<<10 {
				t.Errorf("%s, %s: %d bytes allocated for %d", name, way, allocated, len(in))
			}
		}
	}
}

// TestNormaliseMemory has the costliest inputs that are accepted.
func TestNormaliseMemory(t *testing.T) {
	count := Limits{}.withDefaults().Elements - 1
	for name, in := range map[string][]byte{
		"small values": append(append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0}, count)...), 0, 0),
		"indefinite":   append(append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80, 0, 0}, count)...), 0, 0),
		"pieces":       append(append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 1, 'x'}, count)...), 0, 0),
		"one value":    append(appendHeader([]byte{0x30, 0x80}, 4, 4<<20-20), make([]byte, 4<<20-18)...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := Normalise(in, Limits{})
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %v, %d kB of memory for %d kB", name, took, allocated/1000, len(in)/1000)
		if err != nil || allocated > 4*uint64(len(in)) {
			t.Errorf("%s: %d bytes allocated for %d: %v", name, allocated, len(in), err)
		}
	}
}

// corpus returns the structures of RFC 4134. They are where WAXSEAL_CORPUS says,
// else in shared/corpus beside the module.
func corpus(t testing.TB) [][]byte {
	t.Helper()
	root := os.Getenv("WAXSEAL_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "corpus")
	}
	paths, err := filepath.Glob(filepath.Join(root, "smime", "bc-rfc4134", "*.bin"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: set WAXSEAL_CORPUS to its folder: %v", err)
	}
	var found [][]byte
	for _, path := range paths {
		ber, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, ber)
	}
	return found
}

// FuzzNormalise checks that what comes out is a fixed point, and that a Reader
// says the same as Normalise.
func FuzzNormalise(f *testing.F) {
	for _, in := range []string{"3000", "30800000", "3080248004016104016200000000", "2404040100", "a080308102050000000000", "3003020101"} {
		f.Add(unhex(f, in[:len(in)&^1]))
	}
	f.Add(signedData(f, []byte("content")))
	for _, ber := range corpus(f) {
		f.Add(ber)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := Normalise(in, Limits{})
		r := NewReader(bytes.NewReader(in), Limits{})
		element, readErr := r.Element(0)
		if readErr == nil {
			readErr = r.End()
		}
		if (err == nil) != (readErr == nil) {
			t.Fatalf("Normalise: %v, Reader: %v", err, readErr)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(out, element) {
			t.Fatalf("Normalise gives %x, Element %x", out, element)
		}
		again, err := Normalise(out, Limits{})
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%x becomes %x, %v", out, again, err)
		}
	})
}
