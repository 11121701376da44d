package pgpmime

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// bitwise is the example in RFC 9580, Section 6.1.1, in other words.
func bitwise(p []byte) uint32 {
	crc := uint32(0xb704ce)
	for _, b := range p {
		crc ^= uint32(b) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return crc & 0xffffff
}

func TestCRC24(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 300)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for n := range data {
		sum := crc24Start.update(data[:n/3]).update(data[n/3 : n]).sum()
		if got, want := fmt.Sprintf("%x", sum), fmt.Sprintf("%06x", bitwise(data[:n])); got != want {
			t.Fatalf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

func TestArmor(t *testing.T) {
	g := gpg(t)
	dir := t.TempDir()
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 114, armorBlock - 1, armorBlock, armorBlock + 1, 3*armorBlock + 5} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 7)
		}
		var text bytes.Buffer
		w, err := newArmorWriter(&text, "PGP MESSAGE")
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			m := min(len(rest), 1000)
			w.Write(rest[:m])
			rest = rest[m:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		block, err := armor.Decode(bytes.NewReader(text.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(block.Body)
		if err != nil || !bytes.Equal(got, data) || block.Type != "PGP MESSAGE" || len(block.Header) != 0 {
			t.Errorf("%d bytes: %v", n, err)
		}
		if n == 0 {
			continue // gpg takes it for no armor
		}
		file := dir + "/armor"
		write(t, file, text.Bytes())
		if got := g.must(t, "--output", "-", "--dearmor", file); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: gpg reads %d", n, len(got))
		}
	}
}

func BenchmarkArmor(b *testing.B) {
	data := make([]byte, 1<<20)
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			w, _ := newArmorWriter(io.Discard, "PGP MESSAGE")
			w.Write(data)
			w.Close()
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			w, _ := armor.Encode(io.Discard, "PGP MESSAGE", nil)
			w.Write(data)
			w.Close()
		}
	})
	b.Run("crc24", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			crc24Start.update(data)
		}
	})
}
