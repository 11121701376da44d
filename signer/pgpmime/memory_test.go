package pgpmime

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

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

// allocatedAtMost is how many bytes run allocates in all, and the most that it
// has at once beyond what was there before.
func allocatedAtMost(run func()) (total, peak uint64) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done, highest := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			select {
			case <-done:
				highest <- most
				return
			case <-time.After(5 * time.Millisecond):
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
		}
	}()
	total = allocated(run)
	close(done)
	return total, <-highest
}

// onDisk writes something to a file, as a milter's spool has it.
func onDisk(t testing.TB, write func(io.Writer) error) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := write(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// A message of any size needs the same memory to read: 100 MB in less than 8 MiB.
func TestMemoryOfReading(t *testing.T) {
	const size, limit = 100 << 20, 8 << 20
	g := gpg(t)
	rosa := g.key(t, "rosa@example.com")
	six, err := ParseKey("six@example.com", first(made(t, "six@example.com", configV6)), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &signer.Entity{Body: generated(size)}
	for _, k := range []*Key{rosa, six} {
		to := []*Certificate{k.Certificate()}
		var signature []byte
		signed, err := Sign(e, k, SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		body := onDisk(t, func(w io.Writer) error { _, err := signed.Body.WriteTo(w); return err })
		root, err := signer.Slice(signed.Header, io.NewSectionReader(body, 0, signed.Body.Size()))
		if err != nil {
			t.Fatal(err)
		}
		content, second := root.Parts[0], root.Parts[1]
		signature = make([]byte, second.BodyEnd-second.BodyStart)
		if _, err := body.ReadAt(signature, second.BodyStart); err != nil {
			t.Fatal(err)
		}
		message := onDisk(t, func(w io.Writer) error {
			armor, err := newArmorWriter(w, "PGP MESSAGE")
			if err != nil {
				return err
			}
			env := environment{}
			recipients, err := chooseRecipients(to, env.now(), EncryptOptions{})
			if err != nil {
				return err
			}
			s, err := newSignature(k, 0, env)
			if err != nil {
				return err
			}
			return errors.Join(encryptMessage(armor, e, recipients, s, env), armor.Close())
		})
		info, err := message.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for what, run := range map[string]func() ([]signer.Verification, error){
			"verify": func() ([]signer.Verification, error) {
				return Verify(io.NewSectionReader(body, content.Offset, content.BodyEnd-content.Offset), signature, to, VerifyOptions{Time: day()})
			},
			"decrypt": func() ([]signer.Verification, error) {
				d, err := Decrypt(io.Discard, io.NewSectionReader(message, 0, info.Size()), []*Key{k}, DecryptOptions{Certificates: to, Verify: VerifyOptions{Time: day()}})
				if err != nil {
					return nil, err
				}
				return d.Signatures, nil
			},
		} {
			var found []signer.Verification
			var err error
			total, peak := allocatedAtMost(func() { found, err = run() })
			if err != nil || len(found) != 1 || found[0].Integrity.Verdict != signer.Pass {
				t.Fatalf("%s: %+v, %v", what, found, err)
			}
			t.Logf("%s with %s: %d KiB allocated in all, at most %d KiB at once", what, k.Algorithm(0), total>>10, peak>>10)
			if total > limit {
				t.Errorf("%s allocates %d KiB", what, total>>10)
			}
		}
	}
}
