package pgpmime

import (
	"io"
	"runtime"
	"testing"

	"waxseal/signer"
)

// generated is content of any size that is nowhere in memory.
type generated int64

func (g generated) Size() int64 { return int64(g) }

func (g generated) WriteTo(w io.Writer) (int64, error) {
	block := make([]byte, min(32<<10, int64(g)))
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

// allocated is how many bytes run allocates, used or not any more.
func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A message of any size needs the same memory.
func TestMemory(t *testing.T) {
	const size, limit = 64 << 20, 4 << 20
	g := gpg(t)
	key := g.key(t, "rosa@example.com")
	_, public := made(t, "six@example.com", configV6)
	six, err := ParseCertificate("six@example.com", public)
	if err != nil {
		t.Fatal(err)
	}
	e := &signer.Entity{Body: generated(size)}
	var written *signer.Entity
	for _, test := range []struct {
		what string
		run  func() error
	}{
		{"sign", func() (err error) { written, err = Sign(e, key, SignOptions{}); return err }},
		{"write signed", func() error { _, err := written.WriteTo(io.Discard); return err }},
		{"sign and encrypt, version 1", func() error {
			_, err := Encrypt(io.Discard, e, []*Certificate{key.Certificate()}, key, EncryptOptions{})
			return err
		}},
		{"sign and encrypt, version 2", func() error {
			_, err := Encrypt(io.Discard, e, []*Certificate{six}, key, EncryptOptions{})
			return err
		}},
	} {
		var err error
		total := allocated(func() { err = test.run() })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s of %d MiB: %d KiB allocated", test.what, size>>20, total>>10)
		if total > limit {
			t.Errorf("%s allocates %d KiB in all", test.what, total>>10)
		}
	}
}
