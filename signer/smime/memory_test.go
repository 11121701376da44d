package smime

import (
	"io"
	"runtime"
	"testing"

	"waxseal/signer"
)

// generated is a body of that many bytes which nobody holds.
type generated int64

func (g generated) Size() int64 { return int64(g) }

func (g generated) WriteTo(w io.Writer) (int64, error) {
	block := make([]byte, 32<<10)
	for i := range block {
		block[i] = "All work and no play makes Jack a dull boy.\r\n"[i%45]
	}
	var n int64
	for n < int64(g) {
		m, err := w.Write(block[:min(int64(len(block)), int64(g)-n)])
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// generatedEntity is an entity with such a body.
func generatedEntity(size int64) *signer.Entity {
	e := entityOf("Content-Type: text/plain\r\n\r\n")
	e.Body = generated(size)
	return e
}

// TestMemory protects 100 MiB. All that is allocated on the way, in use at the
// same time or not, has to stay below 4 MiB.
func TestMemory(t *testing.T) {
	const size, limit = 100 << 20, 4 << 20
	id, to := as("rsa2048"), certsOf([]*identity{as("rsa2048"), as("other")})
	for i, c := range ciphers {
		mode := []string{Detached, Opaque}[i%2]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		signed, err := Sign(generatedEntity(size), id.chain, id.key, SignOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Encrypt(io.Discard, signed, to, EncryptOptions{Cipher: c}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s, %v: %d KiB allocated for a message of %d MiB", mode, c, allocated>>10, size>>20)
		if allocated > limit {
			t.Errorf("%s, %v: %d bytes allocated, want at most %d", mode, c, allocated, limit)
		}
	}
}
