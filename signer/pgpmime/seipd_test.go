package pgpmime

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// The library reads what we write, whatever the length and however it comes.
func TestSEIPD(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	data := make([]byte, 3*seipdChunk)
	rand.Read(data)
	for _, v2 := range []bool{false, true} {
		for _, size := range []int{0, 1, 15, 16, 17, 1000, seipdChunk - 20, seipdChunk - 19, seipdChunk - 18,
			seipdChunk - 1, seipdChunk, seipdChunk + 1, 2*seipdChunk - 19, 3 * seipdChunk} {
			for _, step := range []int{1, 13, 16, 4096, 3 * seipdChunk} {
				if step == 1 && size > 1000 {
					continue
				}
				var out bytes.Buffer
				w, err := newSEIPD(&out, suiteOf(v2), key, environment{}.config())
				if err != nil {
					t.Fatal(err)
				}
				for rest := data[:size]; len(rest) > 0; {
					n, err := w.Write(rest[:min(len(rest), step)])
					if err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				p, err := packet.Read(&out)
				if err != nil {
					t.Fatal(err)
				}
				plain, err := p.(*packet.SymmetricallyEncrypted).Decrypt(packet.CipherAES256, key)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(plain)
				if err == nil {
					err = plain.Close()
				}
				if err != nil || !bytes.Equal(got, data[:size]) {
					t.Fatalf("version 2 %v, %d bytes in steps of %d: %v", v2, size, step, err)
				}
				if out.Len() > 0 {
					t.Fatalf("%d bytes after the packet", out.Len())
				}
			}
		}
	}
}

func BenchmarkSEIPD(b *testing.B) {
	key, data, config := make([]byte, 32), make([]byte, 1<<20), environment{}.config()
	run := func(b *testing.B, open func() (io.WriteCloser, error)) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			w, err := open()
			if err != nil {
				b.Fatal(err)
			}
			for rest := data; len(rest) > 0; rest = rest[32<<10:] {
				w.Write(rest[:32<<10])
			}
			w.Close()
		}
	}
	b.Run("v1/ours", func(b *testing.B) {
		run(b, func() (io.WriteCloser, error) { return newSEIPD(io.Discard, suiteOf(false), key, config) })
	})
	b.Run("v1/library", func(b *testing.B) {
		run(b, func() (io.WriteCloser, error) {
			return packet.SerializeSymmetricallyEncrypted(io.Discard, packet.CipherAES256, false, packet.CipherSuite{}, key, config)
		})
	})
	b.Run("v2", func(b *testing.B) {
		run(b, func() (io.WriteCloser, error) { return newSEIPD(io.Discard, suiteOf(true), key, config) })
	})
}

// suiteOf is version 2 with OCB, or version 1.
func suiteOf(v2 bool) dataForm {
	if v2 {
		return dataForm{version: 2, cipher: packet.CipherAES256, mode: packet.AEADModeOCB}
	}
	return dataForm{version: 1, cipher: packet.CipherAES256}
}
